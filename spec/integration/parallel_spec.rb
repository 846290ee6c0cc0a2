# frozen_string_literal: true

require_relative "../contracts/executor"
require "timeout"

RSpec.describe Flowline::Executor::Parallel do
  it_behaves_like("an executor") { let(:executor) { :parallel } }

  # Threads of a run that are alive.
  def workers
    Thread.list.select { |thread| thread.name.to_s.start_with?("flowline worker", "flowline items") }
  end

  def parallel(define: {}, max_threads: 4, **options, &definition)
    run(define: define, executor: :parallel, max_threads: max_threads, **options, &definition)
  end

  # Runs it in a thread of its own.
  def in_thread(&block)
    Thread.new(&block).tap { |thread| thread.report_on_exception = false }
  end

  after { workers.each { |thread| thread.join(5) } && expect(workers).to(be_empty) }

  describe "order" do
    it "starts a step the moment its last dependency ends, whatever else runs" do
      after = Queue.new
      result = parallel do
        step(:root) { 1 }
        step(:held, depends_on: :root) { |_| after.pop } # Ends only if what comes after the other one runs meanwhile.
        step(:quick, depends_on: :root) { |_| 2 }
        step(:next, depends_on: :quick) { |_| (after << :released) && 3 }
        step(:join, depends_on: %i[held next]) { |held, following| [held, following] }
      end
      expect(result[:join].output).to eq([:released, 3])
    end

    it "runs as many steps at once as max_threads: allows" do
      arrived = Queue.new
      go_on = Queue.new
      pipeline = Flowline.define { 8.times { |i| step(:"s#{i}") { (arrived << i) && go_on.pop } } }
      runner = in_thread { pipeline.run(executor: :parallel, max_threads: 8) }
      8.times { arrived.pop } # It would stay away if they didn't all run.
      8.times { go_on << :on }
      expect(runner.value.outputs.values).to eq([:on] * 8)
    end

    it "never runs more steps at once than max_threads: allows" do
      guard = Mutex.new
      now = most = 0
      result = parallel(max_threads: 3) do
        60.times do |i|
          step(:"s#{i}") do
            guard.synchronize { most = [most, now += 1].max }
            Thread.pass
            guard.synchronize { now -= 1 }
          end
        end
      end
      expect([result.status, now]).to eq([:succeeded, 0])
      expect(most).to be_between(1, 3)
    end

    it "holds no worker while a step waits for a retry" do
      other = Queue.new
      tries = 0
      result = parallel(max_threads: 1) do
        step(:flaky, retries: 1, retry_delay: 0.01) { (tries += 1) == 1 ? raise(IOError) : other.pop }
        step(:other) { other << :done }
      end
      expect(result[:flaky].output).to eq(:done)
    end

    it "starts with the longest path, by recorded times" do
      root = ENV.fetch("FLOWLINE_ROOT")
      order = Queue.new
      seconds = { short: 0.0, long: 0.05, tail: 0.0 }
      pipeline = Flowline.define(name: "timed") do
        step(:short) { (order << :short) && sleep(seconds[:short]) }
        step(:tail, depends_on: :short) { |_| sleep(seconds[:tail]) }
        step(:long) { (order << :long) && sleep(seconds[:long]) }
      end
      pipeline.run(executor: :parallel, max_threads: 1)
      expect(Array.new(2) { order.pop }).to eq(%i[short long]) # By depth.
      expect(Flowline::Store.existing(root).timings("timed")["long"]).to be > 0.04

      first = Queue.new
      pipeline.run(executor: :parallel, max_threads: 2, reporter: ->(event) { first << event.step.name if event.name == :step_started })
      expect(first.pop).to eq(:long)
    end

    it "runs a fan-out of 10,000 steps correctly on 16 threads" do
      pipeline = Flowline.define do
        step(:root) { 1 }
        10_000.times { |i| step(:"s#{i}", depends_on: :root) { |one| one + i } }
        step(:sum, depends_on: Array.new(10_000) { |i| :"s#{i}" }) { |all| all.each_value.sum }
      end
      expect(pipeline.run(executor: :parallel, max_threads: 16)[:sum].output).to eq(10_000 + (0...10_000).sum)
    end
  end

  describe "threads" do
    it "are named, do not report exceptions, and are not the caller's" do
      threads = parallel { 3.times { |i| step(:"s#{i}") { Thread.current } } }.outputs.values
      expect(threads).not_to include(Thread.current)
      expect(threads.map(&:name)).to all(match(/\Aflowline worker \d+\z/))
      expect(threads.map(&:report_on_exception).uniq).to eq([false])
    end

    it "neither see nor change thread-local variables of the caller" do
      Thread.current[:local] = :callers
      Thread.current.thread_variable_set(:variable, :callers)
      result = parallel do
        step(:a) { [Thread.current[:local], Thread.current.thread_variable_get(:variable)].tap { Thread.current[:local] = :changed } }
      end
      expect(result[:a].output).to eq([nil, nil])
      expect([Thread.current[:local], Thread.current.thread_variable_get(:variable)]).to eq(%i[callers callers])
    ensure
      Thread.current[:local] = nil
      Thread.current.thread_variable_set(:variable, nil)
    end

    it "have ended when the run ends, however it ends" do
      { success: -> { 1 }, failure: -> { raise "no" }, exception: -> { raise Interrupt }, exit: -> { exit 1 } }.each do |how, body|
        begin
          parallel { 6.times { |i| step(:"s#{i}") { i == 3 ? body.call : Thread.pass } } }
        rescue Interrupt, SystemExit
          nil
        end
        expect(workers.select(&:alive?)).to be_empty, how.to_s
      end
    end
  end

  describe "observers" do
    it "are notified of one event at a time, of a dependency before its dependents" do
      inside = 0
      clashes = []
      log = []
      watch = lambda do |what|
        clashes << what if (inside += 1) > 1
        Thread.pass
        log << what
        inside -= 1
      end
      pipeline = Flowline.define do
        before_step { |step| watch.call([:hook, step.name]) }
        after_step { |step| watch.call([:hooked, step.name]) }
        40.times { |i| step(:"a#{i}") { Thread.pass } }
        40.times { |i| step(:"b#{i}", depends_on: [:"a#{i}", :"a#{(i + 7) % 40}"]) { |_, _| Thread.pass } }
        20.times { |i| step(:"c#{i}", depends_on: :"b#{i}", when: -> { false }) { 1 } }
      end
      pipeline.run(executor: :parallel, max_threads: 8, reporter: ->(event) { watch.call([event.name, event.step&.name]) })
      expect(clashes).to be_empty
      at = log.each_with_index.to_h
      pipeline.steps.each do |step|
        step.depends_on.each do |dependency|
          expect(at[[:step_finished, dependency]]).to be < (at[[:step_started, step.name]] || at[[:step_finished, step.name]])
        end
      end
      expect(log.tally.values.uniq).to eq([1])
    end
  end

  describe "callers" do
    it "may wrap the run in Timeout" do
      ended = nil
      pipeline = Flowline.define do
        step(:quick) { 1 }
        2.times { |i| step(:"forever#{i}", depends_on: :quick) { |_| sleep } }
        step(:clean, depends_on: :forever0, run_if: :always) { |_| :cleaned }
        after_run { |result| ended = result }
      end
      expect { Timeout.timeout(0.1) { pipeline.run(executor: :parallel) } }.to raise_error(Timeout::Error)
      expect(outcomes(ended)).to eq(quick: :succeeded, forever0: %i[cancelled interrupted], forever1: %i[cancelled interrupted], clean: :succeeded)
      expect(Timeout.timeout(10) { parallel { step(:a) { 1 } } }).to be_success
    end

    it "may run the pipeline in a Fiber" do
      expect(Fiber.new { parallel { step(:a) { 1 } }.outputs }.resume).to eq(a: 1)
    end

    it "may run the pipeline in many threads at once" do
      pipeline = Flowline.define do
        param :n
        step(:a) { |ctx| ctx[:n] }
        6.times { |i| step(:"b#{i}", depends_on: :a) { |a| a + i } }
        step(:c, depends_on: Array.new(6) { |i| :"b#{i}" }) { |all| all.values.sum }
      end
      threads = Array.new(8) { |n| Thread.new { Array.new(5) { |i| pipeline.run(n: (n * 5) + i, executor: :parallel, max_threads: 3)[:c].output } } }
      expect(threads.flat_map(&:value)).to eq(Array.new(40) { |n| (n * 6) + 15 })
    end

    it "may be a step of another run" do
      inner = Flowline.define { 4.times { |i| step(:"i#{i}") { i } } }
      outer = parallel { 4.times { |o| step(:"o#{o}") { inner.run(executor: :parallel, max_threads: 2).outputs.values.sum } } }
      expect(outer.outputs.values).to eq([6] * 4)
    end

    [[:kill, []], [:raise, [OwnException, "from outside"]], [:raise, [IOError, "from outside"]]].each do |how, arguments|
      it "are interrupted by Thread##{how} #{arguments.first}" do
        reached = Queue.new
        log = []
        pipeline = Flowline.define(name: "stopped") do |p|
          log_hooks(p, log)
          p.after_run { |result| log << result }
          p.step(:done) { 1 }
          2.times { |i| p.step(:"busy#{i}", depends_on: :done) { |_| (reached << i) && sleep } }
          p.step(:later, depends_on: :busy0) { |_| 1 }
          p.step(:clean, depends_on: :later, run_if: :always) { |_| log << :cleaned }
        end
        thread = in_thread { pipeline.run(executor: :parallel) }
        2.times { reached.pop }
        thread.public_send(how, *arguments)
        arguments.empty? ? thread.join : expect { thread.join }.to(raise_error(*arguments))
        busy = %i[cancelled interrupted]
        expect(outcomes(log.grep(Flowline::Result).first)).to eq(done: :succeeded, busy0: busy, busy1: busy, later: busy, clean: :succeeded)
        expect(log.map { |entry| Array(entry).first }.grep(/_run|cleaned|on_failure/)).to eq(%i[before_run cleaned on_failure after_run])
        expect(Flowline::Store.existing(ENV.fetch("FLOWLINE_ROOT")).runs("stopped", 1).first[:status]).to eq("cancelled")
        expect(workers).to be_empty
      end
    end
  end

  describe "steps that leave by a jump or an exit" do
    it "fail on return, break and throw with the advice to use next" do
      def returning = proc { return 1 }
      jump = returning
      result = catch(:out) do
        parallel(on_error: :continue) do
          step(:break) { break 1 }
          step(:throw) { throw :out, 1 }
          step(:return, &jump)
          step(:good) { next 1 }
        end
      end
      expect(outcomes(result)).to eq(break: :failed, throw: :failed, return: :failed, good: :succeeded)
      %i[break throw return].each { |name| expect(result[name].error.message).to include("use `next`") }
    end

    it "end the run in good order when they kill their thread, and end the caller's" do
      ended = nil
      pipeline = Flowline.define do
        step(:a) { Thread.exit }
        step(:clean, depends_on: :a, run_if: :always) { |_| 1 }
        after_run { |result| ended = result }
      end
      thread = in_thread { pipeline.run(executor: :parallel) && :went_on }
      expect(thread.value).to be_nil
      expect(outcomes(ended)).to eq(a: %i[cancelled interrupted], clean: :succeeded)
    end

    it "stop the other steps on SystemExit" do
      busy = Queue.new
      ended = nil
      unwound = Queue.new
      pipeline = Flowline.define do
        step(:other) do
          busy << 1
          sleep
        ensure
          unwound << 1
        end
        step(:exit) { busy.pop && exit(5) }
        after_run { |result| ended = result }
      end
      expect { pipeline.run(executor: :parallel, max_threads: 2) }.to raise_error(SystemExit) { |error| expect(error.status).to eq(5) }
      expect([outcomes(ended).values.uniq, unwound.size]).to eq([[%i[cancelled interrupted]], 1])
    end

    it "let steps that run always finish" do
      cleaning = Queue.new
      finish = Queue.new
      ended = nil
      pipeline = Flowline.define do
        step(:bad) { raise "no" }
        step(:clean, depends_on: :bad, run_if: :always) { |_| (cleaning << 1) && finish.pop }
        after_run { |result| ended = result }
      end
      thread = in_thread { pipeline.run(executor: :parallel) }
      cleaning.pop
      thread.raise(OwnException, "meanwhile")
      Thread.pass until thread.stop?
      finish << :finished
      expect { thread.join }.to raise_error(OwnException)
      expect([outcomes(ended), ended[:clean].output]).to eq([{ bad: :failed, clean: :succeeded }, :finished])
    end
  end

  describe "hooks" do
    it "that block do not prevent a run from being stopped" do
      inside = Queue.new
      ended = nil
      pipeline = Flowline.define do
        after_step { |step| (inside << 1) && sleep if step.name == :a }
        after_run { |result| ended = result }
        step(:a) { 1 }
        step(:b, depends_on: :a) { |_| 2 }
      end
      thread = in_thread { pipeline.run(executor: :parallel) }
      inside.pop
      thread.kill
      expect(thread.join(2)).to be(thread)
      expect(outcomes(ended)).to eq(a: :succeeded, b: %i[cancelled interrupted])
    end
  end

  describe "a step that ignores its time limit" do
    let(:release) { Queue.new }

    # Waits for its release whatever comes; asks again, since an interruption ends the wait.
    def stubborn
      loop do
        return release.pop
      rescue Exception # rubocop:disable Lint/RescueException
        next
      end
    end

    it "is abandoned: the run continues, and its late return changes nothing" do
      stub_const("Flowline::Executor::GRACE", 0.05)
      log = []
      returned = Queue.new
      pipeline = Flowline.define(name: "stubborn", on_error: :continue) do |p|
        log_hooks(p, log)
        p.step(:stubborn, timeout: 0.05, retries: 3) do
          stubborn
        ensure
          returned << Thread.current
        end
        p.step(:needs, depends_on: :stubborn) { |_| 1 }
        p.step(:other) { 1 }
        p.step(:clean, depends_on: :stubborn, run_if: :always) { |given| [given] }
      end
      result = pipeline.run(executor: :parallel, max_threads: 1)
      expect(outcomes(result)).to eq(stubborn: :timed_out, needs: %i[cancelled upstream_failed], other: :succeeded, clean: :succeeded)
      expect(result.warnings).to eq(["step stubborn did not stop when its time was up, and may still run"])
      expect(result[:stubborn].error).to have_attributes(class: Flowline::TimeoutError, limit: 0.05, scope: :step)
      expect(result[:stubborn].attempts).to eq(1)

      told = log.dup
      release << :late
      returned.pop.join
      expect(log).to eq(told)
      expect(told.count(%i[on_step_failure stubborn])).to eq(1)
      expect([outcomes(result)[:stubborn], result[:stubborn].output, result.outputs]).to eq([:timed_out, nil, { other: 1, clean: [nil] }])
      store = Flowline::Store.existing(ENV.fetch("FLOWLINE_ROOT"))
      expect(store.steps(store.runs("stubborn", 1).first[:id]).select { |step| step[:name] == "stubborn" }.map { |step| step[:status] }).to eq(["timed_out"])
      expect(Flowline::Checkpoint.list.first.step_names).to match_array(%i[other clean])
    end

    it "is abandoned when the run times out" do
      stub_const("Flowline::Executor::GRACE", 0.05)
      result = parallel(timeout: 0.3) do
        step(:stubborn) { stubborn }
        step(:clean, depends_on: :stubborn, run_if: :always) { |_| :cleaned }
      end
      release << :late
      expect([outcomes(result), result.status]).to eq([{ stubborn: :timed_out, clean: :succeeded }, :timed_out])
    end

    it "is abandoned with a warning when the run is stopped" do
      stub_const("Flowline::Executor::GRACE", -0.9)
      reached = Queue.new
      ended = nil
      pipeline = Flowline.define do |p|
        p.after_run { |result| ended = result }
        p.step(:stubborn) do
          (reached << 1) && sleep
        ensure
          release.pop
        end
      end
      thread = in_thread { pipeline.run(executor: :parallel) }
      reached.pop
      thread.kill
      thread.join
      expect(ended.warnings).to eq(["a step did not stop, and may still run"])
      release << :late
    end
  end

  it "wraps each step in the Rails executor" do
    require "active_support"
    require "active_support/executor"
    # Railties would bring a dozen gems along; Rails.application.executor is a subclass of this, and nothing more.
    executor = Class.new(ActiveSupport::Executor)
    log = Queue.new
    executor.to_run { log << [:enter, Thread.current] }
    executor.to_complete { log << [:leave, Thread.current] }
    stub_const("Rails", Class.new { define_singleton_method(:application) { Struct.new(:executor).new(executor) } })
    result = parallel(max_threads: 2, on_error: :continue) do
      step(:a) { (log << [:a, Thread.current]) && executor.active? }
      step(:bad, depends_on: :a) { |_| (log << [:bad, Thread.current]) && raise("no") }
    end
    seen = Array.new(log.size) { log.pop }
    expect(result[:a].output).to be(true)
    expect(seen.map(&:first)).to eq(%i[enter a leave enter bad leave])
    expect(seen.each_slice(3).map { |part| part.map(&:last).uniq.size }).to eq([1, 1])
    expect(executor.active?).to be(false)
  end
end
