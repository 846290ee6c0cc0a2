# frozen_string_literal: true

require "timeout"

RSpec.describe "A thread that is killed or struck by Timeout at any moment", executor: :in_process do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }
  let(:random) { Random.new(RSpec.configuration.seed) }

  def pipeline(**options)
    Flowline.define(name: "killed") do |p|
      p.step(:a, **options) { 1 }
      p.step(:b, depends_on: :a) { |_| raise "down" }
    end
  end

  # Ways to end what a thread does.
  strokes = {
    "Thread#kill" => lambda do |delay, work|
      thread = Thread.new { work.call }
      delay.call
      thread.kill.join(10) || raise("it cannot be killed")
    end,
    "Thread#raise" => lambda do |delay, work|
      thread = Thread.new { work.call }
      thread.report_on_exception = false
      delay.call
      thread.raise(IOError, "struck")
      begin
        thread.join(10) || raise("it does not end")
      rescue IOError, Flowline::Error
        nil # As it should be.
      end
    end,
    "Timeout" => lambda do |delay, work|
      Timeout.timeout(delay.call(true)) { work.call }
    rescue Timeout::Error
      nil # As it should be.
    end
  }

  # Waits for none or up to a millisecond or two without giving up the processor; or says how long.
  def delay
    seconds = random.rand(0.002)
    lambda do |only_say = false|
      return seconds + 0.00001 if only_say

      till = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
      Thread.pass until Process.clock_gettime(Process::CLOCK_MONOTONIC) > till
    end
  end

  # @return [Object] what the block returns in another thread, soon
  def in_thread(&block)
    thread = Thread.new(&block)
    (thread.join(10) || raise("another thread waits and waits")).value
  end

  strokes.each do |name, stroke|
    describe name do
      {
        "Cache::File#fetch": [-> { Flowline::Cache::File.new("#{root}.cache") }, 150],
        "Cache::Memory#fetch": [-> { Flowline::Cache::Memory.new }, 400]
      }.each do |what, (make, tries)|
        it "leaves no key behind in #{what}" do
          cache = instance_exec(&make)
          tries.times do |n|
            stroke.call(delay, -> { cache.fetch("k#{n}") { n.odd? ? Thread.pass : n } })
            expect(in_thread { cache.once("k#{n}") { :had } }).to eq(:had)
          end
          others = elsewhere { Array.new(tries) { |n| instance_exec(&make).once("k#{n}") { :had } }.uniq }
          expect(others).to eq([:had])
        ensure
          FileUtils.rm_rf("#{root}.cache")
        end
      end

      it "leaves no key behind of steps with cache: true" do
        cache = Flowline::Cache::File.new("#{root}.cache")
        p = Flowline.define(name: "cached", checkpoint: false) { |d| d.step(:a, cache: { key: -> { Process.clock_gettime(Process::CLOCK_MONOTONIC).to_i } }) { 1 } }
        60.times do
          stroke.call(delay, -> { p.run(cache: cache) })
          expect(in_thread { p.run(cache: cache).success? }).to be(true)
        end
        expect(elsewhere { p.run(cache: cache).success? }).to be(true)
      ensure
        FileUtils.rm_rf("#{root}.cache")
      end

      it "leaves no run locked that it was about to resume" do
        p = pipeline
        p.run
        60.times do
          stroke.call(delay, -> { p.run(resume: true) })
          expect(in_thread { p.run(resume: true)[:b].status }).to eq(:failed)
        end
        expect(elsewhere { p.run(resume: true)[:a].status }).to eq(:restored)
      end
    end
  end

  { killed: ->(thread) { thread.kill }, interrupted: ->(thread) { thread.raise(IOError, "struck") } }.each do |what, stroke|
    it "gives its key back even if it is #{what} while it waits to do so" do
      guard = Flowline::Cache.const_get(:GUARD) # It cannot be met by chance.
      cache = Flowline::Cache::Memory.new
      inside, go, stay = Queue.new, Queue.new, Queue.new
      holder = Thread.new do
        cache.once("k") { (inside << 1) && go.pop }
      rescue IOError
        stay.pop # It lives on.
      end
      inside.pop
      waiter = Thread.new { cache.once("k") { :waiter } }
      Thread.pass until waiter.stop?
      guard.synchronize do
        go << 1
        Thread.pass until go.empty? && holder.stop?
        stroke.call(holder)
        100.times { Thread.pass } # Where it can be struck, it is now.
      end
      expect((waiter.join(10) || raise("another thread waits and waits")).value).to eq(:waiter)
      expect(in_thread { cache.once("k") { :had } }).to eq(:had)
    ensure
      stay << 1
      holder.join(10)
    end
  end

  it "does not keep waiting threads waiting" do
    cache = Flowline::Cache::Memory.new
    inside = Queue.new
    holder = Thread.new { cache.once("k") { (inside << 1) && sleep } }
    inside.pop
    waiters = Array.new(20) { |n| Thread.new { cache.once("k") { n } } }
    Thread.pass until waiters.all?(&:stop?)
    waiters.shift(5).each(&:kill)
    holder.kill
    expect(waiters.map { |thread| (thread.join(10) || raise("it waits and waits")).value }).to eq([*5...20])
  end

  it "is interrupted in the block of a key as without a cache" do
    caches = [Flowline::Cache::Memory.new, Flowline::Cache::File.new("#{root}.cache")]
    caches.each do |cache|
      expect { Timeout.timeout(0.05) { cache.fetch("k") { sleep(10) } } }.to raise_error(Timeout::Error)
      expect(cache.once("k") { Thread.pending_interrupt? || :unmasked }).to eq(:unmasked)
      ended = Queue.new
      thread = Thread.new do
        cache.once("k") { ended << loop { Thread.pass } }
      end
      Thread.pass until thread.status == "run"
      thread.kill
      expect(thread.join(10)).to be(thread)
    end
  ensure
    FileUtils.rm_rf("#{root}.cache")
  end

  it "lets others compute what a thread that does not stop is at", executor: :in_process do
    free = false
    [Flowline::Cache::Memory.new, Flowline::Cache::File.new("#{root}.cache")].each do |cache|
      free = false
      inside = Queue.new
      p = Flowline.define(checkpoint: false) do |d|
        d.step(:a, cache: { key: -> { "k" } }, timeout: 0.05) do
          inside << 1
          Thread.handle_interrupt(Object => :never) { Thread.pass until free }
        end
      end
      result = p.run(executor: :parallel, cache: cache, on_error: :continue)
      expect(result[:a].status).to eq(:timed_out)
      key = "k of a thread that was given up"
      expect(in_thread { cache.once(key) { :had } }).to eq(:had)
      again = Thread.new { p.run(executor: :parallel, cache: cache) }
      inside.pop
      expect { Timeout.timeout(5) { inside.pop } }.not_to raise_error
      free = true
      again.join(10)
    end
  ensure
    free = true
    FileUtils.rm_rf("#{root}.cache")
  end

  # Its objects take a while to be loaded and to be dumped.
  slow = Class.new do
    def initialize(delay) = @delay = delay
    def marshal_dump = sleep(@delay[:dump] || 0).then { @delay }
    def marshal_load(delay) = sleep((@delay = delay)[:load] || 0)
  end

  # @return [Boolean] whether the exception of the time limit came out
  def limited?(seconds)
    stub_const("OwnTimeout", Class.new(StandardError))
    Timeout.timeout(seconds, OwnTimeout) { yield }
    false
  rescue OwnTimeout
    true
  end

  it "gets the exception of a Timeout of its own class that strikes while a cached value is loaded, which stays" do
    stub_const("Slow", slow)
    [Flowline::Cache::Memory.new, Flowline::Cache::File.new("#{root}-slow")].each do |cache|
      cache.set("k", Slow.new({ load: 0.3 }))
      expect(limited?(0.1) { cache.fetch("k") { 1 } }).to be(true)
      expect(cache.fetch("k") { 1 }).to be_a(Slow)
    end
  end

  it "gets it while a recorded output is loaded, and while params are digested, and the run can be resumed" do
    stub_const("Slow", slow)
    [[{ load: 0.3 }, {}], [{}, { dump: 0.3 }]].each do |recorded, given|
      broken = [1]
      p = Flowline.define(name: "slow") do |d|
        d.param :rows
        d.step(:a) { Slow.new(recorded) }
        d.step(:b, depends_on: :a) { |_| broken.empty? || raise("down") }
      end
      run = ->(**options) { p.run(rows: Slow.new(given), **options) }
      run.call
      broken.clear
      expect(limited?(0.1) { run.call(resume: true) }).to be(true)
      expect(run.call(resume: true).steps.map(&:status)).to eq(%i[restored succeeded])
    end
  end
end
