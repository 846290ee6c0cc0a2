# frozen_string_literal: true

require "timeout"

# How the coordinator of a run, the pools and the attempts work together.
RSpec.describe "The centre of a run" do
  %i[sequential parallel process].each do |executor|
    it "counts the time of a step from its call under :#{executor}, however long a reporter takes" do
      slow = ->(event) { sleep(3) if event.name == :step_started && event.step.name == :a }
      pipeline = Flowline.define { |p| %i[a b].each { |name| p.step(name) { sleep(0.2) } } }
      result = pipeline.run(executor: executor, max_threads: 2, max_processes: 2, reporter: slow)
      expect(result.steps.map(&:duration)).to all(be_between(0.19, 2.9))
    end
  end

  it "notifies of no retry of an item after the end of its step" do
    events = []
    pipeline = Flowline.define do |p|
      p.step(:list) { [1, 2] }
      p.step(:map, each: :list, retries: 3) do |item|
        (sleep(0.1) && exit(3)) if item == 1
        sleep
      ensure
        raise "cleaning up failed" if item == 2
      end
    end
    observe = ->(event) { events << event.name if event.step&.name == :map }
    expect { pipeline.run(executor: :parallel, max_threads: 2, reporter: observe) }.to raise_error(SystemExit)
    expect(events).to eq(%i[step_started step_finished])
  end

  %i[sequential parallel].each do |executor|
    it "does not interrupt the source of a step that always runs under :#{executor} on the first cancel(now: true)", executor: :in_process do
      reading = Queue.new
      pipeline = Flowline.define do |p|
        p.step(:rows) { Enumerator.new { |items| (items << 1) && (reading << true) && sleep(0.2) && (items << 2) } }
        p.step(:map, each: :rows, run_if: :always) { |row| row }
      end
      run = pipeline.start(executor: executor)
      reading.pop
      result = run.cancel(now: true).wait
      expect(result[:map]).to have_attributes(status: :succeeded, output: [1, 2])
    end
  end

  it "ends a child that ignores its time limit for certain, and retries the step" do
    pipeline = Flowline.define do |p|
      p.step(:a, timeout: 0.3, retries: 1) { trap("TERM", "IGNORE") && sleep(20) }
    end
    result = pipeline.run(executor: :process)
    expect(result[:a]).to have_attributes(status: :timed_out, attempts: 2)
    expect(result.warnings).to be_empty
  end

  it "calls before_fork without a mask" do
    config = Flowline::Configuration.new
    ended = false
    config.before_fork do
      Timeout.timeout(0.02) { sleep(5) }
    rescue Timeout::Error
      ended = true
    end
    allow(Flowline).to receive(:config).and_return(config)
    Flowline.define { |p| p.step(:a) { 1 } }.run(executor: :process)
    expect(ended).to be(true)
  end

  it "drops every interruption that comes too late" do
    section = Flowline::Executor::Section.new
    inside = Queue.new
    thread = Thread.handle_interrupt(Flowline::Executor::Section::CLOSED) do
      Thread.new do
        begin
          section.call(:first) { Thread.handle_interrupt(Object => :never) { (inside << true) && sleep(0.2) } }
        rescue Flowline::Executor::Section::Stopped
          stopped = true
        end
        [stopped, section.call(:second) { sleep(0.01) && :whole }]
      end
    end
    inside.pop
    4.times { section.interrupt(:first) }
    expect(thread.value).to eq([true, :whole])
  end

  [1, 4].each do |threads|
    it "calls nothing that was handed over ahead of #{threads == 1 ? "the worker" : "the workers"} after a failure" do
      after = 0
      pipeline = Flowline.define do |p|
        100.times { |number| p.step(:"quick_#{number}") { number } }
        p.step(:bad) { (after = 1) && raise("no") }
        100.times { |number| p.step(:"later_#{number}") { after += 1 if after.positive? } }
      end
      result = pipeline.run(executor: :parallel, max_threads: threads)
      expect(after).to be <= threads # Another worker may call one at the same time.
      expect(result.steps.last(90)).to all(have_attributes(status: :cancelled, reason: :run_failed))
    end
  end

  it "calls what was handed over ahead after all when the failure of a step does not stop the run" do
    pipeline = Flowline.define do |p|
      300.times { |number| p.step(:"s#{number}", optional: number.odd?) { number.odd? ? raise("no") : number } }
    end
    expect(pipeline.run(executor: :parallel, max_threads: 2).steps.map(&:status).tally).to eq(succeeded: 150, failed: 150)
    expect(pipeline.run(executor: :parallel, max_threads: 2, on_error: :continue).outputs.size).to eq(150)
  end

  it "ends its workers, although it is interrupted while a source cleans up" do
    cleaning = Queue.new
    pipeline = Flowline.define(timeout: 0.2) do |p|
      p.step(:rows) do
        Enumerator.new do |items|
          (items << 1) && sleep
        ensure
          (cleaning << true) && sleep(0.5)
        end
      end
      p.step(:map, each: :rows) { |row| row }
    end
    thread = Thread.new { pipeline.run(executor: :parallel) }
    thread.report_on_exception = false
    cleaning.pop
    before = Thread.list
    thread.raise(Interrupt)
    expect { thread.join }.to raise_error(Interrupt)
    expect((before & Thread.list).select { |other| other.name&.start_with?("flowline worker") && other.join(2).nil? }).to be_empty
  end

  %i[sequential parallel process].each do |executor|
    it "stops everything under :#{executor} when it is cancelled twice before it has started" do
      allow(Flowline::Executor).to receive(:resolve).and_wrap_original do |resolve, *arguments|
        pool = resolve.call(*arguments)
        allow(pool).to(receive(:open_pool).and_wrap_original { |open, *facts| sleep(0.05) && open.call(*facts) })
        pool
      end
      pipeline = Flowline.define { |p| p.step(:a) { 1 } && p.step(:clean, depends_on: :a, run_if: :always) { 2 } }
      run = pipeline.start(executor: executor)
      2.times { run.cancel(now: true) }
      expect(run.wait.steps).to all(have_attributes(status: :cancelled, reason: :interrupted))
    end
  end

  %i[parallel process].each do |executor|
    it "does not call a step under :#{executor} whose condition was asked when the run was stopped" do
      hooks = []
      failed = File.join(ENV.fetch("FLOWLINE_ROOT"), "failed")
      slow = -> { (sleep(0.02) until File.exist?(failed)) || sleep(1) }
      pipeline = Flowline.define do |p|
        p.before_step { |step| hooks << step.name }
        p.on_step_failure { FileUtils.mkdir_p(failed) }
        p.step(:list) { [1] }
        p.step(:bad, depends_on: :list) { |_| raise "no" }
        p.step(:late, depends_on: :list, when: slow) { |_| 1 }
        p.step(:map, each: :list, when: slow) { |item| item }
      end
      result = pipeline.run(executor: executor, max_threads: 3, max_processes: 3)
      expect([result[:late], result[:map]]).to all(have_attributes(status: :cancelled, reason: :run_failed))
      expect(hooks).to eq(%i[list bad])
    end
  end

  it "notifies of its end, although an exception arrives while that is recorded" do
    recording = Queue.new
    allow(Flowline::Recording).to receive(:of).and_wrap_original do |of, *arguments|
      of.call(*arguments).tap { |made| allow(made).to receive(:finish) { (recording << true) && sleep(0.2) } }
    end
    log = []
    pipeline = Flowline.define { |p| p.after_run { log << :after_run } && p.step(:a) { 1 } }
    thread = Thread.new { pipeline.run(executor: :parallel) }
    thread.report_on_exception = false
    recording.pop
    thread.raise(Interrupt)
    expect { thread.join }.to raise_error(Interrupt)
    expect(log).to eq([:after_run])
  end

  it "fails a mapped step whose item had failed when another item is interrupted" do
    reached = Queue.new
    failed = Queue.new
    pipeline = Flowline.define do
      step(:rows) { [0, 1] }
      step(:map, each: :rows, concurrency: 2) do |n|
        n.zero? ? (reached.pop && raise(ArgumentError, "item")) : (reached << true) && failed.pop
      end
    end
    run = pipeline.start(executor: :parallel, max_threads: 2)
    Thread.pass until failed.num_waiting == 1 && reached.empty?
    sleep 0.05
    run.cancel(now: true)
    expect(run.wait(10)[:map]).to have_attributes(status: :failed, error: be_a(Flowline::ItemError))
  end

  it "warns of the steps that were being called, not of those that wait, when they do not stop" do
    stub_const("Flowline::Executor::GRACE", -0.9)
    reached = Queue.new
    release = Queue.new
    pipeline = Flowline.define do
      200.times { |i| step(:"quick#{i}") { i } }
      step(:stubborn, depends_on: :quick199) do |_|
        (reached << 1) && sleep
      ensure
        release.pop
      end
      60.times { |i| step(:"more#{i}", depends_on: :quick199) { |_| i } }
    end
    run = pipeline.start(executor: :parallel, max_threads: 1)
    reached.pop
    run.cancel(now: true)
    result = run.wait(10)
    release << :late
    expect(result.warnings).to eq(["a step did not stop, and may still run"])
  end
end
