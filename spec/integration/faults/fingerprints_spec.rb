# frozen_string_literal: true

require "delegate"

# Callables of known classes, so that their content can be digested.
module Edited
  class Tool
    def one(value = 0) = value + 1
    def two(value = 0) = value + 2
    def method_missing(name, *) = name == :ghost ? 1 : super
    def respond_to_missing?(name, _all = false) = name == :ghost
  end

  class Ghost
    def method_missing(name, *) = name == :call ? 1 : super
    def respond_to_missing?(name, _all = false) = name == :call
  end

  class Text
    def initialize(text) = @text = text
    def call = @text
  end

  class Pair
    define_method(:call, &(proc { 1 } >> proc { 1 }))
  end

  class Lock
    def initialize = @lock = Mutex.new
  end
end

RSpec.describe "An edited callable" do
  let(:state) { { broken: true } }
  let(:cache) { Flowline::Cache::Memory.new }

  # A pipeline with a step of this callable; the step after it fails while the state is broken.
  def define(callable = nil, name: "edited", **options, &block)
    state = self.state
    cache = self.cache
    Flowline.define(name: name, cache: cache) do |p|
      p.step(:rows) { [[1], [2]] }
      p.step(:a, callable, **options, &block)
      p.step(:last, depends_on: :a) { |a| state[:broken] ? raise("down") : a }
    end
  end

  def resume(pipeline, **options)
    state[:broken] = false
    pipeline.run(resume: true, **options)
  end

  # Whether the output of the first is restored in a run of the second.
  def restored?(first, second)
    state[:broken] = true
    first.run
    resume(second)[:a].status == :restored
  end

  def composed
    proc { |x| x } >> proc { |x| x }
  end

  # A class, its instances, and a class with `call` itself, each made of a block that captures a value.
  def made_of(value)
    stub_const("Made", Class.new { define_method(:call) { value } })
  end

  def made_of_itself(value)
    stub_const("MadeItself", Class.new { define_singleton_method(:call) { value } })
  end

  tool = Edited::Tool.new
  {
    "&method(:one)" => [tool.method(:one), tool.method(:two)],
    "&method(:one) of an unbound method" => [Edited::Tool.instance_method(:one).bind(tool), Edited::Tool.instance_method(:two).bind(tool)],
    "&Integer.method(:===)" => [Integer.method(:===), Integer.method(:==)]
  }.each do |what, (one, two)|
    it "is not restored when a block made of a Method changes: #{what}" do
      expect([[one, two], [one, one]].map { |before, after| restored?(define(&before), define(&after)) }).to eq([false, true])
    end

    it "misses the cache when a block made of a Method changes: #{what}" do
      state[:broken] = false
      input = 4
      statuses = [one, one, two].map { |method| define(cache: true, &method).run(input: input)[:a].status }
      expect(statuses).to eq(%i[succeeded cached succeeded])
    end
  end

  it "has the fingerprint of the Method that its block is made of" do
    fingerprints = [define(&tool.method(:one)), define(tool.method(:one))].map { |pipeline| pipeline.fingerprint(0) }
    expect(fingerprints.map(&:value).uniq.size).to eq(1)
  end

  %i[made_of made_of_itself].each do |make|
    it "is not restored when `define_method(:call)` captures another value (#{make})" do
      expect([[1, 2], [1, 1]].map { |before, after| restored?(define(send(make, before)), define(send(make, after))) }).to eq([false, true])
      make == :made_of or next
      expect([[1, 2], [1, 1]].map { |before, after| restored?(define(made_of(before).new), define(made_of(after).new)) }).to eq([false, true])
    end

    it "misses the cache when `define_method(:call)` captures another value (#{make})" do
      state[:broken] = false
      outputs = [1, 1, 2].map { |value| define(send(make, value), cache: true).run[:a].then { |step| [step.status, step.output] } }
      expect(outputs).to eq([[:succeeded, 1], [:cached, 1], [:succeeded, 2]])
    end
  end

  it "is seen through aliases, subclasses, and methods made of other methods" do
    made = lambda do |value|
      base = stub_const("Base", Class.new { define_method(:make) { value } })
      part = stub_const("Derived", Class.new(base) { alias_method :call, :make })
      whole = stub_const("Whole", Class.new { define_method(:call, &part.new.method(:call)) })
      [part, Class.new(part).superclass.new, part.new.method(:call), whole].map { |callable| Flowline::Identity::Fingerprint.new(callable).value }
    end
    one, two, again = [1, 2, 1].map { |value| made.call(value) }
    expect(one.zip(two).map { |before, after| before == after }).to all(be(false))
    expect(again).to eq(one)
  end

  # Steps that wrap the block of the method that defines them.
  def yielding(&) = define(cache: true) { [1].map { yield } }
  def passing(&) = define(cache: true) { [1].map(&) }
  def named(&body) = define(cache: true) { [1].map(&body) }

  it "is neither cached nor restored when it calls the block of the method around it, and says so" do
    state[:broken] = false
    { yielding: "it yields to the block of the method around it", passing: "it passes on parameters without a name of the method around it",
      named: "captures body" }.each do |method, why|
      results = [send(method) { "old" }, send(method) { "new" }].map(&:run)
      expect(results.map { |result| [result[:a].status, result[:a].output] }).to eq([[:succeeded, ["old"]], [:succeeded, ["new"]]])
      expect(results.map { |result| result.warnings.join }).to all(include(why))
    end
    state[:broken] = true
    expect(restored?(yielding { "old" }, yielding { "new" })).to be(false)
    within = Class.new { define_singleton_method(:step) { -> { Class.new { def each = yield }.new.each { 1 } } } }
    expect(define(within.step, cache: true).fingerprint(0).problem).to be_nil
  end

  it "digests a variable that `define_method` captures again once it has another object" do
    factor = 1
    pipeline = define(stub_const("Factor", Class.new { define_method(:call) { factor } }), cache: true)
    state[:broken] = false
    outputs = [1, 2, 1].map { |value| (factor = value) && pipeline.run[:a].then { |step| [step.status, step.output] } }
    expect(outputs).to eq([[:succeeded, 1], [:succeeded, 2], [:cached, 1]])
  end

  it "names a value that `define_method` captures and that cannot be digested" do
    state[:broken] = false
    io = $stdin
    result = define(stub_const("Reads", Class.new { define_method(:call) { io.fileno } }), cache: true).run
    expect(result.warnings).to eq(["step a is not cached: it captures io (an IO), which cannot be digested; give cache: { key: }"])
  end

  it "is not restored when each: is added, removed or changed" do
    plain = define(depends_on: :rows) { |x| x.size }
    each = define(each: :rows) { |x| x.size }
    other = ->(source) { Flowline.define(name: "each") { |p| three(p, source) } }
    expect([[plain, each], [each, plain], [each, each]].map { |before, after| restored?(before, after) }).to eq([false, false, true])
    expect([%i[x y], %i[x x]].map { |before, after| restored?(other[before], other[after]) }).to eq([false, true])
  end

  # Two lists with the same labels, one of which is gone through.
  def three(pipeline, source)
    state = self.state
    %i[x y].each { |name| pipeline.step(name) { [name] } }
    pipeline.step(:a, depends_on: %i[x y], each: source) { |item, **others| [item, others] }
    pipeline.step(:last, depends_on: :a) { |a| state[:broken] ? raise("down") : a }
  end

  it "does not restore items when each: moves to another list" do
    stub_const("State", state) # What the block captured would change.
    make = lambda do |source|
      Flowline.define(name: "items") do |p|
        %i[x y].each { |name| p.step(name) { [1, 2] } }
        p.step(:a, depends_on: %i[x y], each: source) { |item, **others| item == 2 && State[:broken] ? raise("down") : [item, others.keys] }
      end
    end
    make[:x].run
    expect(resume(make[:y])[:a].output).to eq([[1, [:x]], [2, [:x]]])
  end

  it "misses the cache when each: is removed, whatever its key: says" do
    state[:broken] = false
    key = { key: -> { 1 } }
    outputs = [define(each: :rows, cache: key) { |x| x.size }, define(depends_on: :rows, cache: key) { |x| x.size }].map { |pipeline| pipeline.run[:a].output }
    expect(outputs).to eq([[1, 1], 2])
  end

  hidden = {
    "procs composed by >>" => proc { |x| x } >> proc { |x| x },
    "procs composed by <<" => proc { |x| x } << proc { |x| x },
    "composed Methods" => tool.method(:one) >> tool.method(:two),
    "a composed symbol" => :to_s.to_proc >> :upcase.to_proc,
    "a curried proc" => proc { |x = nil| x }.curry(1),
    "a curried Method" => tool.method(:one).curry(1),
    "a Hash as a proc" => { a: 1 }.to_proc,
    "the `call` of a lambda" => ->(x) { x }.method(:call),
    "a block made of it" => :to_s.to_proc.>>(:upcase.to_proc).method(:call).to_proc,
    "a Method that method_missing answers" => tool.method(:ghost),
    "a block made of a Method that method_missing answers" => tool.method(:ghost).to_proc,
    "an object whose call method_missing answers" => Edited::Ghost.new,
    "a delegator of a lambda" => SimpleDelegator.new(->(x) { x }),
    "a built-in method of what cannot be digested" => Edited::Lock.new.method(:frozen?),
    "a method made of composed procs" => Edited::Pair.new
  }

  hidden.each do |what, callable|
    describe "whose code cannot be seen: #{what}" do
      def from(callable, **options)
        callable.is_a?(Proc) ? define(**options, &callable) : define(callable, **options)
      end

      it "is neither restored nor cached, and says so" do
        from(callable).run(input: 1)
        plan = from(callable).run(input: 1, resume: true, dry_run: true)
        result = resume(from(callable), input: 1)
        expect([plan[:a].action, result[:rows].status]).to eq(%i[run restored])
        expect(result[:a].status).not_to eq(:restored)
        expect(plan[:a].reason).to match(/\Anot restored: its code cannot be seen \(.+\); give version:\z/)
        expect(result.warnings).to match([/\Astep a is not restored: its code cannot be seen \(.+\); give version:\z/])
      end

      it "is not cached, with or without a key:, and says so" do
        [true, { key: -> { 1 } }].each do |cached|
          pipeline = from(callable, cache: cached)
          result = Array.new(2) { pipeline.run(input: 1) }.last
          expect(result[:a].status).not_to eq(:cached)
          expect(result.warnings).to match([/\Astep a is not cached: its code cannot be seen \(.+\); give version:\z/])
          expect(pipeline.run(input: 1, dry_run: true)[:a].reason).to match(/\Anot cached: its code cannot be seen \(.+\); give version:\z/)
        end
      end

      it "is restored and cached while its version: is the same" do
        next unless from(callable).run(input: 1)[:a].success?

        expect(restored_with(callable, 1, 1)).to be(true)
        expect(restored_with(callable, 1, 2)).to be(false)
        statuses = [1, 1, 2].map { |version| from(callable, name: "versions", cache: { key: -> { 1 } }, version: version).run(input: 1)[:a].status }
        expect(statuses).to eq(%i[succeeded cached succeeded])
      end

      def restored_with(callable, *versions)
        state[:broken] = true
        from(callable, version: versions.first).run(input: 1)
        resume(from(callable, version: versions.last), input: 1).then { |result| result[:a].status == :restored && result.warnings.empty? }
      end
    end
  end

  it "runs again with all that comes after it, also without a name" do
    pipeline = Flowline.define do |p|
      p.step(:a, &composed)
      p.step(:b, depends_on: :a) { |a| a }
      p.step(:c, depends_on: :b) { |b| state[:broken] ? raise("down") : b }
    end
    pipeline.run(input: 1)
    expect(outcomes(resume(pipeline, input: 1))).to eq(a: :succeeded, b: :succeeded, c: :succeeded)
  end

  it "is restored where only: leaves it out, and says so" do
    pipeline = define(&composed)
    pipeline.run(input: 1)
    plan = pipeline.run(input: 1, only: :last, dry_run: true)
    result = resume(pipeline, input: 1, only: :last)
    expect(plan[:a].reason).to match(/; restored although its code cannot be seen \(.+\); give version:\z/)
    expect([outcomes(result), result.warnings]).to match([{ rows: [:skipped, :not_selected], a: :restored, last: :succeeded },
                                                          [/\Astep a is restored although its code cannot be seen \(.+\); give version:\z/]])
  end

  it "does not restore items of a step whose code cannot be seen", executor: :in_process do
    state = self.state
    calls = []
    make = lambda do |**options|
      work = proc { |row| row.first.tap { |n| calls << n } } >> proc { |n| n == 2 && state[:broken] ? raise("down") : n }
      Flowline.define(name: "items") do |p|
        p.step(:rows) { [[1], [2]] }
        p.step(:a, each: :rows, **options, &work)
      end
    end
    [[{}, [1, 2]], [{ version: 1 }, [2]]].each do |options, again|
      state[:broken] = true
      make.call(**options).run
      calls.clear
      plan = make.call(**options).run(resume: true, dry_run: true)
      result = resume(make.call(**options))
      expect([result[:a].output, calls]).to eq([[1, 2], again])
      expect([plan[:a].reason, result.warnings.size]).to match(options.empty? ? [/\Anot restored: its code cannot be seen/, 1] : ["1 item is recorded", 0])
    end
  end

  %i[when unless].each do |word|
    it "is not restored when the code of its #{word}: cannot be seen, unless it gives version:" do
      condition = proc { |_| word == :when } >> proc { |x| x }
      define(word => condition) { 1 }.run
      plan = define(word => condition) { 1 }.run(resume: true, dry_run: true)
      result = resume(define(word => condition) { 1 })
      expect([plan[:a].reason, result[:a].status]).to match([/\Anot restored: the code of its #{word}: cannot be seen \(.+\); give version:; depends on #{word}:\z/, :succeeded])
      expect(result.warnings).to match([/\Astep a is not restored: the code of its #{word}: cannot be seen/])
      expect([[1, 1], [1, 2]].map { |versions| restored?(*versions.map { |version| define(word => condition, version: version) { 1 } }) }).to eq([true, false])
    end

    it "is not restored when #{word}: is a block made of another Method" do
      conditions = [tool.method(:one), tool.method(:two), tool.method(:one)].map(&:to_proc)
      pipelines = conditions.map { |condition| define(word => condition, depends_on: :rows) { 1 } }
      expect(pipelines.map { |pipeline| pipeline.step_digest(pipeline.dag.index[:a]) }.uniq.size).to eq(2)
    end
  end

  it "is that of the block when a Step is given as a callable" do
    steps = [1, 2, 1].map { |n| Flowline::Step.new(:inner) { n } }
    values = steps.map { |step| define(step).then { |made| made.fingerprint(made.dag.index[:a]).value } }
    expect([values.uniq.size, values.first == values.last]).to eq([2, true])
    expect(define(steps.first).fingerprint(0).problem).to be_nil
  end

  it "is known by its name where it is &:symbol or a method in C" do
    callables = [:upcase.to_proc, :downcase.to_proc, Integer.method(:sqrt), Integer.method(:===), method(:puts).unbind.bind(self.class.name), Edited::Text.new("a").method(:itself), "b".method(:to_s)]
    fingerprints = callables.map { |callable| Flowline::Identity::Fingerprint.new(callable) }
    expect([fingerprints.map(&:value).uniq.size, fingerprints.map(&:problem).compact]).to eq([callables.size, []])
  end

  it "has the same fingerprint after the garbage collector moved everything" do
    value = [1, "two"]
    type = stub_const("Moved", Class.new { define_method(:call) { value } })
    block = ->(&given) { given }.call(&type.new.method(:call))
    before = Flowline::Identity::Fingerprint.new(block).value
    GC.compact if GC.respond_to?(:compact)
    expect(Array.new(50) { Flowline::Identity::Fingerprint.new(block).value }.uniq).to eq([before])
  end
end
