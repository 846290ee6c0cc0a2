# frozen_string_literal: true

# Runs in the thread of their caller, which other processes and threads cancel through the store.
RSpec.describe "A sequential run in the thread of its caller", executor: :sequential do
  let(:inside) { Queue.new }

  # Calls the block in a thread of its own, as the caller of a run. Once a step has said that it is called, the run is cancelled.
  def cancelled(now: true, requests: 1, &block)
    caller = Thread.new(&block)
    caller.report_on_exception = false
    inside.pop
    requests.times { request(now) }
    caller.join(20) or raise "it goes on"
    caller.value
  end

  def request(now)
    sleep(0.01) until (run = Flowline::History.runs(status: :running).last)
    Flowline::Run.cancel(run.run_id, now: now, by: "alice@web")
  end

  def pipeline(name = "caller", &busy)
    queue = inside
    Flowline.define(name: name) do |p|
      p.step(:done) { 1 }
      p.step(:busy, depends_on: :done) { |_| (queue << true) && busy.call }
      p.step(:later, depends_on: :busy) { |_| 1 }
      p.step(:clean, depends_on: :later, run_if: :always) { |_| 1 }
    end
  end

  {
    "waits" => -> { sleep },
    "computes" => -> { loop { 1 + 1 } },
    "rescues every StandardError" => lambda do
      sleep
    rescue StandardError
      retry
    end
  }.each do |what, busy|
    it "is stopped at once by a request to cancel now when its step #{what}, and can be resumed" do
      run = pipeline(&busy)
      began = now
      result = cancelled { run.run }
      expect(now - began).to be < 10
      expect(outcomes(result)).to eq(done: :succeeded, busy: %i[cancelled interrupted], later: %i[cancelled interrupted], clean: :succeeded)
      expect(result).to have_attributes(status: :cancelled, warnings: ["cancelled by alice@web"])
      expect(Flowline::History.runs.first.status).to eq(:cancelled)
      resumed = pipeline { 2 }.run(resume: true)
      expect(outcomes(resumed)).to eq(done: :restored, busy: :succeeded, later: :succeeded, clean: :succeeded)
    end
  end

  it "names whoever asks in text that is safe for a terminal" do
    run = pipeline("asked") { sleep }
    caller = Thread.new { run.run }
    inside.pop
    sleep(0.01) until (known = Flowline::History.runs(status: :running).last)
    expect(Flowline::Run.cancel(known.run_id, now: true, by: "\xFF\e[31m\u202E".b)).to be(true)
    expect(caller.value.warnings).to eq(["cancelled by \uFFFD\\e[31m\\u202E"])
  end

  it "finishes the step that runs when it is to be cancelled, but not now" do
    result = cancelled(now: false) { pipeline { sleep(1) && 2 }.run }
    expect(outcomes(result)).to eq(done: :succeeded, busy: :succeeded, later: %i[cancelled interrupted], clean: :succeeded)
  end

  it "is freed from a reporter and from a hook that never return" do
    queue = inside
    hangs = ->(event) { (queue << true) && sleep if event.name == :step_started && event.step.name == :later }
    run = Flowline.define(name: "hangs") { |p| %i[done later].each { |name| p.step(name) { 1 } } }
    expect(cancelled { run.run(reporter: hangs) }).to have_attributes(status: :cancelled)
    hooked = Flowline.define(name: "hooked") { |p| p.after_step { (queue << true) && sleep } && p.step(:done) { 1 } && p.step(:later) { 1 } }
    expect(cancelled { hooked.run }).to have_attributes(status: :cancelled)
  end

  it "interrupts the run around it only when that one is cancelled" do
    inner = pipeline("inner") { sleep }
    outer = Flowline.define(name: "outer") do |p|
      p.step(:calls) { inner.run.status }
      p.step(:after, depends_on: :calls) { |status| status }
    end
    sleep_until_two = -> { sleep(0.01) until Flowline::History.runs(status: :running).size == 2 }
    { "inner" => { calls: :succeeded, after: :succeeded },
      "outer" => { calls: %i[cancelled interrupted], after: %i[cancelled interrupted] } }.each do |name, expected|
      caller = Thread.new { outer.run }
      inside.pop
      sleep_until_two.call
      Flowline::Run.cancel(Flowline::History.runs(pipeline: name).first.run_id, now: true)
      expect(caller.join(20)).not_to be_nil
      expect(outcomes(caller.value)).to eq(expected)
      expect(Flowline::History.runs(status: :running)).to be_empty
    end
  end

  it "is hit by no interruption after its end, whenever it is cancelled now" do
    run = Flowline.define(name: "short") { |p| 5.times { |n| p.step(:"s#{n}") { 5.times { Thread.pass } } } }
    sections = []
    allow(Flowline::Executor::BorrowedSection).to receive(:new).and_wrap_original do |made|
      made.call.tap { |section| sections << section }
    end
    stop = false
    tormentor = Thread.new do
      until stop
        sleep(rand * 0.02)
        sections.last&.interrupt(:user)
      end
    end
    ended = Array.new(100) do
      result = run.run
      50.times { Thread.pass } # The code of the caller, after the run.
      result.status
    end
    expect(ended.tally.keys).to match_array(%i[succeeded cancelled])
    expect(Flowline::History.runs(pipeline: "short", limit: 200).map(&:status)).to eq(ended.reverse)
  ensure
    stop = true
    tormentor&.join
  end

  it "drops the interruption that comes when its section has just closed" do
    section = Flowline::Executor::BorrowedSection.new
    reached = []
    section.surround do
      Thread.handle_interrupt(Object => :never) do
        section.call(:user) { Thread.new { 3.times { section.interrupt(:user) } }.join }
        reached << :closed
      end
      reached << :never
    end
    3.times { section.call(:user) { section.interrupt(:user) } }
    expect(reached).to eq([:closed])
  end

  it "leaves the thread as it was: exceptions, throw and the caller's own masks pass" do
    expect { pipeline { raise Interrupt }.run }.to raise_error(Interrupt)
    expect(catch(:out) { pipeline { throw :out, 3 }.run }).to eq(3)
    expect(Thread.handle_interrupt(Object => :never) { cancelled { pipeline { sleep }.run } }).to have_attributes(status: :cancelled)
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
