# frozen_string_literal: true

# What holds the run while its outputs and items are made into bytes: Ruby calls the user's `marshal_dump` for that.
RSpec.describe "Serialising an output" do
  before do
    stub_const("SlowDump", Class.new do
      def initialize(seconds) = @seconds = seconds
      def marshal_dump = sleep(@seconds)
      def marshal_load(_) = nil
    end)
  end
  let(:unrecorded) { [/\Athe output of step a is not recorded, since it was not serialised before the run was stopped; the step runs again on resume\z/] }

  # The output is made by the step: what its block has captured is digested before the run.
  def pipeline(seconds)
    Flowline.define(name: "slow") do
      step(:a) { SlowDump.new(seconds) }
      step(:b, depends_on: :a) { |_| 2 }
    end
  end

  def seconds
    began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    yield
    Process.clock_gettime(Process::CLOCK_MONOTONIC) - began
  end

  %i[sequential parallel].each do |executor|
    it "ends when the run's time is up, and the output counts as not recorded: #{executor}" do
      result = nil
      expect(seconds { result = pipeline(8).run(timeout: 1, executor: executor) }).to be < 4
      expect(result).to have_attributes(status: :timed_out, warnings: match(unrecorded))
      expect(outcomes(result)).to eq(a: :succeeded, b: %i[cancelled run_timed_out])
    end

    it "ends when the run is cancelled at once: #{executor}" do
      run = pipeline(8).start(executor: executor)
      sleep(0.01) until run.steps[:a] == :running
      sleep(0.2)
      expect(seconds { run.cancel(now: true).wait }).to be < 4
      expect(run.wait).to have_attributes(status: :cancelled, warnings: match(unrecorded))
    end

    it "ends when the items of a step cannot be digested in the run's time: #{executor}" do
      result = nil
      pipeline = Flowline.define(name: "slow items") do
        step(:a, checkpoint: false) { [SlowDump.new(8)] }
        step(:each, depends_on: :a, each: :a) { |_| 1 }
      end
      expect(seconds { result = pipeline.run(timeout: 0.3, executor: executor) }).to be < 4
      expect(result.status).to eq(:timed_out)
    end
  end

  it "has its time in a run that has time, and records" do
    pipeline = Flowline.define(name: "slow") do
      step(:a) { SlowDump.new(0.2) }
      step(:b, depends_on: :a) { |_| raise "no" }
    end
    expect(pipeline.run(timeout: 10).status).to eq(:failed)
    expect(pipeline.run(resume: true)[:a].status).to eq(:restored)
  end

  it "warns of one thing only if it takes long and fails" do
    stub_const("FailingDump", Class.new { def marshal_dump = sleep(0.15) && raise("no") })
    expect(Flowline.define(name: "failing") { step(:a) { FailingDump.new } }.run.warnings).to match([/is not recorded, since it cannot be serialised: no/])
  end
end
