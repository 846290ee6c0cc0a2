# frozen_string_literal: true

require "timeout"

# Hooks, reporters and caches of the user's that never return.
RSpec.describe "A run with a time limit" do
  let(:log) { [] }

  def hanging(hook, seconds = 60)
    Flowline.define do |p|
      p.public_send(hook) { sleep(seconds) }
      p.after_run { |result| log << result.status }
      p.step(:a) { 1 }
      p.step(:b, depends_on: :a) { |_| 2 }
    end
  end

  # A cache whose client never returns, whatever interrupts it.
  def stubborn_cache
    Class.new do
      def get(_key)
        sleep
      rescue Exception # rubocop:disable Lint/RescueException -- it is stubborn
        retry
      end

      def set(_key, value, **) = value
      def exists?(_key) = false
    end.new
  end

  %i[sequential parallel process].each do |executor|
    it "times out in a before_run hook that never returns, and calls no step: #{executor}" do
      result = hanging(:before_run).run(executor: executor, timeout: 0.2)
      expect(result).to have_attributes(status: :timed_out, outputs: {}, error: have_attributes(class: Flowline::TimeoutError, limit: 0.2, scope: :run))
      expect(log).to eq([:timed_out])
    end

    it "times out in a before_step hook that never returns: #{executor}" do
      result = hanging(:before_step).run(executor: executor, timeout: 0.2)
      expect(outcomes(result)).to eq(a: :timed_out, b: %i[cancelled run_timed_out])
      expect(result.error).to have_attributes(class: Flowline::TimeoutError, scope: :run)
    end

    it "calls no step after its time is up, although a hook held it: #{executor}", executor: :in_process do
      called = Queue.new
      result = Flowline.define do |p|
        p.before_step do
          sleep(0.3)
        rescue Exception # rubocop:disable Lint/RescueException -- it is stubborn
          sleep(0.2)
        end
        4.times { |i| p.step(:"s#{i}") { called << true } }
      end.run(executor: executor, timeout: 0.1, max_threads: 4)
      expect([result.status, called.size]).to eq([:timed_out, 0])
      expect(result.steps.map(&:status).uniq - %i[timed_out cancelled]).to be_empty
    end
  end

  it "says that its time was up where it stopped the label: of a step" do
    label = ->(_) { sleep(60) }
    result = Flowline.define do
      step(:a) { [1] }
      step(:b, depends_on: :a, each: :a, label: label) { |_| raise "no" }
    end.run(timeout: 0.2, executor: :sequential)
    expect(result.warnings).to include(/\Alabel: of step b failed: the run's time limit of 0.2 s is up; its items are named by/)
  end

  it "interrupts hooks that report when it has no time left, with a warning" do
    stub_const("Flowline::Execution::Limits::LATE", 0.1)
    %i[after_step on_step_success after_run on_success].each do |hook|
      result = hanging(hook).run(timeout: 0.2)
      expect(result.outputs).to include(a: 1)
      expect(result.warnings).to include("hook #{hook} was interrupted: the run's time limit of 0.2 s is up")
      expect(log.last).to eq(result.status)
    end
  end

  it "lets a hook that reports finish soon after its time is up" do
    expect(hanging(:after_run, 0.3).run(timeout: 0.2)).to have_attributes(status: :succeeded, warnings: [])
  end

  it "interrupts a reporter, and leaves it out when that happens again" do
    stub_const("Flowline::Execution::Limits::LATE", 0.1)
    result = hanging(:on_step_skip, 0).run(timeout: 0.2, reporter: ->(event) { sleep if event.step })
    expect(result.warnings).to contain_exactly(/reporter Proc was interrupted: the run's time limit/, /reporter Proc was interrupted again and left out/)
  end

  it "interrupts a reporter that hangs, says so, and leaves it out when it hangs again, in a run without a time limit" do
    stub_const("Flowline::Execution::Limits::HANGS", 0.1)
    reported = []
    selective = Flowline::Reporter.for(:step_finished) { |event| event.step.name == :a ? sleep : reported << event.step.name }
    result = Flowline.define { |p| %i[a b].each { |name| p.step(name) { 1 } } }.run(reporter: [->(_) { sleep }, selective])
    expect(result.outputs).to eq(a: 1, b: 1)
    expect(result.warnings).to contain_exactly("reporter Proc was interrupted: it had an event for 0.1 s",
                                               "reporter Proc was interrupted again and left out: it had an event for 0.1 s",
                                               /\Areporter .+Selective was interrupted: it had an event for 0.1 s\z/)
    expect(reported).to eq([:b])
  end

  it "lets a reporter of Flowline wait for the reader of its output", executor: :sequential do
    stub_const("Flowline::Execution::Limits::HANGS", 0.1)
    reader, writer = IO.pipe
    text = "x" * 100_000 # More than a pipe holds.
    slow = Thread.new { sleep(0.4) && reader.read }
    result = Flowline.define(name: text) { |p| p.step(:a) { 1 } }.run(reporter: Flowline::Reporter::JSON.new(writer), checkpoint: false)
    writer.close
    expect([result.warnings, slow.value.lines.size]).to eq([[], 4])
  end

  it "abandons a step whose cache never returns, whatever interrupts it" do
    stub_const("Flowline::Executor::GRACE", 0.1)
    started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    result = Flowline.define(cache: stubborn_cache) do |p|
      p.step(:a, cache: true) { 1 }
      p.step(:b) { 2 }
    end.run(executor: :parallel, timeout: 0.1)
    expect(outcomes(result)).to eq(a: :timed_out, b: :succeeded)
    expect(result.warnings).to include(/step a did not stop when its time was up/)
    expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - started).to be < 5
  end

  it "keeps counting other limits when an attempt could not be abandoned" do
    stub_const("Flowline::Executor::GRACE", 0.1)
    stubborn = lambda do
      sleep
    rescue Exception # rubocop:disable Lint/RescueException -- it is stubborn
      sleep(0.3)
    end
    expect do
      expect(Flowline::Executor::Timer.limit(0.01, ->(_) { raise "no thread" }, &stubborn)).to eq([nil, :given_up])
    end.to output(/could not be abandoned: RuntimeError: no thread/).to_stderr
    expect(Flowline::Executor::Timer.limit(0.01) { sleep }).to eq([nil, :expired])
  end
end
