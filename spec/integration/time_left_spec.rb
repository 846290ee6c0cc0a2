# frozen_string_literal: true

RSpec.describe Flowline::Reporter::Board do
  it "counts only what still runs in the time left of a run that is stopping" do
    seconds = { short: 0.05, long: 5.0, clean: 2.0 }
    waits = ->(name) { sleep(seconds[name]) if seconds[name] < 1 }
    pipeline = Flowline.define(name: "stopping") do |p|
      p.step(:short) { waits[:short] }
      p.step(:long, depends_on: :short) { |_| waits[:long] }
      p.step(:clean, depends_on: :long, run_if: :always) { |_| waits[:clean] }
    end
    allow_any_instance_of(Flowline::Recording::Journal).to receive(:timings).and_return(seconds)
    board = nil
    left = {}
    reporter = Flowline::Reporter.for(:all) do |event|
      board = described_class.new(event) if event.name == :run_started
      board.call(event)
      next unless event.name == :step_started && event.step.name == :short

      left[:before] = board.state.left
      @run.cancel
      left[:after] = board.state.left
    end
    ready = Queue.new
    @run = nil
    gate = Flowline::Reporter.for(:run_started) { |_| ready.pop }
    @run = pipeline.start(reporter: [gate, reporter], executor: :parallel)
    ready << true
    @run.wait
    expect(left[:before]).to be_within(0.5).of(7.05)
    expect(left[:after]).to be_within(0.5).of(2.05)
  end
end
