# frozen_string_literal: true

require "open3"
require "openssl" # Net::HTTP would load it in a thread that ends with its example.
require "socket"
require "tmpdir"

RSpec.describe "OTLP over HTTP" do
  let(:answer) { nil }
  let(:collector) { Collector.new(&answer) }
  let(:variables) { {} }
  let(:said) { StringIO.new }
  let(:settings) { Flowline::Telemetry::Settings.new({ "OTEL_EXPORTER_OTLP_ENDPOINT" => collector.url }.merge(variables)) }
  let(:exporter) { Flowline::Telemetry::Exporter.new(settings, said) }

  around do |example|
    Flowline::Telemetry.exporter = exporter
    example.run
  ensure
    Flowline::Telemetry.exporter = nil
    collector.close
    Thread.list.each { |thread| thread.kill if thread.name == "flowline otlp" }
  end

  def spans(seconds = 10)
    expect(exporter.flush(seconds)).to be(true)
    collector.spans.to_h { |span| [span[:name], span] }
  end

  def attributes(message)
    Collector.attributes(message)
  end

  # A TCP port that takes connections and never answers.
  def silent
    server = TCPServer.new("127.0.0.1", 0)
    yield "http://127.0.0.1:#{server.addr[1]}"
  ensure
    server.close
  end

  def seconds
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    yield
    Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
  end

  def flaky
    Flowline.define(name: "import") do |p|
      p.step(:fetch) { [1, 2, 3] }
      p.step(:load, depends_on: :fetch, retries: 1, retry_delay: 0.02) do |rows|
        @tries = @tries.to_i + 1
        @tries == 1 ? raise(IOError, "try again") : rows.size
      end
      p.step(:notify, depends_on: :load, optional: true) { |_| raise ArgumentError, "no address" }
    end
  end

  it "sends a span of the run, of each step that was called, and of each attempt, one below the other", executor: :in_process do
    result = flaky.run
    all = spans
    expect(collector.problems).to eq([])
    expect(collector.spans.map { |span| span[:name] }).to match_array(
      ["run import", "step fetch", "attempt fetch", "step load", "attempt load", "attempt load", "step notify", "attempt notify"]
    )
    run = all["run import"]
    expect(run).not_to have_key(:parentSpanId)
    expect(attributes(run)).to include("flowline.run.id" => result.run_id, "flowline.pipeline" => "import", "flowline.status" => "succeeded",
                                       "flowline.steps.succeeded" => 2, "flowline.steps.failed" => 1)
    expect(all.values_at("step fetch", "step load", "step notify").map { |span| span[:parentSpanId] }.uniq).to eq([run[:spanId]])
    expect(all["attempt fetch"][:parentSpanId]).to eq(all["step fetch"][:spanId])
    expect(collector.spans.map { |span| span[:traceId] }.uniq.size).to eq(1)
    expect(collector.spans.map { |span| span[:spanId] }.uniq.size).to eq(8)
  end

  it "describes retries, waits and errors of a step", executor: :in_process do
    flaky.run
    all = spans
    load = all["step load"]
    expect(attributes(load)).to include("flowline.attempts" => 2, "flowline.wait.retry" => 0.02, "flowline.status" => "succeeded")
    expect(load[:events].map { |event| [event[:name], attributes(event)["error.type"]] }).to eq([%w[retry IOError]])
    expect(load).not_to have_key(:status)
    expect(all["step notify"][:status]).to eq(code: 2, message: "no address")
    expect(attributes(all["step notify"])).to include("error.type" => "ArgumentError", "flowline.status" => "failed")
    expect(Integer(load[:endTimeUnixNano]) - Integer(load[:startTimeUnixNano])).to be_between(20_000_000, 5_000_000_000)
  end

  it "sends a span of each attempt for an item, the first thousand and failed ones after that", executor: :in_process do
    run do
      step(:rows) { Array.new(1100) { |i| i } }
      step(:each_row, each: :rows, on_item_error: :collect) { |i| i == 1050 ? raise("bad") : i }
    end
    spans
    items = collector.spans.select { |span| span[:name] == "attempt each_row" }.map { |span| attributes(span)["flowline.item"] }
    expect(items).to match_array([*1..1000, 1051])
    expect(attributes(collector.spans.find { |span| span[:name] == "step each_row" })).to include("flowline.items.done" => 1099, "flowline.items.failed" => 1)
  end

  it "sends the durations, waits, attempts, cache lookups and running steps as metrics", executor: :in_process do
    cached = Flowline.define(name: "report", cache: Flowline::Cache::Memory.new) { |p| p.step(:sum, cache: true) { 3 } }
    2.times { cached.run }
    flaky.run
    spans
    metrics = collector.metrics
    expect(collector.problems).to eq([])
    points = metrics.transform_values { |metric| (metric[:sum] || metric[:histogram])[:dataPoints].to_h { |point| [attributes(point), point] } }
    lookups = points["flowline.cache.lookups"].transform_keys { |key| key["flowline.cache.result"] }
    expect(lookups.transform_values { |point| point[:asInt] }).to eq("miss" => "1", "hit" => "1")
    expect(points["flowline.wait.duration"].values.map { |point| point[:sum] }).to eq([0.02])
    expect(points["flowline.attempts"].transform_values { |point| point[:asInt] })
      .to include({ "flowline.pipeline" => "import", "flowline.step" => "load" } => "2")
    expect(points["flowline.run.duration"].values.sum { |point| Integer(point[:count]) }).to eq(3)
    expect(points["flowline.step.duration"].values.sum { |point| point[:bucketCounts].sum { |count| Integer(count) } }).to eq(4)
    expect(points.values_at("flowline.runs.running", "flowline.steps.running").flat_map(&:values).map { |point| point[:asInt] }.uniq).to eq(["0"])
  end

  it "describes the wait of a step for a pool", executor: :in_process do
    run(executor: :parallel, max_threads: 4) do
      pool :db, 1
      step(:one, uses: :db) { sleep 0.1 }
      step(:two, uses: :db) { sleep 0.1 }
    end
    waits = spans.values_at("step one", "step two").filter_map { |span| attributes(span)["flowline.wait.pool"] }
    expect(waits).to match([be_between(0.05, 5)])
    points = collector.metrics["flowline.wait.duration"][:histogram][:dataPoints]
    expect(points.map { |point| attributes(point)["flowline.wait.reason"] }).to include("pool")
  end

  it "sends a run that resumes another with a link to it", executor: :in_process do
    broken = true
    pipeline = Flowline.define(name: "nightly") do |p|
      p.step(:one) { 1 }
      p.step(:two, depends_on: :one) { |x| broken ? raise("down") : x }
    end
    pipeline.run
    broken = false
    pipeline.run(resume: true)
    spans
    first, second = collector.spans.select { |span| span[:name] == "run nightly" }
    expect(second[:links]).to eq([{ traceId: first[:traceId], spanId: first[:spanId] }])
    expect(attributes(second)["flowline.resumed.run_id"]).to eq(attributes(first)["flowline.run.id"])
  end

  it "makes the run a child of the span that TRACEPARENT names" do
    ENV["TRACEPARENT"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    run { step(:a) { 1 } }
    expect(spans["run unnamed"]).to include(traceId: "0af7651916cd43dd8448eb211c80319c", parentSpanId: "b7ad6b7169203331")
  ensure
    ENV.delete("TRACEPARENT")
  end

  it "sends no spans if TRACEPARENT says that the trace is not sampled" do
    ENV["TRACEPARENT"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    run { step(:a) { 1 } }
    expect(spans).to eq({})
  ensure
    ENV.delete("TRACEPARENT")
  end

  it "chooses ids that a seed does not repeat" do
    ids = Array.new(2) do
      srand(1)
      Flowline.define { step(:a) { 1 } }.run
      spans
      collector.spans.last(3).map { |span| span.values_at(:traceId, :spanId) }
    end
    expect(ids.first & ids.last).to eq([])
  ensure
    srand
  end

  it "sends the span of a step that was interrupted", executor: :in_process do
    pipeline = Flowline.define(name: "stopped") { step(:long) { sleep } }
    run = pipeline.start
    Thread.pass until run.steps[:long] == :running
    run.cancel(now: true).wait(10)
    long = spans["step long"]
    expect(attributes(long)).to include("flowline.status" => "cancelled", "flowline.reason" => "interrupted")
    expect(Integer(long[:startTimeUnixNano])).to be_between(Integer(spans["run stopped"][:startTimeUnixNano]), Integer(long[:endTimeUnixNano]))
  end

  it "sends the spans of steps that run in forked children from their parent" do
    run(executor: :process) { step(:a) { 1 } }
    expect(spans.keys).to match_array(["run unnamed", "step a", "attempt a"])
  end

  describe "a collector that never ends its answer" do
    def sent_by(answer)
      endless = Collector.new { answer }
      settings = Flowline::Telemetry::Settings.new("OTEL_EXPORTER_OTLP_ENDPOINT" => endless.url, "OTEL_EXPORTER_OTLP_TIMEOUT" => "300")
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      result = Flowline::Telemetry::Sender.new(settings, "traces").post("{}")
      [result.outcome, result.reason, Process.clock_gettime(Process::CLOCK_MONOTONIC) - began]
    ensure
      endless.close
    end

    {
      "sends its body byte by byte" => ->(socket) { socket.write("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n") && loop { socket.write("x") && sleep(0.05) } },
      "sends headers for ever" => ->(socket) { socket.write("HTTP/1.1 200 OK\r\n") && loop { socket.write("X-A: b\r\n") && sleep(0.05) } }
    }.each do |what, answer|
      it "is given up after OTEL_EXPORTER_OTLP_TIMEOUT when it #{what}" do
        expect(sent_by(answer)).to match([:later, "it has not answered within 0.3 s", be < 5])
      end
    end

    it "is given up after a few bytes when it sends a body without an end, which is not held in memory" do
      flood = ->(socket) { socket.write("HTTP/1.1 200 OK\r\n\r\n") && loop { socket.write("x" * 65_536) } }
      expect(sent_by(flood)).to match([:later, /IOError: its answer has more than 65536 bytes/, be < 5])
    end
  end

  it "says once that spans are dropped because the address of the collector is none" do
    said = StringIO.new
    exporter = Flowline::Telemetry::Exporter.new(Flowline::Telemetry::Settings.new("OTEL_EXPORTER_OTLP_ENDPOINT" => "bogus"), said)
    Flowline::Telemetry.exporter = exporter
    2.times { run { step(:a) { 1 } } && exporter.flush(5) }
    expect(said.string).to match(/\Aflowline: spans are not sent to the collector and are dropped: OTEL_EXPORTER_OTLP_ENDPOINT is not an address.*\n\z/)
    expect(exporter.dropped).to eq(6)
  end

  it "shows the words of a collector, and does not send them to the terminal as commands" do
    rude = Collector.new { ["200 OK", JSON.generate(partialSuccess: { rejectedSpans: "5", errorMessage: "no\e[31m\u202E" })] }
    settings = Flowline::Telemetry::Settings.new("OTEL_EXPORTER_OTLP_ENDPOINT" => rude.url)
    expect(Flowline::Telemetry::Sender.new(settings, "traces").post("{}").to_a).to eq([:sent, "no\\e[31m\\u202E", 5, nil])
  ensure
    rude.close
  end

  describe "with settings" do
    let(:variables) do
      { "OTEL_SERVICE_NAME" => "shop", "OTEL_RESOURCE_ATTRIBUTES" => "service.name=other,deployment.environment=staging%20eu",
        "OTEL_EXPORTER_OTLP_HEADERS" => "authorization=Bearer%20abc, x-tenant = 7", "OTEL_EXPORTER_OTLP_COMPRESSION" => "gzip" }
    end

    it "sends the headers, the service name and the attributes of the resource that the environment names" do
      run { step(:a) { 1 } }
      spans
      request = collector.requests.first
      expect(request.headers).to include("authorization" => "Bearer abc", "x-tenant" => "7", "content-encoding" => "gzip")
      resource = attributes(request.json[:resourceSpans].first[:resource])
      expect(resource).to include("service.name" => "shop", "deployment.environment" => "staging eu", "process.pid" => Process.pid)
    end
  end

  describe "with OTEL_TRACES_EXPORTER=none" do
    let(:variables) { { "OTEL_TRACES_EXPORTER" => "none" } }

    it "sends metrics only" do
      run { step(:a) { 1 } }
      spans
      expect(collector.requests.map(&:path).uniq).to eq(["/v1/metrics"])
    end
  end

  describe "with a small queue and a collector that is down" do
    let(:variables) { { "OTEL_BSP_MAX_QUEUE_SIZE" => "10", "OTEL_EXPORTER_OTLP_ENDPOINT" => "http://127.0.0.1:1" } }

    it "drops what does not fit, counts it, and says so once" do
      30.times { run { step(:a) { 1 } } }
      expect(exporter.flush(5)).to be(false)
      30.times { run { step(:a) { 1 } } }
      exporter.flush(5)
      expect(exporter.dropped).to be > 100
      expect(said.string.lines.size).to eq(1)
      expect(said.string).to match(%r{\Aflowline: spans are not sent to http://127.0.0.1:1/v1/traces and are dropped: Errno::ECONNREFUSED})
    end
  end

  describe "with a collector that is busy at first" do
    let(:answer) { ->(number) { ["503 Busy", ""] if number == 1 } }

    it "sends the same spans again" do
      run { step(:a) { 1 } }
      expect(exporter.flush(5)).to be(false)
      expect(exporter.flush(5)).to be(true)
      expect(collector.spans.map { |span| span[:spanId] }.tally.values.uniq).to eq([2])
      expect(exporter.dropped).to eq(0)
    end
  end

  describe "with a collector that refuses" do
    let(:answer) { ->(_) { ["400 Bad Request", ""] } }

    it "drops the spans" do
      run { step(:a) { 1 } }
      exporter.flush(5)
      expect(exporter.dropped).to eq(3)
      expect(said.string).to include("it answered 400 Bad Request")
    end
  end

  describe "with a collector that takes a part" do
    let(:answer) { ->(_) { ["200 OK", '{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}'] } }

    it "counts the others as dropped" do
      run { step(:a) { 1 } }
      exporter.flush(5)
      expect(exporter.dropped).to eq(2)
      expect(said.string).to include("too old")
    end
  end

  it "does not hold up a run, and its exit for no longer than it may, with a collector that never answers" do
    silent do |url|
      quiet = Flowline::Telemetry::Exporter.new(Flowline::Telemetry::Settings.new("OTEL_EXPORTER_OTLP_ENDPOINT" => url), said)
      Flowline::Telemetry.exporter = quiet
      expect(seconds { 20.times { run { step(:a) { 1 } } } }).to be < 2
      expect(seconds { quiet.flush(0.3) }).to be_between(0.2, 2)
    end
  end

  it "leaves the spans of a process to that process when it forks" do
    run { step(:before) { 1 } }
    child = fork do
      run { step(:within) { 1 } }
      exit!(exporter.flush(5) ? 0 : 1)
    end
    _, status = Process.wait2(child)
    expect(status).to be_success
    exporter.flush(5)
    expect(collector.spans.map { |span| span[:name] }.tally).to include("step before" => 1, "step within" => 1)
  end

  it "starts no thread, and has no observer, before a run" do
    script = 'require "flowline/otlp"; puts Thread.list.size, $LOADED_FEATURES.grep(/net\/http/).size'
    output, = Open3.capture2e(RbConfig.ruby, "-I#{Processes::LIB}", "-e", script)
    expect(output.split).to eq(%w[1 0])
  end

  it "sends what is left when the program ends" do
    script = 'require "flowline/otlp"; Flowline.define { |p| p.step(:last) { 1 } }.run'
    output, status = Open3.capture2e({ "OTEL_EXPORTER_OTLP_ENDPOINT" => collector.url }, RbConfig.ruby, "-I#{Processes::LIB}", "-e", script)
    expect([output, status.success?]).to eq(["", true])
    expect(collector.spans.map { |span| span[:name] }).to include("run unnamed")
  end

  it "exports nothing if OTEL_SDK_DISABLED is true" do
    script = 'require "flowline/otlp"; Flowline.define { |p| p.step(:last) { 1 } }.run'
    variables = { "OTEL_EXPORTER_OTLP_ENDPOINT" => collector.url, "OTEL_SDK_DISABLED" => "true" }
    Open3.capture2e(variables, RbConfig.ruby, "-I#{Processes::LIB}", "-e", script)
    expect(collector.requests).to eq([])
  end

  describe "flowline trace" do
    let(:environment) { { "OTEL_EXPORTER_OTLP_ENDPOINT" => collector.url } }

    def trace(*arguments)
      Open3.capture3(environment, *Processes::FLOWLINE, "trace", *arguments)
    end

    it "sends the spans of a run from history, with the ids that they had while it ran", executor: :in_process do
      result = flaky.run
      exporter.flush(5)
      live = collector.spans
      collector.requests.clear
      output, errors, status = trace(result.run_id)
      expect([output, errors, status.exitstatus]).to eq(["sent 8 spans of run #{result.run_id} of import to #{collector.url}/v1/traces\n", "", 0])
      expect(collector.problems).to eq([])
      described = ->(spans) { spans.map { |span| span.values_at(:traceId, :spanId, :parentSpanId, :name).push(attributes(span)["flowline.status"]) } }
      expect(described.call(collector.spans)).to match_array(described.call(live))
    end

    it "sends the spans of a run that crashed" do
      Flowline::Telemetry.exporter = nil
      pipeline = Flowline.define(name: "crash") do |p|
        p.step(:one) { 1 }
        p.step(:two, depends_on: :one) { |_| Process.kill(:KILL, Process.pid) }
      end
      Process.wait(fork { pipeline.run(executor: :sequential) })
      output, = trace
      expect(output).to match(/\Asent \d spans of run \S+ of crash/)
      run = collector.spans.find { |span| span[:name] == "run crash" }
      expect(attributes(run)).to include("flowline.status" => "crashed")
      expect(collector.spans.map { |span| span[:name] }).to include("step one")
    end

    it "prints the request with --json and sends nothing" do
      Flowline::Telemetry.exporter = nil
      Flowline.define(name: "once") { step(:one) { 1 } }.run
      output, = trace("--json")
      expect(JSON.parse(output)["resourceSpans"].size).to eq(1)
      expect(collector.requests).to eq([])
    end

    it "says which run is not there, and exits with 1" do
      Flowline.define(name: "once") { step(:one) { 1 } }.run
      _, errors, status = trace("20200101T000000-00000000")
      expect([errors, status.exitstatus]).to match([/\Aflowline: trace: there is no run 20200101T000000-00000000, and no pipeline of that name, in /, 1])
    end

    it "says that the collector is down, and exits with 1" do
      Flowline.define(name: "once") { step(:one) { 1 } }.run
      environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
      _, errors, status = trace
      expect([errors, status.exitstatus]).to match([%r{\Atrace: http://127.0.0.1:1/v1/traces has not taken the trace of run \S+: Errno::ECONNREFUSED}, 1])
    end
  end

  # Rotel is a collector in one program. PyPI has it as `rotel`; ROTEL may name the program.
  describe "to Rotel" do
    def rotel
      found = ENV.fetch("ROTEL", nil) || begin
        folder, = Open3.capture2e("python3", "-c", "import rotel, os; print(os.path.dirname(rotel.__file__))")
        File.join(folder.strip, "rotel-agent")
      rescue SystemCallError
        nil
      end
      found if found && File.executable?(found)
    end

    def free_port
      TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
    end

    def wait_for(port)
      100.times do
        return TCPSocket.new("127.0.0.1", port).close
      rescue SystemCallError
        sleep(0.05)
      end
    end

    def with_rotel(program, folder)
      port = free_port
      log = File.join(folder, "log")
      pid = spawn(program, "start", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log", "metrics", "--debug-log-verbosity", "detailed",
                  "--otlp-http-endpoint", "127.0.0.1:#{port}", "--otlp-grpc-endpoint", "127.0.0.1:#{free_port}", out: log, err: log)
      wait_for(port)
      yield "http://127.0.0.1:#{port}"
      100.times { File.read(log).include?("flowline.run.duration") ? break : sleep(0.05) }
      File.read(log)
    ensure
      Process.kill(:TERM, pid)
      Process.wait(pid)
    end

    it "sends traces and metrics that it understands", executor: :in_process do
      program = rotel or skip("needs rotel")
      Dir.mktmpdir do |folder|
        log = with_rotel(program, folder) do |url|
          Flowline::Telemetry.exporter = Flowline::Telemetry::Exporter.new(Flowline::Telemetry::Settings.new("OTEL_EXPORTER_OTLP_ENDPOINT" => url), said)
          flaky.run
          expect(Flowline::Telemetry.flush).to be(true)
        end
        expect(log.scan(/Name +: (.+)/).flatten).to include("run import", "step load", "attempt load")
        expect(log).to include("Status message : no address", "-> flowline.wait.retry: Double(0.02)", "-> Name: flowline.run.duration")
        expect(said.string).to eq("")
      end
    end
  end
end
