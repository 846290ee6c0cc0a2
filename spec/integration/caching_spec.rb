# frozen_string_literal: true

require "logger"
require "active_support"
require "active_support/cache"

# An output of a class that every process knows.
CachedRow = Struct.new(:id)

# A cache of somebody else's, any of whose methods may raise.
class BrittleCache
  def initialize(*broken)
    @broken = broken
    @entries = {}
  end

  %i[get set exists?].each do |name|
    define_method(name) do |key, value = nil, ttl: nil| # rubocop:disable Lint/UnusedBlockArgument
      raise IOError, "#{name} is broken" if @broken.include?(name)

      case name
      when :set then @entries[key] = value
      when :get then @entries[key]
      else @entries.key?(key)
      end
    end
  end
end

RSpec.describe "Caching", executor: :in_process do
  let(:cache) { Flowline::Cache::Memory.new }
  let(:calls) { Queue.new }

  # A pipeline of one step that says when it is called. What its block captures is a Queue, hence the key.
  def counting(name = "counted", calls = self.calls, **options, &block)
    block ||= ->(input) { input }
    Flowline.define(name: name) { |p| p.step(:work, cache: { key: ->(input) { input } }, **options) { |input| (calls << input) && block.call(input) } }
  end

  def twice(pipeline, **options)
    Array.new(2) { pipeline.run(cache: cache, **options) }
  end

  def statuses(results, step = :work) = results.map { |result| result[step].status }

  describe "a cached step" do
    it "is called once for the same inputs; its output is a copy" do
      pipeline = counting { |input| { input => [CachedRow.new(1)] } }
      one, two = twice(pipeline, input: 1)
      expect([statuses([one, two]), calls.size, two[:work].output]).to eq([%i[succeeded cached], 1, { 1 => [CachedRow.new(1)] }])
      two[:work].output[1] << 2
      one[:work].output[1] << 3
      expect(pipeline.run(cache: cache, input: 1)[:work].output).to eq(1 => [CachedRow.new(1)])
      expect(pipeline.run(cache: cache, input: 2)[:work].status).to eq(:succeeded)
    end

    it "caches nil and false" do
      [nil, false].each do |output|
        results = twice(counting("returns #{output.inspect}") { output }, input: 1)
        expect([statuses(results), results.last[:work].output]).to eq([%i[succeeded cached], output])
      end
    end

    it "is not cached when it failed" do
      results = twice(counting { raise "no" }, input: 1)
      expect([statuses(results), calls.size]).to eq([%i[failed failed], 2])
    end

    it "is cached once after several attempts" do
      tries = calls
      pipeline = counting(retries: 2) { tries.size < 2 ? raise(IOError, "again") : :done }
      results = twice(pipeline, input: 1)
      expect([statuses(results), calls.size, results.first[:work].attempts]).to eq([%i[succeeded cached], 2, 2])
    end

    it "notifies on_step_skip with the reason cached" do
      log = []
      pipeline = Flowline.define(name: "told") do |p|
        p.step(:work, cache: true) { 1 }
        p.on_step_skip { |step, reason| log << [:skip, step.name, reason] }
        p.before_step { |step, _| log << [:before, step.name] }
      end
      twice(pipeline)
      expect(log).to eq([[:before, :work], %i[skip work cached]])
    end

    it "passes the cached output to its dependents" do
      pipeline = Flowline.define(name: "handed") do |p|
        p.step(:one, cache: true) { [1] }
        p.step(:two, depends_on: :one) { |one| one + [2] }
      end
      expect(twice(pipeline).map { |result| [result[:one].status, result[:two].output] }).to eq([[:succeeded, [1, 2]], [:cached, [1, 2]]])
    end
  end

  describe "keys" do
    it "contain the pipeline's name, or the definition itself without one" do
      one, two = %w[one two].map { |name| counting(name) }
      expect([one, two, one, counting("one")].map { |pipeline| pipeline.run(cache: cache, input: 1)[:work].status }).to eq(%i[succeeded succeeded cached cached])
      one, two = Array.new(2) { Flowline.define { |p| p.step(:work, cache: true) { 1 } } }
      expect(statuses([one, two, one].map { |pipeline| pipeline.run(cache: cache) })).to eq(%i[succeeded succeeded cached])
    end

    it "contain the step's name, whatever its characters" do
      define = ->(name, step) { Flowline.define(name: name) { |p| p.step(step, cache: true) { 1 } } }
      runs = [define["a", "b/c"], define["a/b", "c"], define["a", "b"]].map { |pipeline| pipeline.run(cache: cache).steps.first.status }
      expect(runs).to eq(%i[succeeded succeeded succeeded])
    end

    it "differ for steps that differ only in captured values" do
      pipeline = lambda do |factor|
        Flowline.define(name: "captures") { |p| p.step(:work, cache: true) { [1, 2].map { |n| n * factor } } }
      end
      expect([2, 3, 2].map { |factor| pipeline[factor].run(cache: cache)[:work].then { |work| [work.status, work.output] } })
        .to eq([[:succeeded, [2, 4]], [:succeeded, [3, 6]], [:cached, [2, 4]]])
    end

    it "change when a captured variable is bound to another object" do
      rate = 1
      pipeline = Flowline.define(name: "bound") { |p| p.step(:work, cache: true) { rate } }
      outputs = [1, 2, 1].map { |n| (rate = n) && pipeline.run(cache: cache)[:work].then { |work| [work.status, work.output] } }
      expect(outputs).to eq([[:succeeded, 1], [:succeeded, 2], [:cached, 1]])
    end

    it "differ by version:" do
      runs = [1, 2, 1].map { |version| Flowline.define(name: "v") { |p| p.step(:work, cache: true, version: version) { 1 } }.run(cache: cache) }
      expect(statuses(runs)).to eq(%i[succeeded succeeded cached])
    end

    it "contain all supplied values when a step reads the context" do
      pipeline = Flowline.define(name: "context") do |p|
        p.param(:day)
        p.step(:work, cache: true) { |ctx| ctx[:day] }
      end
      runs = [{ day: 1 }, { day: 2 }, { day: 1 }, { day: 1, context: { a: 1 } }, { day: 1, context: { a: 1 } }]
      expect(statuses(runs.map { |options| pipeline.run(cache: cache, **options) })).to eq(%i[succeeded succeeded cached succeeded cached])
    end

    it "given by key: replace inputs and captured values" do
      queue = calls
      pipeline = Flowline.define(name: "own key") do |p|
        p.step(:rows) { |ctx| { id: ctx[:id], noise: rand } }
        p.step(:rate) { 2 }
        p.step(:work, depends_on: %i[rows rate], cache: { key: ->(rows, rate:, ctx:) { [rows[:id], rate, ctx[:day]] } }) { |rows, rate| (queue << [rows, rate]) && 1 }
      end
      runs = [{ id: 1, day: 1 }, { id: 1, day: 1 }, { id: 2, day: 1 }, { id: 2, day: 2 }]
      expect(statuses(runs.map { |values| pipeline.run(cache: cache, context: values) })).to eq(%i[succeeded cached succeeded succeeded])
    end

    it "fail the step when key: raises" do
      result = Flowline.define { |p| p.step(:work, cache: { key: -> { raise IOError, "no key" } }) { 1 } }.run(cache: cache)
      expect([result[:work].status, result[:work].error.original.message]).to eq([:failed, "no key"])
    end
  end

  describe "values that cannot be digested" do
    it "leave the step uncached, with a warning that names them and offers key:" do
      client = IO.new(IO.sysopen(File::NULL))
      results = twice(Flowline.define(name: "client") { |p| p.step(:work, cache: true, retries: 1) { client && 1 } })
      expect([statuses(results), results.last.warnings])
        .to eq([%i[succeeded succeeded], ["step work is not cached: it captures client (an IO), which cannot be digested; give cache: { key: }"]])
    end

    it "are found in inputs and keys, too" do
      inputs = twice(Flowline.define(name: "input") { |p| p.step(:work, cache: true) { |input| input && 1 } }, input: proc {})
      expect([statuses(inputs), inputs.last.warnings]).to match([%i[succeeded succeeded], [/step work is not cached: it gets something .* \(a Proc\); give cache/]])
      keys = twice(Flowline.define(name: "key") { |p| p.step(:work, cache: { key: -> { IO.new(IO.sysopen(File::NULL)) } }) { 1 } })
      expect([statuses(keys), keys.last.warnings]).to match([%i[succeeded succeeded], [/it has a key with something .* \(an IO\)/]])
    end

    it "do not matter for a step with key:" do
      client = IO.new(IO.sysopen(File::NULL))
      expect(statuses(twice(Flowline.define(name: "keyed") { |p| p.step(:work, cache: { key: -> { 1 } }) { client && 1 } }))).to eq(%i[succeeded cached])
    end

    it "are found when a variable is bound to one later" do
      value = 1
      pipeline = Flowline.define(name: "later") { |p| p.step(:work, cache: true) { value.to_s } }
      pipeline.run(cache: cache)
      results = [-> {}, -> {}].map { |other| (value = other) && pipeline.run(cache: cache) }
      expect([statuses(results), results.map { |result| result.warnings.size }]).to eq([%i[succeeded succeeded], [1, 1]])
    end

    it "warn when they cannot be stored" do
      results = twice(Flowline.define(name: "proc") { |p| p.step(:work, cache: true) { -> {} } })
      expect([statuses(results), results.last.warnings]).to match([%i[succeeded succeeded], [/\Athe output of step work is not cached: .*Proc could not be stored/, /not recorded/]])
    end
  end

  describe "which cache" do
    it "is the step's, else the run's, else the definition's, else the configured one, else the process's" do
      caches = Array.new(4) { Flowline::Cache::Memory.new }
      step, run, definition, configured = caches
      holding = -> { caches.map { |each| each.instance_variable_get(:@entries).size } }
      before = Flowline.config.cache
      Flowline.configure { |config| config.cache = configured }
      define = ->(name, **defaults) { Flowline.define(name: name, **defaults) { |p| p.step(:work, cache: true) { 1 } } }
      Flowline.define(name: "s") { |p| p.step(:work, cache: { store: step }) { 1 } }.run(cache: run)
      expect(holding[]).to eq([1, 0, 0, 0])
      define["r", cache: definition].run(cache: run)
      expect(holding[]).to eq([1, 1, 0, 0])
      define["d", cache: definition].run
      define["e", cache: definition].run(cache: true)
      expect(holding[]).to eq([1, 1, 2, 0])
      define["c"].run
      expect(holding[]).to eq([1, 1, 2, 1])
      Flowline.configure { |config| config.cache = nil }
      expect(Array.new(2) { define["default"].run[:work].status }).to eq(%i[succeeded cached])
      Flowline.configure { |config| config.cache = false }
      expect(Array.new(2) { define["none"].run[:work].status }).to eq(%i[succeeded succeeded])
      expect(Array.new(2) { define["asked"].run(cache: true)[:work].status }).to eq(%i[succeeded cached])
    ensure
      Flowline.configure { |config| config.cache = before }
      Flowline::Cache.default.clear
    end

    it "may be ActiveSupport's or any object with get, set and exists?" do
      [ActiveSupport::Cache::MemoryStore.new, BrittleCache.new].each do |store|
        pipeline = Flowline.define(name: "theirs") { |p| p.step(:work, cache: { store: store }) { nil } }
        expect(Array.new(2) { pipeline.run[:work].then { |work| [work.status, work.output] } }).to eq([[:succeeded, nil], [:cached, nil]])
      end
    end

    it "is none with cache: false on a step or a run" do
      pipeline = Flowline.define(name: "none") { |p| p.step(:work, cache: true) { 1 } }
      pipeline.run(cache: cache)
      expect([pipeline.run(cache: false), pipeline.run(cache: cache)].map { |result| result[:work].status }).to eq(%i[succeeded cached])
      none = Flowline.define(name: "no", cache: cache) { |p| p.step(:work, cache: false) { 1 } }
      expect(statuses(Array.new(2) { none.run })).to eq(%i[succeeded succeeded])
    end

    it "is written but not read with skip_cache: true on a step or a run" do
      number = 0
      define = ->(**options) { Flowline.define(name: "skip") { |p| p.step(:work, cache: { key: -> { 1 } }, **options) { number += 1 } } }
      outputs = [define[].run(cache: cache), define[].run(cache: cache, skip_cache: true), define[].run(cache: cache),
                 define[skip_cache: true].run(cache: cache), define[].run(cache: cache)]
      expect(outputs.map { |result| result[:work].output }).to eq([1, 2, 2, 3, 3])
    end
  end

  it "expires a value after its ttl:" do
    now = 1000.0
    allow(Process).to receive(:clock_gettime).and_wrap_original do |original, *args|
      args == [Process::CLOCK_MONOTONIC] ? now : original.call(*args)
    end
    pipeline = Flowline.define(name: "ttl") { |p| p.step(:work, cache: { ttl: 60 }) { 1 } }
    expect([0, 59, 61].map { |later| (now = 1000.0 + later) && pipeline.run(cache: cache)[:work].status }).to eq(%i[succeeded cached succeeded])
  end

  describe "a cache that raises" do
    { get: /get: IOError: get is broken/, set: /not cached: .*set: IOError: set is broken/ }.each do |method, warning|
      it "does not fail the step: #{method}" do
        results = Array.new(2) { counting.run(cache: BrittleCache.new(method), input: 1) }
        expect([statuses(results), results.last.warnings]).to match([%i[succeeded succeeded], [warning]])
      end
    end
  end

  it "warns once of an entry that cannot be read" do
    stubborn = Class.new { def get(_) = "garbage"; def set(*) = true; def exists?(_) = true }.new # rubocop:disable Style/Semicolon
    expect(counting.run(cache: stubborn, input: 1).warnings).to contain_exactly(/could not be read \(.+\) and is computed again/)
  end

  it "stores no output that contains a secret" do
    pipeline = Flowline.define(name: "secret") do |p|
      p.param(:token, secret: true)
      p.step(:work, cache: true) { |ctx| { token: ctx[:token] } }
      p.step(:other, cache: true) { |ctx| ctx[:token].size }
    end
    results = twice(pipeline, token: "hunter2")
    expect([statuses(results), statuses(results, :other)]).to eq([%i[succeeded succeeded], %i[succeeded cached]])
    expect(results.map(&:warnings)).to all(include("the output of step work is not cached: it holds a secret"))
    expect(cache.instance_variable_get(:@entries).to_s).not_to include("hunter2")
  end

  it "computes a step once for many concurrent runs" do
    inside, go = Queue.new, Queue.new
    pipeline = counting { (inside << 1) && go.pop }
    threads = [Thread.new { pipeline.run(cache: cache, input: 1) }]
    inside.pop
    threads += Array.new(3) { Thread.new { pipeline.run(cache: cache, input: 1) } }
    Thread.pass until threads.all?(&:stop?)
    go << :output
    results = threads.map { |thread| thread.join(10).value }
    expect([results.map { |result| result[:work].output }, calls.size, statuses(results).tally]).to eq([[:output] * 4, 1, { succeeded: 1, cached: 3 }])
  end

  it "shows cached steps in the plan without calling key:" do
    pipeline = Flowline.define(name: "planned") { |p| p.step(:work, cache: true) { 1 } }
    before = pipeline.run(cache: cache, dry_run: true)[:work].action
    pipeline.run(cache: cache)
    expect([before, pipeline.run(cache: cache, dry_run: true)[:work].action]).to eq(%i[run reuse])
    raising = Flowline.define { |p| p.step(:work, cache: { key: -> { raise "no" } }) { 1 } }
    expect(raising.run(dry_run: true)[:work].action).to eq(:unknown)
  end
end
