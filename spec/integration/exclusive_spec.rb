# frozen_string_literal: true

# Runs that exclude each other: with `resume:` and with `exclusive:`, in processes and in threads.
RSpec.describe "Exclusive runs" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }
  let!(:gate) { Gate.new }

  # Calls the block in children that a barrier releases.
  # @return [Array] what it returned in each
  def together(count, &block)
    reader, writer = IO.pipe
    children = Array.new(count) do |number|
      child do
        writer.close
        reader.read
        block.call(number)
      end
    end
    reader.close
    writer.close
    children.map(&:value)
  end

  # @return [Symbol] how a run ended, or `:locked`
  def attempt(pipeline, **options)
    pipeline.run(**options).status
  rescue Flowline::LockedError
    :locked
  end

  def waiting(name = "slow", define: {}, &body)
    file = "#{root}.started"
    Flowline.define(name: name, **define) do |d|
      d.param :date, default: 1
      d.param :token, secret: true
      d.step(:a) { body ? body.call : File.write(file, "x", mode: "a") && sleep(0.5) }
    end
  end

  it "resume once if processes start at the same time, and the others are refused" do
    pipeline = waiting
    outcomes = together(8) { attempt(pipeline, resume: true) }
    expect(outcomes.tally).to eq(succeeded: 1, locked: 7)
    expect(File.read("#{root}.started")).to eq("x")
  end

  it "resume once if threads start at the same time, and the others are refused" do
    pipeline = waiting { gate.pass }
    barrier = Queue.new
    answers = Queue.new
    threads = Array.new(8) { Thread.new { barrier.pop || answers.push(attempt(pipeline, resume: true)) } }
    barrier.close
    gate.wait
    expect(Array.new(7) { answers.pop }).to eq([:locked] * 7)
    gate.release
    threads.each(&:join)
    expect(answers.pop).to eq(:succeeded)
  end

  it "resume a failed run once if processes start at the same time" do
    broken = true
    pipeline = Flowline.define(name: "failed") do |d|
      d.step(:a) { 1 }
      d.step(:b, depends_on: :a) { |_| broken ? raise("down") : sleep(0.5) }
    end
    pipeline.run
    broken = false
    expect(together(4) { attempt(pipeline, resume: true) }.tally).to eq(succeeded: 1, locked: 3)
  end

  it "refuse a caller that found the lock taken even if the other run has ended meanwhile" do
    pipeline = waiting { 1 }
    store = Flowline::Store.at(root)
    taken = Class.new { def acquire(_) = !(@again = !@again) && true }.new # At first, but not for long.
    taken.define_singleton_method(:release) { nil }
    allow(store).to receive(:lock).and_return(taken)
    expect { pipeline.run(resume: true) }.to raise_error(Flowline::LockedError, /another run of slow begins or ends just now; wait for it/)
    allow(store).to receive(:lock).and_call_original
    expect(pipeline.run(resume: true)).to be_success
  end

  # Calls the block once, before that method of the class.
  def before(owner, method, &block)
    called = false
    allow(owner).to receive(method).and_wrap_original do |original, *arguments, **options|
      unless called
        called = true
        block.call
      end
      original.call(*arguments, **options)
    end
  end

  { "with resume: true" => { resume: true }, "with exclusive: true" => { exclusive: true } }.each do |what, option|
    it "refuse a caller #{what} that came while another run was alive and took the lock after its end" do
      pipeline = waiting { 1 }
      other = nil
      before(Flowline::Store, :existing) { other = child { pipeline.run(date: 1).run_id }.value }
      expect { pipeline.run(date: 1, **option) }.to raise_error(Flowline::LockedError) { |error|
        expect(error.message).to match(/\Arun #{other} of slow \(date: 1\) was alive in process \d+ when .* has just ended \(succeeded\); exclusive_wait: 60 waits/)
        expect(error).to have_attributes(run_id: other, params: { date: 1 })
      }
      expect(pipeline.run(date: 1, **option)).to be_success
    end
  end

  it "take --exclusive and --exclusive=params on the command line, and nothing else" do
    file = "#{root}.rb"
    File.write(file, "Flowline.define(name: 'i') { step(:a) { 1 } }")
    %w[foo param].each do |scope|
      expect(Processes.flowline("run", file, "--exclusive=#{scope}")).to eq([2, "", "flowline: run: --exclusive=#{scope} is not --exclusive or --exclusive=params\n"])
    end
    expect(Processes.flowline("run", file, "--exclusive=params").first).to eq(0)
    expect(Processes.flowline("resume", file, "nope")).to match([2, "", /nope is no run id; one is like \d{8}T/])
  end

  it "say that the timeout: of the run ended its wait" do
    pipeline = waiting { gate.pass }
    other = child { pipeline.run && nil }
    gate.wait
    expect { pipeline.run(exclusive: true, exclusive_wait: 600, timeout: 0.1) }
      .to raise_error(Flowline::LockedError, /; gave up after 0.1 s, the timeout: of this run; give it more time, or stop that process\z/)
    gate.release
    other.value
  end

  it "run after the other one with exclusive_wait:, although it came while that was alive" do
    pipeline = waiting { 1 }
    before(Flowline::Store, :existing) { child { pipeline.run(date: 1) && nil }.value }
    expect(pipeline.run(date: 1, resume: true, exclusive_wait: 5)).to be_success
  end

  it "run although a run with other params has ended meanwhile, with resume: true" do
    pipeline = waiting { 1 }
    before(Flowline::Store, :existing) { child { pipeline.run(date: 2) && nil }.value }
    expect(pipeline.run(date: 1, resume: true)).to be_success
  end

  it "count from the start of the program on the command line" do
    pipeline = waiting { 1 }
    since = Flowline::Clock.now
    pipeline.run(date: 1)
    late = -> { Flowline::Recording::Trigger.with("cli", since: since) { pipeline.run(date: 1, resume: true) } }
    expect(&late).to raise_error(Flowline::LockedError, /has just ended/)
    expect(pipeline.run(date: 1, resume: true)).to be_success
  end

  it "refuse a caller that came while a run without a store was alive and took the lock after its end" do
    pipeline = Flowline.define { |d| d.step(:a) { 1 } }
    before(Flowline::Recording::LocalLock, :new) { pipeline.run(resume: true) && true }
    expect { pipeline.run(resume: true) }.to raise_error(Flowline::LockedError, /run \S+ of the pipeline was alive .* has just ended \(succeeded\)/)
    expect(pipeline.run(resume: true)).to be_success
  end

  it "name the process, the time, the run and its params, without secrets, in the error" do
    pipeline = waiting { gate.pass }
    holder = child { pipeline.run(date: 7, token: "hunter2", resume: true) && nil }
    gate.wait
    expect { pipeline.run(date: 7, resume: true) }.to raise_error(Flowline::LockedError) { |error|
      run = Flowline::Store.at(root).latest("slow")
      expect(error).to have_attributes(pid: holder.pid, host: Flowline::Store.host, run_id: run.run_id, since: run.started_at, params: { date: 7 })
      expect(error.message).to match(/\Arun #{run.run_id} of slow \(date: 7\) is alive in process #{holder.pid} since \d{4}-.*; wait for it, as with exclusive_wait/)
      expect(error.message).not_to include("hunter2")
    }
    expect(attempt(waiting { 1 }, date: 8, resume: true)).to eq(:succeeded)
    gate.release
    holder.value
  end

  { "of the pipeline" => [true, 1, 2], "with the same params" => [:params, 1, 1] }.each do |what, (exclusive, *dates)|
    it "run one at a time #{what}" do
      pipeline = waiting(define: { exclusive: exclusive })
      expect(together(4) { |number| attempt(pipeline, date: dates[number % 2]) }.tally).to eq(succeeded: 1, locked: 3)
    end

    it "are refused while a run #{what} is alive that excludes nobody" do
      pipeline = waiting { gate.pass }
      other = child { pipeline.run(date: dates.first) && nil }
      gate.wait
      expect { pipeline.run(exclusive: exclusive, date: dates.last) }.to raise_error(Flowline::LockedError, /process #{other.pid}/)
      gate.release
      other.value
      expect(attempt(waiting { 1 }, exclusive: exclusive, date: dates.last)).to eq(:succeeded)
    end
  end

  it "run beside runs with other params, and beside all of them with exclusive: false" do
    pipeline = waiting(define: { exclusive: :params }) { gate.pass }
    first = Thread.new { attempt(pipeline, date: 1) }
    gate.wait
    second = Thread.new { attempt(pipeline, date: 2) }
    third = Thread.new { attempt(pipeline, date: 1, exclusive: false) }
    gate.wait(2)
    gate.release(3)
    expect([first, second, third].map(&:value)).to eq(%i[succeeded] * 3)
  end

  it "wait for each other with exclusive_wait:" do
    pipeline = Flowline.define(name: "queue", exclusive: true) do |d|
      d.step(:a) { File.write("#{root}.log", "(", mode: "a") && sleep(0.02) && File.write("#{root}.log", ")", mode: "a") }
    end
    expect(together(6) { attempt(pipeline, exclusive_wait: 20) }).to eq([:succeeded] * 6)
    expect(File.read("#{root}.log")).to eq("()" * 6)
  end

  it "wait with exclusive_wait: for a run that excludes nobody" do
    pipeline = waiting { gate.pass }
    other = child { pipeline.run && nil }
    gate.wait
    next_one = child { attempt(pipeline, exclusive: true, exclusive_wait: 20) }
    sleep(0.05)
    gate.release
    gate.wait
    expect(other.value).to be_nil
    gate.release
    expect(next_one.value).to eq(:succeeded)
  end

  it "resume what a run left that failed while they waited" do
    pipeline = Flowline.define(name: "relay") do |d|
      d.step(:a) { File.write("#{root}.log", "a", mode: "a") }
      d.step(:b, depends_on: :a) { |_| File.exist?("#{root}.failed") || (gate.pass(true) && File.write("#{root}.failed", "") && raise("down")) }
    end
    first = child { pipeline.run(resume: true).status }
    gate.wait
    others = Array.new(2) { child { pipeline.run(resume: true, exclusive_wait: 20)[:a].status } }
    sleep(0.05)
    gate.release
    expect(first.value).to eq(:failed)
    expect(others.map(&:value)).to contain_exactly(:restored, :succeeded) # The second one comes after a success.
  end

  it "give up after exclusive_wait:, and say so" do
    pipeline = waiting { gate.pass }
    other = child { pipeline.run(resume: true) && nil }
    gate.wait
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    expect { pipeline.run(resume: true, exclusive_wait: 0.1) }.to raise_error(Flowline::LockedError, /process #{other.pid} since .*gave up after 0.1 s/)
    expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - start).to be_between(0.1, 2)
    gate.release
    other.value
  end

  it "give up when their own time is over, and count the wait in it" do
    pipeline = waiting { gate.pass }
    other = child { pipeline.run(resume: true) && nil }
    gate.wait
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    expect { pipeline.run(resume: true, exclusive_wait: 30, timeout: 0.1) }.to raise_error(Flowline::LockedError)
    expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - start).to be < 5
    late = child { waiting { sleep(5) }.run(resume: true, exclusive_wait: 30, timeout: 0.4).then { |result| [result.status, result.duration] } }
    sleep(0.2)
    gate.release
    other.value
    status, duration = late.value
    expect([status, duration.round(1)]).to eq([:timed_out, 0.4])
  end

  it "start when the process that they wait for is killed" do
    pipeline = waiting { gate.pass }
    other = child { pipeline.run(exclusive: true) && nil }
    gate.wait
    waiters = Array.new(2) { child { attempt(waiting { 1 }, exclusive: true, exclusive_wait: 20) } }
    sleep(0.05)
    other.kill
    expect(waiters.map(&:value)).to eq(%i[succeeded succeeded])
  end

  it "are not held by children that a step forks, nor freed by them" do
    pids = "#{root}.pid"
    pipeline = waiting do
      pid = fork { sleep(30) }
      File.write(pids, pid.to_s)
      gate.pass
    end
    holder = child { pipeline.run(exclusive: true) && nil }
    gate.wait
    expect(attempt(pipeline, exclusive: true)).to eq(:locked)
    gate.release
    holder.value
    expect(alive?(adopt(Integer(File.read(pids))))).to be(true)
    expect(attempt(waiting { 1 }, exclusive: true)).to eq(:succeeded)
  end

  it "do not depend on the clock" do
    pipeline = waiting { gate.pass }
    holder = child { pipeline.run(resume: true) && nil }
    gate.wait
    allow(Time).to receive(:now).and_return(Time.at(0))
    expect(attempt(pipeline, resume: true)).to eq(:locked)
    gate.release
    holder.value
    expect(attempt(waiting { 1 }, resume: true)).to eq(:succeeded)
  end

  it "are apart in different stores" do
    pipeline = waiting { gate.pass }
    holder = Thread.new { attempt(pipeline, exclusive: true) }
    gate.wait
    ENV["FLOWLINE_ROOT"] = "#{root}-2"
    expect(attempt(waiting { 1 }, exclusive: true)).to eq(:succeeded)
    gate.release
    expect(holder.value).to eq(:succeeded)
  end

  it "exclude each other within the process if they have no name" do
    pipeline = Flowline.define { |d| d.step(:a) { gate.pass } }
    holder = Thread.new { pipeline.run(exclusive: true).status }
    gate.wait
    expect { pipeline.run(exclusive: true) }.to raise_error(Flowline::LockedError, /a run of the pipeline is alive in process #{Process.pid} since/)
    waiter = Thread.new { pipeline.run(exclusive: true, exclusive_wait: 20).status }
    gate.release
    gate.wait
    expect(holder.value).to eq(:succeeded)
    holder.join
    gate.release
    expect(waiter.value).to eq(:succeeded)
    expect(Flowline.define { |d| d.step(:a) { 1 } }.run(exclusive: true)).to be_success
  end

  it "are free after a run that was refused by its params, a hook or an exception" do
    refuse = true
    pipeline = Flowline.define(name: "free", exclusive: true) do |d|
      d.before_run { refuse && raise(Interrupt) }
      d.step(:a) { 1 }
    end
    expect { pipeline.run }.to raise_error(Interrupt)
    expect { pipeline.run(only: :zzz) }.to raise_error(Flowline::ParamError)
    refuse = false
    expect(elsewhere { attempt(pipeline) }).to eq(:succeeded)
    expect(attempt(pipeline)).to eq(:succeeded)
  end

  it "don't hold up a dry run" do
    pipeline = waiting { gate.pass }
    holder = Thread.new { attempt(pipeline, exclusive: true) }
    gate.wait
    expect(pipeline.run(exclusive: true, dry_run: true)[:a].action).to eq(:run)
    gate.release
    holder.join
  end

  it "refuse options that make no sense" do
    pipeline = waiting { 1 }
    expect { pipeline.run(exclusive_wait: 3) }.to raise_error(Flowline::ParamError, "run: exclusive_wait: needs exclusive: or resume:")
    expect { pipeline.run(exclusive: true, exclusive_wait: -1) }.to raise_error(Flowline::ParamError, /exclusive_wait: must be a number of seconds/)
    expect { pipeline.run(exclusive: :date) }.to raise_error(Flowline::ParamError, /exclusive: must be true, false or :params, not :date/)
    expect { Flowline.define(exclusive: 1) { step(:a) { 1 } } }.to raise_error(Flowline::DefinitionError, /exclusive: must be true/)
  end

  it "are asked for on the command line, and exit with 75 if they are refused" do
    pipeline = waiting("cli") { gate.pass }
    holder = child { pipeline.run(date: 3) && nil }
    gate.wait
    file = "#{root}.rb"
    File.write(file, 'Flowline.define(name: "cli") { param :date, default: 3; step(:a) { 1 } }')
    status, _, err = flowline("run", file, "--exclusive")
    expect([status, err]).to match([75, /\Aflowline: run .* of cli \(date: 3\) is alive in process #{holder.pid} since .*; wait for it, as with --exclusive-wait=60, or/])
    expect(flowline("run", file, "--exclusive=params", "--exclusive-wait=0.1")).to match([75, "", /gave up after 0.1 s/])
    expect(flowline("run", file, "--exclusive=params", "--param", "date=4").first).to eq(0)
    expect(flowline("run", file, "--exclusive-wait=1")).to eq([2, "", "flowline: --exclusive-wait needs --exclusive or --resume\n"])
    expect(flowline("run", file, "--exclusive=date")).to match([2, "", /--exclusive/])
    gate.release
    holder.value
    expect(flowline("run", file, "--exclusive", "--exclusive-wait=1").first).to eq(0)
  end

  it "are said to have no effect on the command line without a name" do
    File.write("#{root}.rb", "Flowline.define { step(:a) { 1 } }")
    status, _, err = flowline("run", "#{root}.rb", "--exclusive")
    expect([status, err]).to match([0, /\Aflowline: --exclusive has no effect: the pipeline has no name:/])
  end
end
