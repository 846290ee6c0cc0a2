# frozen_string_literal: true

require "json"
require "stringio"

RSpec.describe "Robustness", executor: :in_process do
  # Everything that could trip over a value: reporters, hooks, a dependent that fails, the result.
  def through_everything(value)
    out = StringIO.new
    pipeline = Flowline.define do |p|
      log_hooks(p, [])
      p.step(:make) { value }
      p.step(:take, depends_on: :make) { |given| [value.__id__ == given.__id__] }
      p.step(:hash, depends_on: %i[make take], run_if: :any) { |all| all.size }
      p.step(:fail, depends_on: :make, optional: true) { |_| raise "no" }
      p.step(:cond, depends_on: :make, when: ->(_ctx, given) { given.__id__ == value.__id__ }) { |_| 1 }
    end
    result = pipeline.run(reporter: [Flowline::Reporter::JSON.new(out), Flowline::Reporter::Console.new(out)], on_error: :continue)
    [result, result.to_json, result.inspect, result[:make].inspect]
    result
  end

  hostile = lambda do |parent, *names|
    Class.new(parent) { names.each { |name| define_method(name) { |*| raise "#{name} must not be called" } } }.new
  end

  describe "outputs" do
    {
      "nil" => nil, "false" => false, "a frozen String" => "x", "100,000 elements" => Array.new(100_000, 1).freeze, "an Array" => [1, [2]],
      "a Hash" => { a: 1 }, "an Array of Arrays" => [[1, 2], [3, 4]], "an empty Array" => [], "an exception" => RuntimeError.new("x"),
      "a lambda" => -> {}, "a class" => Class, "a BasicObject" => BasicObject.new,
      "an object with hostile methods" => hostile.call(Object, :==, :eql?, :hash, :inspect, :to_s, :to_ary, :to_a, :to_hash, :to_str, :class, :nil?,
                                                       :respond_to?, :dup, :freeze, :is_a?, :instance_of?, :!, :size),
      "an Array with hostile methods" => hostile.call(Array, :size, :length, :hash, :==, :inspect, :to_s, :each, :map, :class)
    }.each do |kind, value|
      it "may be anything: #{kind}" do
        result = through_everything(value)
        expect(result.warnings.grep_v(/optional step fail/)).to eq([])
        expect(result[:take].output).to eq([true])
        expect(outcomes(result)).to eq(make: :succeeded, take: :succeeded, hash: :succeeded, fail: :failed, cond: :succeeded)
        expect(result.outputs[:make].__id__).to eq(value.__id__)
        expect(result[:fail].error.inputs.keys).to eq([:make])
      end
    end

    it "may be of a class without a name" do
      nameless = Class.new do
        %i[to_s name inspect].each { |method| define_singleton_method(method) { raise "#{method} must not be called" } }
      end
      expect(through_everything(nameless.new)[:fail].error.inputs[:make]).to start_with("#<Class:")
    end
  end

  describe "sizes" do
    it "may be no step or one" do
      expect(run).to have_attributes(status: :succeeded, steps: [], outputs: {}, failed_step: nil)
      expect(run { step(:a) { 1 } }.outputs).to eq(a: 1)
    end

    it "may be 100,000 steps wide" do
      pipeline = Flowline.define do |p|
        names = Array.new(100_000) { |i| p.step(:"s#{i}") { i } }
        p.step(:sum, depends_on: names) { |all| all.each_value.sum }
      end
      expect(pipeline.run[:sum].output).to eq(100_000 * 99_999 / 2)
    end

    it "may be 100,000 steps deep" do
      pipeline = Flowline.define do |p|
        p.step(:s0) { 0 }
        1.upto(99_999) { |i| p.step(:"s#{i}", depends_on: :"s#{i - 1}") { |n| n + 1 } }
      end
      expect(pipeline.run[:s99999].output).to eq(99_999)
    end

    it "may fail, be skipped or be interrupted 100,000 steps deep" do
      mode = nil
      ends = []
      pipeline = Flowline.define do |p|
        p.after_run { |result| ends << outcomes(result).values.tally }
        p.step(:s0, when: ->(_) { mode != :skip }) { mode == :fail ? raise("x") : raise(Interrupt) }
        1.upto(99_999) { |i| p.step(:"s#{i}", depends_on: :"s#{i - 1}") { |n| n } }
      end
      mode = :fail
      pipeline.run
      pipeline.run(on_error: :continue)
      mode = :skip
      pipeline.run
      mode = :interrupt
      expect { pipeline.run }.to raise_error(Interrupt)
      expect(ends).to eq([{ failed: 1, %i[cancelled run_failed] => 99_999 }, { failed: 1, %i[cancelled upstream_failed] => 99_999 },
                          { %i[skipped condition] => 1, %i[skipped upstream_skipped] => 99_999 }, { %i[cancelled interrupted] => 100_000 }])
    end
  end

  describe "runs within runs" do
    it "may run the pipeline itself" do
      pipeline = Flowline.define do
        param :n, type: :integer
        step(:fact) { |ctx| ctx[:n] < 2 ? 1 : ctx[:n] * pipeline.run!(n: ctx[:n] - 1)[:fact].output }
      end
      expect(pipeline.run!(n: 20)[:fact].output).to eq(2_432_902_008_176_640_000)
    end

    it "may be started in hooks, conditions and reporters" do
      log = []
      other = Flowline.define { step(:o) { log << :o } }
      result = run(reporter: ->(event) { other.run if event.name == :run_finished }) do
        before_run { other.run! }
        after_step { other.run! }
        step(:a, when: ->(_) { other.run.success? }) { log << :a }
      end
      expect([result.warnings, log]).to eq([[], %i[o o a o o]])
    end
  end

  describe "exceptions" do
    def failure_of(*error, &body)
      body ||= -> { raise(*error) }
      reporters = [Flowline::Reporter::Console, Flowline::Reporter::JSON].map { |type| type.new(StringIO.new) }
      result = run(reporter: reporters) { |p| p.step(:a, &body) }
      expect(result.warnings).to eq([])
      expect(JSON.parse(result.to_json)["error"]["message"]).to eq(result.error.message)
      expect(result.error.message).to be_valid_encoding.and start_with("step a failed: ")
      result[:a].error
    end

    def saying(&message)
      Class.new(StandardError) { define_method(:message, &message) }
    end

    {
      "raises" => [-> { raise "not told" }, /cannot be read: RuntimeError/], "is nil" => [-> {}, /failed: #<Class/],
      "is a number" => [-> { 42 }, /: 42 /],
      "is a BasicObject" => [-> { BasicObject.new }, /cannot be read: NoMethodError/], "is empty" => [-> { "" }, /failed: /],
      "is binary" => [-> { "a\xff\xfeb".b }, /a\uFFFD\uFFFDb/], "is broken UTF-8" => [-> { "a\xff" }, /a\uFFFD/],
      "is UTF-16" => [-> { "é".encode("UTF-16LE") }, /é/], "is Latin-1" => [-> { "é".encode("ISO-8859-1") }, /é/],
      "is very long" => [-> { "x" * 1_000_000 }, /xxxx/], "has newlines" => [-> { "one\ntwo" }, /one \(.+:\d+\)\ntwo/]
    }.each do |kind, (message, expected)|
      it "may have a message that #{kind}" do
        type = saying(&message)
        error = failure_of(type)
        expect(error.original).to be_a(type)
        expect(error.message).to match(expected)
      end
    end

    it "may be frozen" do
      frozen = RuntimeError.new("cold").freeze
      error = failure_of(frozen)
      expect(error.original).to equal(frozen)
      expect(error.message).to include("cold")
    end

    it "may be without a backtrace, or with an odd one" do
      expect(failure_of(RuntimeError, "x", [])).to have_attributes(message: "step a failed: RuntimeError: x", location: nil)
      expect(failure_of(RuntimeError, "x", ["odd"])).to have_attributes(location: nil, backtrace: ["odd"])
      gone = failure_of(RuntimeError, "x", ["/no/such/file.rb:7:in `x'"])
      expect(gone.location).to eq("/no/such/file.rb:7")
    end

    it "may be the same object raised several times" do
      same = RuntimeError.new("same")
      result = run(on_error: :continue) do
        2.times { |i| step(:"s#{i}") { raise same } }
      end
      expect(result.steps.map { |step| step.error.original }).to all(equal(same))
    end

    it "may have a hostile class, ==, hash and inspect" do
      error = failure_of(hostile.call(StandardError, :class, :==, :hash, :inspect, :to_s))
      expect(error.message).to include("cannot be read")
    end

    it "may be without a cause" do
      first = RuntimeError.new("first")
      expect(failure_of { raise first, cause: nil }.cause).to equal(first)
    end

    it "may be Flowline's own" do
      inner = Flowline::StepError.new(:inner, RuntimeError.new("deep"))
      error = failure_of(inner)
      expect(error).to have_attributes(step_name: :a, original: inner)
    end
  end

  describe "callables" do
    it "may raise ArgumentError for a wrong number of arguments" do
      object = Object.new
      def object.call(*args) = args.fetch(7)
      expect(run { |p| p.step(:a, object) }[:a].error.original).to be_an(IndexError)
    end

    it "cannot change the pipeline's own objects" do
      pipeline = Flowline.define { step(:a) { 1 } }
      expect(pipeline).to be_frozen
      expect { pipeline.steps << 1 }.to raise_error(FrozenError)
      expect { pipeline.params[:x] = 1 }.to raise_error(FrozenError)
      expect { pipeline.hooks[:before_run] = [] }.to raise_error(FrozenError)
      expect { pipeline.settings[:name] = 1 }.to raise_error(FrozenError)
      expect { pipeline.steps.first.options[:optional] = true }.to raise_error(FrozenError)
    end
  end
end
