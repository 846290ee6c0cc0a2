# frozen_string_literal: true

RSpec.describe "Time limits", executor: :in_process do
  let(:timer) { Flowline::Executor::Timer }

  def duration
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    yield
    Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
  end

  describe Flowline::Executor::Timer do
    it "returns the value of a block that ends in time" do
      expect(timer.limit(5) { :value }).to eq([:value, :stopped])
      expect { timer.limit(5) { raise ArgumentError, "own" } }.to raise_error(ArgumentError, "own")
      expect(catch(:out) { timer.limit(5) { throw :out, 3 } }).to eq(3)
    end

    it "ends a block that takes too long, whatever it rescues" do
      expect(timer.limit(0.02) { sleep }).to eq([nil, :expired])
      expect(timer.limit(0.02) { begin sleep; rescue StandardError then :swallowed end }).to eq([nil, :expired])
      expect(timer.limit(0.02) { begin sleep; rescue Exception then :swallowed end }).to eq([nil, :expired]) # rubocop:disable Lint/RescueException
      expect(timer.limit(0.02) { begin sleep; rescue Exception then raise "another" end }).to eq([nil, :expired]) # rubocop:disable Lint/RescueException
    end

    it "runs ensure blocks" do
      seen = []
      timer.limit(0.02) { begin sleep; ensure seen << :cleaned end }
      expect(seen).to eq([:cleaned])
    end

    it "tells nested limits apart" do
      expect(timer.limit(5) { timer.limit(0.02) { sleep } }).to eq([[nil, :expired], :stopped])
      inner = nil
      expect(timer.limit(0.02) { inner = timer.limit(5) { sleep } }).to eq([nil, :expired])
      expect(inner).to be_nil
    end

    it "raises nothing late among many short limits" do
      threads = Array.new(4) do
        Thread.new do
          250.times.map { timer.limit(0.0005) { 300.times { Math.sqrt(2) } } }.each { |value, ended| raise "both" if value && ended == :expired }
          10.times { Thread.pass }
          :calm
        end
      end
      expect(threads.map(&:value)).to all(eq(:calm))
    end

    it "passes other exceptions through" do
      thread = Thread.new { timer.limit(5) { sleep } }
      thread.report_on_exception = false
      Thread.pass until thread.stop?
      thread.raise(ArgumentError, "mine")
      expect { thread.join }.to raise_error(ArgumentError, "mine")

      thread = Thread.new { timer.limit(5) { sleep } }
      Thread.pass until thread.stop?
      expect(thread.kill.join(5)).to be(thread)
    end

    it "works in a forked child" do
      timer.limit(5) { 1 }
      reader, writer = IO.pipe
      pid = fork do
        writer.write(Marshal.dump(timer.limit(0.02) { sleep }))
        exit!(0)
      end
      writer.close
      expect(Marshal.load(reader.read)).to eq([nil, :expired])
      Process.wait(pid)
    end

    it "starts its thread again after it was killed" do
      timer.limit(5) { 1 }
      Thread.list.find { |thread| thread.name == "flowline timer" }.kill.join
      expect(timer.limit(0.02) { sleep }).to eq([nil, :expired])
    end

    it "handles many limits at once" do
      threads = Array.new(200) { |n| Thread.new { timer.limit(0.01 + (n * 0.0001)) { sleep } } }
      expect(threads.map(&:value)).to all(eq([nil, :expired]))
    end
  end

  it "of a step end it despite its own rescue" do
    result = Flowline.define { step(:slow, timeout: 0.03) { begin sleep; rescue StandardError then 1 end } }.run
    expect(result[:slow]).to have_attributes(status: :timed_out, output: nil, attempts: 1)
    expect(result.error).to have_attributes(class: Flowline::TimeoutError, step_name: :slow, limit: 0.03, scope: :step)
    expect(result.status).to eq(:failed)
  end

  it "of a step apply to each attempt" do
    tries = 0
    result = Flowline.define { step(:slow, timeout: 0.3, retries: 1) { (tries += 1) == 1 ? sleep : :quick } }.run
    expect(result[:slow]).to have_attributes(status: :succeeded, output: :quick, attempts: 2)
  end

  it "wait for a step that swallows everything, and count it as timed out" do
    result = Flowline.define do
      step(:stubborn, timeout: 0.02) { begin sleep; rescue Exception then :done end } # rubocop:disable Lint/RescueException
      step(:after, depends_on: :stubborn, run_if: :always) { 1 }
    end.run
    expect(result.steps.map(&:status)).to eq(%i[timed_out succeeded])
  end

  it "of a run end the running step and cancel the others" do
    seen = []
    pipeline = Flowline.define(timeout: 0.3) do
      on_step_failure { |step, error| seen << [step.name, error.scope] }
      on_failure { |error| seen << error.class }
      step(:quick) { 1 }
      step(:slow, depends_on: :quick, retries: 5) { |_| sleep }
      step(:never, depends_on: :slow) { 1 }
      step(:clean, depends_on: :never, run_if: :always) { :cleaned }
    end
    result = pipeline.run
    expect(outcomes(result)).to eq(quick: :succeeded, slow: :timed_out, never: %i[cancelled run_timed_out], clean: :succeeded)
    expect([result.status, result.error.scope, result.error.limit, result[:clean].output]).to eq([:timed_out, :run, 0.3, :cleaned])
    expect(seen).to eq([%i[slow run], Flowline::TimeoutError])
    expect(pipeline.run(timeout: 0.01).error.limit).to eq(0.01)
  end

  it "of a run end it while a step waits for a retry" do
    result = Flowline.define { step(:flaky, retries: 1, retry_strategy: :linear, retry_delay: 60) { raise IOError } }.run(timeout: 0.05)
    expect(outcomes(result)).to eq(flaky: :failed)
    expect([result.status, result.error.message]).to eq([:timed_out, "the run was stopped by its time limit of 0.05 s; make it faster, or raise timeout:"])
    expect(result.duration).to be < 30
  end

  %i[sequential parallel process].each do |executor|
    it "end steps of fibers that share their thread with others, under :#{executor}" do
      log = []
      pipeline = Flowline.define do |p|
        p.step(:slow, timeout: 0.1) { sleep }
        p.step(:cleans_up, timeout: 0.1) do
          sleep
        ensure
          raise IOError, "no matter"
        end
        p.step(:fails, timeout: 5) { sleep(0.01) && raise(IOError, "own") }
        p.step(:quick, timeout: 5) { sleep(0.01) && 1 }
      end
      Thread.new do
        Fiber.set_scheduler(FiberLoop.new)
        Fiber.schedule { log << outcomes(pipeline.run(executor: executor, on_error: :continue, timeout: 10)) }
        Fiber.schedule { sleep(0.02) && log.push(:other) }
      end.join
      expect(log).to eq([:other, { slow: :timed_out, cleans_up: :timed_out, fails: :failed, quick: :succeeded }])
    end
  end

  it "of a run that times out between attempts notify of every step once" do
    log = []
    Flowline.define do |p|
      log_hooks(p, log)
      p.step(:flaky, retries: 1, retry_strategy: :linear, retry_delay: 60) { raise IOError }
      p.step(:after, depends_on: :flaky) { |_| 1 }
    end.run(timeout: 0.05)
    expect(log.map { |hook, name| [hook, name].compact }).to eq([[:before_run], %i[before_step flaky], %i[on_step_retry flaky], %i[on_step_failure flaky],
                                                                 %i[after_step flaky], %i[on_step_skip after], [:on_failure], [:after_run]])
  end

  it "let steps that run always run after a timeout between attempts" do
    result = Flowline.define do
      step(:flaky, retries: 1, retry_strategy: :linear, retry_delay: 60) { raise IOError }
      step(:clean, depends_on: :flaky, run_if: :always) { |_| :cleaned }
    end.run(timeout: 0.05)
    expect([result.status, result.outputs]).to eq([:timed_out, { clean: :cleaned }])
  end

  it "do not depend on the wall clock" do
    allow(Time).to receive(:now).and_return(Time.at(0), Time.at(10**9), Time.at(1))
    expect(Flowline.define { step(:a, timeout: 30) { 1 } }.run(timeout: 30)).to be_success
  end

  it "of an optional step do not fail the run" do
    result = Flowline.define do
      step(:slow, timeout: 0.02, optional: true) { sleep }
      step(:other) { 1 }
    end.run
    expect([result.status, result[:slow].status]).to eq(%i[succeeded timed_out])
  end

  describe "the run's limit outside of steps" do
    it "ends a condition" do
      result = run(timeout: 0.05) { step(:a, when: -> { sleep }) { raise "must not be called" } }
      expect(result.status).to eq(:timed_out)
      expect(result[:a]).to have_attributes(status: :timed_out, error: have_attributes(scope: :run, limit: 0.05))
    end

    it "ends a wait for another run that computes the same key, and a slow key:" do
      computing = Queue.new
      go_on = Queue.new
      pipeline = Flowline.define(cache: Flowline::Cache::Memory.new) do
        step(:a, cache: true) { computing << go_on.pop }
      end
      other = Thread.new { pipeline.run }
      Thread.pass until go_on.num_waiting == 1
      expect(pipeline.run(timeout: 0.05)[:a].status).to eq(:timed_out)
      go_on << 1
      expect(other.value).to be_success

      expect(run(timeout: 0.05) { step(:a, cache: { key: -> { sleep } }) { 1 } }[:a].status).to eq(:timed_out)
    end
  end
end
