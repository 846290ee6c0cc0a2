# frozen_string_literal: true

RSpec.describe "OpenTelemetry" do
  shared_examples "tracing" do
    let(:tracing) { source.new(self) }

    before { tracing }
    after { tracing.restore }

    def spans
      tracing.spans.group_by { |span| span[:name] }
    end

    def one(name)
      found = spans.fetch(name)
      expect(found.size).to eq(1)
      found.first
    end

    it "makes a span of the run, of each step that is called, and of each attempt, one below the other", executor: :in_process do
      tries = 0
      result = run(define: { name: "import" }) do
        step(:fetch) { [1] }
        step(:load, depends_on: :fetch, retries: 1, retry_delay: 0.02) { |rows| (tries += 1) == 1 ? raise(IOError, "closed") : rows }
        step(:skipped, when: ->(_) { false }) { 1 }
      end
      expect(spans.transform_values(&:size)).to eq("run import" => 1, "step fetch" => 1, "attempt fetch" => 1, "step load" => 1, "attempt load" => 2)
      expect([one("step fetch"), one("step load")].map { |span| span[:parent] }.uniq).to eq([one("run import")[:id]])
      expect(spans["attempt load"].map { |span| span[:parent] }.uniq).to eq([one("step load")[:id]])
      expect(one("run import")[:attributes]).to include("flowline.run.id" => result.run_id, "flowline.steps.succeeded" => 2, "flowline.steps.skipped" => 1)
      expect(one("step load")[:attributes]).to include("flowline.attempts" => 2, "flowline.wait.retry" => 0.02)
      expect(one("step load")[:events].map(&:first)).to eq(["retry"])
      failed = spans["attempt load"].find { |span| span[:error] }
      expect([failed[:error], failed[:attributes]["error.type"]]).to eq(%w[closed IOError])
    end

    it "makes the run a child of the span that is current where the run is started, also in the background" do
      pipeline = Flowline.define(name: "child") { step(:a) { 1 } }
      tracing.tracer.in_span("request") { pipeline.run }
      tracing.tracer.in_span("job") { pipeline.start.wait }
      parents = spans["run child"].map { |span| span[:parent] }
      expect(parents).to match_array([one("request")[:id], one("job")[:id]])
    end

    it "makes the run a child of the span that TRACEPARENT names, if there is no other" do
      ENV["TRACEPARENT"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      run(define: { name: "job" }) { step(:a) { 1 } }
      expect(one("run job").values_at(:trace, :parent).map { |id| id.unpack1("H*") }).to eq(%w[0af7651916cd43dd8448eb211c80319c b7ad6b7169203331])
    ensure
      ENV.delete("TRACEPARENT")
    end

    %i[sequential parallel].each do |executor|
      it "makes an attempt the parent of the spans of its step with the #{executor} executor" do
        tracer = tracing.tracer
        run(executor: executor) do
          step(:a) { tracer.in_span("query a") { 1 } }
          step(:b) { tracer.in_span("query b") { 1 } }
        end
        %w[a b].each { |name| expect(one("query #{name}")[:parent]).to eq(one("attempt #{name}")[:id]) }
      end
    end

    it "brings the spans of forked children to their parent, also those of a child that fails" do
      tracer = tracing.tracer
      result = run(executor: :process) do
        step(:a) { tracer.in_span("outer") { tracer.in_span("inner") { 1 } } }
        step(:b, optional: true) do
          tracer.in_span("before") { 1 }
          raise IOError, "closed"
        end
      end
      expect(result[:b].error.original).to be_a(IOError)
      expect(one("outer").values_at(:parent, :trace)).to eq([one("attempt a")[:id], one("run unnamed")[:trace]])
      expect(one("inner")[:parent]).to eq(one("outer")[:id])
      expect(one("before")[:parent]).to eq(one("attempt b")[:id])
    end

    it "links a run that resumes another to it", executor: :in_process do
      broken = true
      pipeline = Flowline.define(name: "nightly") do |p|
        p.step(:one) { 1 }
        p.step(:two, depends_on: :one) { |x| broken ? raise("down") : x }
      end
      pipeline.run
      broken = false
      pipeline.run(resume: true)
      first, second = spans.fetch("run nightly")
      expect(second[:links]).to eq([first[:id]])
    end

    it "makes a span of each attempt for an item" do
      run do
        step(:rows) { [10, 20] }
        step(:each_row, each: :rows) { |row| row }
      end
      expect(spans["attempt each_row"].map { |span| span[:attributes]["flowline.item"] }).to match_array([1, 2])
    end

    it "makes no span of a dry run" do
      run(dry_run: true) { step(:a) { 1 } }
      expect(spans).to eq({})
    end

    it "ends the spans of steps that were interrupted, and of the run", executor: :in_process do
      run(timeout: 0.05) { step(:a) { sleep } }
      expect(one("attempt a")[:attributes]["flowline.status"]).to eq("interrupted")
      expect(one("step a")[:attributes]["flowline.status"]).to eq("timed_out")
      expect(one("run unnamed")[:attributes]).to include("flowline.status" => "timed_out", "error.type" => "Flowline::TimeoutError")
    end

    it "fails no step if a span cannot be made", executor: :in_process do
      broken = double
      allow(broken).to receive(:start_span).and_raise("no spans today")
      allow(OpenTelemetry.tracer_provider).to receive(:tracer).and_return(broken)
      calls = 0
      result = run { step(:a) { calls += 1 } }
      expect([result.status, calls]).to eq([:succeeded, 1])
      expect(result.warnings.join).to include("no spans today")
    end
  end

  context "with a recorder that has the interface of the API" do
    let(:source) { Tracing::Recorder }

    it_behaves_like "tracing"

    it "leaves spans to OpenTelemetry, if flowline/otlp is loaded as well, and sends metrics" do
      recorder = Tracing::Recorder.new(self)
      collector = Collector.new
      Flowline::Telemetry.exporter = Flowline::Telemetry::Exporter.new(Flowline::Telemetry::Settings.new("OTEL_EXPORTER_OTLP_ENDPOINT" => collector.url))
      run { step(:a) { 1 } }
      Flowline::Telemetry.flush
      expect(recorder.spans.size).to eq(3)
      expect(collector.spans).to eq([])
      expect(collector.metrics).to include("flowline.attempts")
    ensure
      Flowline::Telemetry.exporter = nil
      collector.close
    end
  end

  context "with the gems" do
    let(:source) { Tracing::Gem.there? ? Tracing::Gem : skip("needs opentelemetry-sdk") }

    it_behaves_like "tracing"

    it "observes no run as long as the API has no implementation" do
      source
      expect(Flowline::Telemetry.observers(instance_double(Flowline::Execution::Environment))).to eq([])
    end
  end
end
