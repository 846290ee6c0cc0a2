# frozen_string_literal: true

require "active_support"
require "active_support/cache"

# Steps that depend on nothing that has to be called are looked up before the run calls anything, many at once.
RSpec.describe "Cached outputs that are looked up before the first call" do
  # Counts the questions to a cache.
  let(:counting) do
    Module.new do
      def questions = @questions ||= []

      def read(key)
        questions << :read
        super
      end

      def read_multi(keys)
        questions << keys.size
        super
      end
    end
  end
  let(:cache) { Flowline::Cache::Memory.new.extend(counting) }
  let(:calls) { [] }

  def pipeline(cache: self.cache, name: "recalled", &block)
    Flowline.define(name: name, cache: cache, &block)
  end

  def statuses(result)
    result.steps.to_h { |step| [step.name, step.status] }
  end

  def names(number)
    Array.new(number) { |n| :"step_#{n}" }
  end

  it "are read with few questions, and none for each" do
    made = pipeline { |p| names(600).each { |name| p.step(name, cache: true) { name } } }
    made.run
    cache.questions.clear
    result = made.run
    expect(result.steps.to_h { |step| [step.name, [step.status, step.output]] }).to eq(names(600).to_h { |name| [name, [:cached, name]] })
    expect(cache.questions.grep(Integer)).to eq([256, 256, 88])
  end

  it "include those of steps that depend on others of them, level by level" do
    made = pipeline do |p|
      p.step(:a, cache: true) { 1 }
      p.step(:b, cache: true) { 2 }
      p.step(:sum, depends_on: %i[a b], cache: true) { |a, b| a + b }
      p.step(:double, depends_on: :sum, cache: true) { |sum| sum * 2 }
    end
    made.run
    cache.questions.clear
    result = made.run
    expect([statuses(result).values.uniq, result[:double].output]).to eq([[:cached], 6])
    expect(cache.questions.grep(Integer)).to eq([2, 1, 1])
  end

  it "are used whatever becomes of other steps" do
    made = pipeline do |p|
      p.step(:broken) { raise "down" if calls.any? }
      p.step(:kept, cache: true) { 1 }
    end
    made.run
    calls << :again
    expect(statuses(made.run)).to eq(broken: :failed, kept: :cached)
  end

  it "leave out steps that come after a step which is called" do
    made = pipeline do |p|
      p.step(:fetch) { (calls << :fetch) && 1 }
      p.step(:work, depends_on: :fetch, cache: true) { |n| (calls << :work) && n }
    end.tap(&:run)
    calls.clear
    expect(statuses(made.run)).to eq(fetch: :succeeded, work: :cached)
    expect(calls).to eq([:fetch])
  end

  it "leave out steps that a condition, a key of the user, or each: decides about" do
    asked = []
    made = pipeline do |p|
      p.step(:rows, cache: true) { [1, 2] }
      p.step(:if, cache: true, when: ->(_) { (asked << calls.size) && true }, depends_on: :rows) { |_| 1 }
      p.step(:key, cache: { key: ->(_) { (asked << calls.size) && "k" } }, depends_on: :rows) { |_| 1 }
      p.step(:each, each: :rows, cache: true) { |row| row }
    end
    made.run
    expect(asked).to eq([0, 0])
    expect(statuses(made.run)).to eq(rows: :cached, if: :cached, key: :cached, each: :succeeded)
  end

  it "are found one by one in a cache that cannot read several" do
    plain = Class.new { include Flowline::Cache }.new
    entries = {}
    plain.define_singleton_method(:read) { |key| entries[key] }
    plain.define_singleton_method(:write) { |key, bytes, _| entries[key] = bytes }
    made = pipeline(cache: plain) { |p| names(3).each { |name| p.step(name, cache: true) { name } } }
    made.run
    expect(statuses(made.run).values.uniq).to eq([:cached])
  end

  it "are read from a store of ActiveSupport with one question" do
    store = ActiveSupport::Cache::MemoryStore.new
    made = pipeline(cache: store) { |p| names(3).each { |name| p.step(name, cache: true) { name } } }
    made.run
    expect(store).to receive(:read_multi).once.and_call_original
    expect(store).not_to receive(:read)
    expect(statuses(made.run).values.uniq).to eq([:cached])
  end

  it "are looked for again, one by one, when the question for several fails" do
    away = Flowline::Cache::Memory.new
    away.define_singleton_method(:read_multi) { |_keys| raise Flowline::CacheError.new(self, "is away") }
    made = pipeline do |p|
      p.step(:away, cache: { store: away }) { 1 }
      names(3).each { |name| p.step(name, cache: true) { name } }
    end
    made.run
    cache.questions.clear
    result = made.run
    expect([statuses(result).values.uniq, result.warnings, cache.questions]).to eq([[:cached], [], [3, :read, :read, :read]])
  end

  [nil, 7, {}, { "other" => 1 }].each do |answer|
    it "are looked for again, one by one, when a store of ActiveSupport answers #{answer.inspect} to the question for several" do
      store = ActiveSupport::Cache::MemoryStore.new
      store.define_singleton_method(:read_multi) { |*_keys| answer }
      made = pipeline(cache: store) { |p| names(3).each { |name| p.step(name, cache: true) { name } } }
      made.run
      result = made.run
      expect(result.steps.map { |step| [step.status, step.output] }).to eq(names(3).map { |name| [:cached, name] })
    end
  end

  it "are called again with a warning if an entry is damaged, and the others are used" do
    made = pipeline { |p| names(3).each { |name| p.step(name, cache: true) { name } } }
    made.run
    cache.instance_variable_get(:@entries).values[1][0] = "\x04\bo:\bNil".b
    result = made.run
    expect(statuses(result).values).to eq(%i[cached succeeded cached])
    expect(result.warnings).to match([/cache entry .* could not be read/])
  end

  it "fail a step whose input cannot be compared only when it is ready" do
    hostile = Class.new { def marshal_dump = raise("no copy") }
    made = pipeline do |p|
      p.step(:a) { 1 }
      p.step(:b, cache: true) { |ctx| ctx[:thing] && 1 }
    end
    result = made.run(context: { thing: hostile.new })
    expect(result[:a].status).to eq(:succeeded)
  end

  it "are not read if the run says skip_cache:, or the step does" do
    made = pipeline do |p|
      p.step(:a, cache: true) { 1 }
      p.step(:b, cache: true, skip_cache: true) { 1 }
    end
    made.run
    cache.questions.clear
    made.run(skip_cache: true)
    expect(cache.questions).to eq([])
    expect(statuses(made.run)).to eq(a: :cached, b: :succeeded)
  end

  it "do not swallow an exception of another thread that arrives while a key is computed" do
    entered = Queue.new
    slow = stub_const("SlowToCompare", Class.new do
      define_method(:marshal_dump) { (entered << true) && sleep if Thread.current[:slow] }
      define_method(:marshal_load) { |_| nil }
    end)
    made = pipeline do |p|
      p.step(:a, cache: true) { slow.new }
      p.step(:b, depends_on: :a, cache: true) { |_| 1 }
    end
    made.run
    running = Thread.new do
      Thread.current.report_on_exception = false
      Thread.current[:slow] = true
      made.run
    end
    entered.pop
    running[:slow] = false
    running.raise(ArgumentError, "from outside")
    expect { running.join(10) }.to raise_error(ArgumentError, "from outside")
  end

  it "end the run in time if the cache does not answer" do
    made = pipeline { |p| p.step(:a, cache: true) { 1 } }
    made.run
    def cache.read_multi(_keys) = sleep
    result = made.run(timeout: 0.2)
    expect([result.status, statuses(result)]).to eq([:timed_out, { a: :cancelled }])
  end

  it "give way to a cancellation while the cache does not answer" do
    made = pipeline { |p| p.step(:a, cache: true) { 1 } }
    made.run
    asked = Queue.new
    cache.define_singleton_method(:read_multi) { |_keys| (asked << true) && sleep }
    run = made.start
    asked.pop
    run.cancel(now: true)
    expect(run.wait.status).to eq(:cancelled)
  end

  [false, true].each do |now|
    it "are asked for no further when the run is cancelled#{" at once" if now}, before or after the first question" do
      made = pipeline { |p| names(600).each { |name| p.step(name, cache: true) { name } } }
      made.run
      asked = Queue.new
      go = Queue.new
      cache.define_singleton_method(:read_multi) { |keys| (asked << keys.size) && go.pop && super(keys) }
      run = made.start
      asked.pop
      run.cancel(now: now)
      go << true
      expect([run.wait.status, asked.size]).to eq([:cancelled, 0])
      run = made.start.tap { |early| early.cancel(now: now) }
      go << true << true << true
      expect([run.wait.status, asked.size]).to eq([:cancelled, 0]).or eq([:cancelled, 1])
    end
  end

  it "are notified of, recorded and explained like all other hits" do
    events = []
    made = pipeline do |p|
      p.step(:a, cache: true) { 1 }
      p.on_step_skip { |step, reason| events << [step.name, reason] }
    end
    made.run
    result = made.run
    expect(events).to eq([%i[a cached]])
    step = Flowline::History.run(result.run_id).step(:a)
    expect([step.status, step.attempts, step.why.to_s]).to match([:cached, 0, /cache/])
  end
end
