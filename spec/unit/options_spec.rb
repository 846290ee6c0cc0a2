# frozen_string_literal: true

RSpec.describe Flowline::Definition::Options do
  nested = Flowline.define { step(:x) { 1 } }

  # Each way to give options: the table of known ones, and how they are given.
  givers = {
    "define" => [described_class::DEFINE, ->(options) { Flowline.define(**options) { step(:a) { 1 } } }],
    "step" => [described_class::STEP, ->(options) { Flowline.define { step(:a, **options) { 1 } } }],
    "step a (a nested pipeline)" => [described_class::NESTED, ->(options) { Flowline.define { step(:a, nested, **options) } }],
    "include" => [described_class::INCLUDE, ->(options) { Flowline.define { include(nested, **options) } }],
    "defaults" => [described_class::STEP, ->(options) { Flowline.define { defaults(**options) } }],
    "run" => [described_class::RUN, ->(options) { Flowline.define.run(**options) }]
  }

  # For each option one valid value and some invalid ones.
  values = {
    name: ["x", 3], description: ["x", 3], on_error: [:continue, :carry_on, "stop"], check_types: [true, "yes", nil],
    depends_on: [[], 3, { a: 1 }, [nil]], when: [->(_) { true }, true, nil, :live?], unless: [->(_) { false }, false],
    run_if: [:any, :sometimes, true], optional: [true, nil, 1], tags: [%i[a b], 3, [1]], prefix: [:q, 3],
    context: [{ a: 1 }, nil, []], params: [{}, nil, "a"]
  }

  givers.each do |owner, (table, give)|
    describe "of #{owner}" do
      it "raise if they are unknown, with the nearest or all known options" do
        table.each_key.reject { |name| name.size < 5 }.each do |name|
          expect { give.call("#{name}x": 1) }.to raise_error(Flowline::Error, /(unknown option|unknown param) #{name}x.*; did you mean #{name}\?/)
        end
        expect { give.call(zzzzzzzz: 1) }.to raise_error(Flowline::Error, /unknown (option|param) zzzzzzzz:?; known are #{table.keys.first}, /)
      end

      table.slice(*values.keys).each_key do |name|
        right, *wrong = values.fetch(name)

        it "take #{name}: #{right.is_a?(Proc) ? "a lambda" : right.inspect}, not #{wrong.map(&:inspect).join(", ")}" do
          wrong = wrong.compact if %i[name description prefix].include?(name)
          expect { give.call(name => right) }.not_to raise_error
          wrong.each { |value| expect { give.call(name => value) }.to raise_error(Flowline::Error, /#{name}: must be /) }
        end
      end
    end
  end

  it "name the member of cache: that is wrong" do
    {
      { ttl: 0 } => "ttl: must be a number of seconds above 0, or nil for no limit, not 0", { key: 5 } => "key: must be a lambda or another object with `call`, not 5",
      { store: :memory } => "store: must be a cache, with `get`, `set` and `exists?`, not :memory", { tll: 3 } => "unknown option tll:; did you mean ttl?",
      { "ttl" => 3 } => 'unknown option "ttl", a String; known are ttl, key, store'
    }.each do |options, message|
      expect { Flowline.define { step(:a, cache: options) { 1 } } }.to raise_error(Flowline::DefinitionError, /\Astep a: cache: #{Regexp.escape(message)} \(/)
    end
  end

  it "have all mistakes in one error" do
    expect { Flowline.define(nmae: "x", on_error: 1) { step(:a, retires: 3, optional: 1) } }.to raise_error(Flowline::DefinitionError) { |error|
      expect(error.problems.map(&:message)).to match([/define: unknown option nmae:/, /define: on_error: must be :stop or :continue, not 1/,
                                                      /step a: unknown option retires:/, /step a: optional: must be true or false, not 1/,
                                                      /step a has nothing to call/])
      expect(error.problems.map(&:location)).to all(start_with("#{__FILE__}:"))
    }
  end

  it "are the settings of a pipeline" do
    pipeline = Flowline.define(name: :import, description: "all of it", on_error: :continue)

    expect([pipeline.name, pipeline.description]).to eq(["import", "all of it"])
    expect(pipeline.settings).to eq(name: :import, description: "all of it", on_error: :continue)
  end

  it "of run override the options of define" do
    pipeline = Flowline.define(on_error: :continue) do
      step(:bad) { raise "no" }
      step(:after, depends_on: :bad) { |_| 1 }
    end

    expect(pipeline.run[:after].reason).to eq(:upstream_failed)
    expect(pipeline.run(on_error: :stop)[:after].reason).to eq(:run_failed)
  end

  it "given as defaults hold for the following steps that do not override them" do
    own = Class.new(Flowline::Step) do
      options description: "the class's"
      def call = 1
    end
    pipeline = Flowline.define do
      step(:before) { 1 }
      defaults description: "the defaults'"
      defaults optional: true
      step(:plain) { 1 }
      step(:other, description: "its own") { 1 }
      step :classy, own
      step :instance, own.new
    end

    expect(pipeline.steps.map(&:description)).to eq([nil, "the defaults'", "its own", "the class's", "the class's"])
    expect(pipeline.steps.map(&:optional?)).to eq([false, true, true, true, true])
  end
end
