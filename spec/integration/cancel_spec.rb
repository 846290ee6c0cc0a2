# frozen_string_literal: true

require "open3"

RSpec.describe Flowline::Run do
  # Reaches steps in other threads and processes alike.
  let!(:reached) { IO.pipe }
  let!(:release) { IO.pipe }
  let(:log) { [] }

  after { [*reached, *release].each { |io| io.close unless io.closed? } }

  def arrive = reached[1].write("x") && reached[1].flush
  def arrived = reached[0].read(1)
  def hold = release[0].read(1)
  def let_go = release[1].write("x") && release[1].flush

  # A pipeline whose second step waits to be released.
  def held(**settings)
    Flowline.define(**settings) do |p|
      log_hooks(p, log)
      p.step(:done) { 1 }
      p.step(:busy, depends_on: :done) { |done| arrive && hold && (done + 1) }
      p.step(:later, depends_on: :busy) { |busy| busy + 1 }
      p.step(:clean, depends_on: :later, run_if: :always) { |later| [later] }
    end
  end

  def stored_status(name)
    Flowline::Store.existing(ENV.fetch("FLOWLINE_ROOT")).runs(name, 1).first[:status]
  end

  def expect_hooks_once
    expect(log.map(&:first).grep(/_run|on_success|on_failure/)).to eq(%i[before_run on_failure after_run])
    expect(log.tally.values.uniq).to eq([1])
  end

  %i[sequential parallel process].each do |executor|
    describe "under :#{executor}" do
      it "starts at once and shows the state of its steps" do
        run = held.start(executor: executor)
        arrived
        expect(run.run_id).to match(/\A\d{8}T/)
        expect([run.status, run.wait(0), run.steps]).to eq([:running, nil, { done: :succeeded, busy: :running, later: :pending, clean: :pending }])
        let_go
        result = run.wait
        expect(result.outputs).to eq(done: 1, busy: 2, later: 3, clean: [3])
        expect([run.status, run.wait(0), run.steps.values.uniq, run.waits]).to eq([:succeeded, result, [:succeeded], {}])
        expect(run.inspect).to include(run.run_id, "succeeded")
      end

      it "finishes running steps when cancelled, starts only steps that run always, and can be resumed" do
        pipeline = held(name: "cancel")
        run = pipeline.start(executor: executor)
        arrived
        expect(run.cancel).to equal(run)
        expect(run.cancel.steps).to include(done: :succeeded, busy: :running, later: :pending) # Twice is no more than once.
        let_go
        result = run.wait
        expect(outcomes(result)).to eq(done: :succeeded, busy: :succeeded, later: %i[cancelled interrupted], clean: :succeeded)
        expect(result).to have_attributes(status: :cancelled, error: be_a(Flowline::CancelledError).and(have_attributes(reason: :interrupted)))
        expect_hooks_once
        expect(stored_status("cancel")).to eq("cancelled")

        resumed = pipeline.run(resume: true, executor: executor)
        expect(outcomes(resumed)).to eq(done: :restored, busy: :restored, later: :succeeded, clean: :succeeded)
        expect(resumed.outputs[:later]).to eq(3)
      end

      it "stops running steps when cancelled now" do
        pipeline = held(name: "cancel")
        run = pipeline.start(executor: executor)
        arrived
        run.cancel(now: true)
        result = run.wait
        expect(outcomes(result)).to eq(done: :succeeded, busy: %i[cancelled interrupted], later: %i[cancelled interrupted], clean: :succeeded)
        expect([result.status, run.status, stored_status("cancel")]).to eq([:cancelled, :cancelled, "cancelled"])
        expect_hooks_once
        let_go
        expect(outcomes(pipeline.run(resume: true, executor: executor))).to eq(done: :restored, busy: :succeeded, later: :succeeded, clean: :succeeded)
      end

      it "stops steps that run always when cancelled now a second time" do
        pipeline = Flowline.define do |p|
          p.step(:busy) { arrive && hold }
          p.step(:clean, depends_on: :busy, run_if: :always) { |_| arrive && hold }
        end
        run = pipeline.start(executor: executor)
        2.times { arrived && run.cancel(now: true) }
        expect(outcomes(run.wait)).to eq(busy: %i[cancelled interrupted], clean: %i[cancelled interrupted])
      end

      it "lets a running clean-up finish when cancelled now, and stops it when cancelled now again" do
        pipeline = Flowline.define do |p|
          p.step(:clean, run_if: :always) { (arrive && hold) || 1 }
          p.step(:after, depends_on: :clean) { |_| 1 }
          p.step(:last, depends_on: :after, run_if: :always) { |_| 1 }
        end
        [1, 2].each do |times|
          run = pipeline.start(executor: executor)
          arrived
          times.times { run.cancel(now: true) }
          expect(run.wait(0.1)).to be_nil if times == 1
          let_go if times == 1
          clean = times == 1 ? :succeeded : %i[cancelled interrupted]
          expect(outcomes(run.wait)).to include(clean: clean, after: %i[cancelled interrupted])
        end
      end

      it "skips no clean-up, whenever it is cancelled now" do
        pipeline = Flowline.define do |p|
          p.after_step { nil }
          4.times { |n| p.step(:"s#{n}", depends_on: n.zero? ? [] : :"s#{n - 1}") { |*| 1 } }
          p.step(:clean, depends_on: :s3, run_if: :always) { |_| 1 }
        end
        ended = Array.new(executor == :process ? 10 : 60) do |n|
          run = pipeline.start(executor: executor)
          sleep(0.00005 * n * (executor == :process ? 20 : 1))
          run.cancel(now: true).wait[:clean].status
        end
        expect(ended.uniq).to eq([:succeeded])
      end

      it "fails a step that waits for a retry when cancelled" do
        pipeline = Flowline.define do |p|
          p.on_step_retry { arrive }
          p.step(:flaky, retries: 1, retry_delay: 600) { raise IOError }
          p.step(:clean, depends_on: :flaky, run_if: :always) { |_| 1 }
        end
        run = pipeline.start(executor: executor)
        arrived
        Thread.pass until run.waits == { flaky: "retry" }
        expect(run.cancel.wait(10)&.then { |result| outcomes(result) }).to eq(flaky: :failed, clean: :succeeded)
      end

      it "raises from wait what run raises, and nowhere else" do
        run = Flowline.define { |p| p.step(:a) { exit 4 } }.start(executor: executor)
        2.times { expect { run.wait }.to raise_error(SystemExit) { |error| expect(error.status).to eq(4) } }
        expect(run.status).to eq(:cancelled)
      end
    end
  end

  it "counts the attempt of a step that was interrupted, and knows its time", executor: :sequential do
    pipeline = Flowline.define(name: "interrupted") do |p|
      p.step(:busy) { sleep }
      p.step(:later, depends_on: :busy) { 1 }
    end
    run = pipeline.start(executor: :parallel)
    sleep(0.01) until run.steps[:busy] == :running
    sleep(0.1)
    run.cancel(now: true)
    expect(run.wait.steps.map(&:attempts)).to eq([1, 0])
    busy, later = Flowline::History.runs.first.steps
    expect(busy).to have_attributes(status: :cancelled, attempts: 1, started_at: be_a(Time), duration: be >= 0.05)
    expect(later).to have_attributes(status: :cancelled, attempts: 0, started_at: nil)
  end

  it "cancels steps that wait for a pool" do
    pipeline = Flowline.define do |p|
      p.pool :db, 1
      p.step(:first, uses: :db) { arrive && hold }
      p.step(:second, uses: :db) { 1 }
    end
    run = pipeline.start(executor: :parallel, max_threads: 3)
    arrived
    Thread.pass until run.steps[:second] == :waiting
    expect(run.waits).to eq(second: "pool db")
    run.cancel
    let_go
    expect(outcomes(run.wait)).to eq(first: :succeeded, second: %i[cancelled interrupted])
  end

  it "cancels steps that wait for a rate" do
    pipeline = Flowline.define do |p|
      p.step(:items) { [1, 2, 3] }
      p.step(:slow, each: :items, rate: "1/d") { |_| arrive }
    end
    run = pipeline.start(executor: :parallel, max_threads: 3)
    arrived
    result = run.cancel.wait(10)
    expect(result.status).to eq(:cancelled)
    expect(outcomes(result)).to include(slow: %i[cancelled interrupted])
  end

  it "ends at once when cancelled before the first step" do
    pipeline = Flowline.define do |p|
      p.before_run { arrive && hold }
      p.step(:a) { raise "must not be called" }
      p.step(:clean, run_if: :always, depends_on: :a) { |_| 1 }
    end
    run = pipeline.start
    arrived
    run.cancel
    let_go
    expect(outcomes(run.wait)).to eq(a: %i[cancelled interrupted], clean: :succeeded)
    50.times do
      early = Flowline.define(name: "early") { |p| p.step(:a) { 1 } }.start.cancel(now: true)
      expect(early.wait.status).to eq(:cancelled).or eq(:succeeded)
      expect([early.status, stored_status("early")].uniq(&:to_s).size).to eq(1)
    end
  end

  it "notifies of every step, even when stopped during a notification" do
    told = []
    pipeline = Flowline.define do |p|
      p.after_step { |step| step.name == :a ? arrive && hold : nil }
      p.step(:a) { raise "no" }
      p.step(:b, depends_on: :a) { |_| 1 }
      p.step(:c, depends_on: :b, run_if: :always) { |_| 1 }
    end
    run = pipeline.start(reporter: ->(event) { told << [event.step.name, event.result.status] if event.name == :step_finished })
    arrived
    run.cancel(now: true)
    run.wait
    expect(told.map(&:first)).to match_array(run.steps.keys)
    expect(told.to_h).to include(b: :cancelled, c: :succeeded)
  end

  it "keeps its status when cancelled after its end or in the hooks of its last step" do
    run = Flowline.define { |p| p.step(:a) { 1 } }.start
    result = run.wait
    expect([run.cancel.wait, run.cancel(now: true).wait, run.status]).to eq([result, result, :succeeded])

    box = Queue.new
    pipeline = Flowline.define { |p| p.step(:a) { 1 } && p.after_step { box.pop.cancel } }
    run = pipeline.start
    box << run
    expect(run.wait).to have_attributes(status: :succeeded, error: nil)
  end

  it "can be cancelled by one of its steps" do
    box = Queue.new
    pipeline = Flowline.define do |p|
      p.step(:a) { box.pop.cancel && 1 }
      p.step(:b, depends_on: :a) { |_| 2 }
    end
    %i[sequential parallel].each do |executor|
      run = pipeline.start(executor: executor)
      box << run
      expect(outcomes(run.wait)).to eq(a: :succeeded, b: %i[cancelled interrupted])
    end
  end

  it "raises definition errors and LockedError from start" do
    pipeline = held(name: "held")
    first = pipeline.start
    arrived
    expect { pipeline.start(resume: true) }.to raise_error(Flowline::LockedError)
    expect { pipeline.start(unknown: 1) }.to raise_error(Flowline::ParamError)
    let_go
    expect(first.wait).to be_success
  end

  it "returns a plan with dry_run: true" do
    expect(held.start(dry_run: true)).to be_a(Flowline::Plan)
  end

  it "abandons stubborn steps after a failure as run does" do
    run = Flowline.define { |p| p.step(:a) { raise IOError, "no" } }.start
    expect(run.wait).to have_attributes(status: :failed, failed_step: :a)
    expect(run.status).to eq(:failed)
  end

  it "interrupts conditions, key: and other callables in workers" do
    asked = Queue.new
    waits = ->(*) { (asked << true) && sleep }
    { when: waits, cache: { key: waits }, retry_if: waits, on_retry: waits }.each do |option, value|
      pipeline = Flowline.define { |p| p.step(:a, retries: 1, option => value) { raise IOError } }
      run = pipeline.start(executor: :parallel)
      asked.pop
      result = run.cancel(now: true).wait(10)
      expect([result.status, result.warnings]).to eq([:cancelled, []]), option.to_s
    end
  end

  it "can be cancelled in a trap, and while a hook waits" do
    told = Queue.new
    go_on = Queue.new
    pipeline = Flowline.define do |p|
      p.before_step { |step| (told << step.name) && go_on.pop }
      p.step(:a) { 1 }
      p.step(:b, depends_on: :a) { |a| a }
      p.step(:c) { 1 }
    end
    run = pipeline.start
    told.pop
    before = trap("USR1") { run.cancel }
    Process.kill(:USR1, Process.pid)
    Thread.pass until run.steps[:c] == :cancelled
    expect(run.cancel.status).to eq(:running)
    go_on << true
    expect(outcomes(run.wait).values.uniq).to eq([%i[cancelled interrupted]])
  ensure
    trap("USR1", before || "DEFAULT")
  end

  it "never shows a succeeding run as failed" do
    pipeline = Flowline.define { |p| p.step(:a) { 50_000.times { |i| i } } }
    seen = Array.new(30) do
      run = pipeline.start
      status = run.status
      status = run.status while status == :running
      status
    end
    expect(seen.uniq).to eq([:succeeded])
  end

  describe "under the command line" do
    let(:command) { Processes::FLOWLINE }

    around { |example| Dir.mktmpdir { |directory| Dir.chdir(directory) { example.run } } }

    before do
      File.write("slow.rb", <<~RUBY)
        Flowline.define(name: "slow") do
          step(:done) { 1 }
          2.times do |i|
            step(:"busy\#{i}", depends_on: :done) do |_|
              File.write("pid\#{i}", Process.pid.to_s)
              $stdout.write("started\\n")
              $stdout.flush
              ENV["QUICK"] ? i : $stdin.gets
            end
          end
          step(:more, depends_on: %i[busy0 busy1]) { |_| puts "more" }
          step(:clean_up, depends_on: :more, run_if: :always) { |_| puts "cleaned" }
        end
      RUBY
    end

    def started(executor)
      environment = { "FLOWLINE_ROOT" => File.join(Dir.pwd, "store") }
      Open3.popen3(environment, *command, "run", "slow.rb", "--executor", executor.to_s, "--#{executor == :process ? "max-processes" : "max-threads"}", "2") do |*pipes|
        2.times { expect(pipes[1].gets).to eq("started\n") }
        yield(*pipes)
      end
    end

    def resumed
      environment = { "FLOWLINE_ROOT" => File.join(Dir.pwd, "store"), "QUICK" => "1" }
      Open3.capture3(environment, *command, "run", "slow.rb", "--resume").then { |out, err, status| [out.lines.last(2).join, err, status.exitstatus] }
    end

    { parallel: [:INT, 130], process: [:TERM, 143] }.each do |executor, (signal, code)|
      it "finishes running steps on the first signal, and can be resumed: --executor #{executor}, SIG#{signal}" do
        started(executor) do |input, out, err, process|
          Process.kill(signal, process.pid)
          nil until err.gets.include?("finishing running steps") # So it has been cancelled.
          2.times { input.puts }
          input.close
          expect([process.value.exitstatus, out.read]).to eq([code, "cleaned\n"])
          expect(err.read).to include("✓ busy0", "✓ busy1", "stopped by SIG#{signal}")
        end
        out, err, status = resumed
        expect([out, status]).to eq(["more\ncleaned\n", 0])
        expect(err).to include("↩").or include("restored")
      end

      it "stops on the second signal and leaves no process behind: --executor #{executor}, SIG#{signal}" do
        started(executor) do |_, out, err, process|
          Process.kill(signal, process.pid)
          nil until err.gets.include?("finishing running steps")
          Process.kill(signal, process.pid)
          expect([process.value.exitstatus, out.read]).to eq([code, "cleaned\n"])
          expect(err.read).to include("⏸ busy0", "⏸ busy1")
        end
        pids = Dir["pid*"].map { |file| Integer(File.read(file)) }
        expect(pids.uniq.size).to eq(executor == :process ? 2 : 1)
        expect(pids.select { |pid| File.exist?("/proc/#{pid}") }).to be_empty
        expect(resumed.last).to eq(0)
      end
    end
  end
end
