# frozen_string_literal: true

RSpec.describe Flowline::Step do
  it "passes its arguments to the callable when it is called directly" do
    users = described_class.new(:process_users) { |input| input[:users].map(&:upcase) }

    expect(users.call(users: %w[a b])).to eq(%w[A B])
    expect(described_class.new(:add) { |a, b = 1, c:| a + b + c }.call(1, c: 2)).to eq(4)
    expect(described_class.new(:each) { |x, &block| block.call(x) }.call(2) { |n| n * 3 }).to eq(6)
    expect(described_class.new(:class, Class.new { def call(a) = a + 1 }).call(1)).to eq(2)
    expect(described_class.new(:method, 5.method(:+)).call(1)).to eq(6)
  end

  it "is frozen data" do
    step = described_class.new("load", ->(_) {}, depends_on: ["a", :b, :a], description: "x", tags: :t, optional: true)

    expect(step).to be_frozen.and have_attributes(name: :load, depends_on: %i[a b], description: "x", tags: [:t], optional?: true, group: nil)
    expect([step.options, step.depends_on]).to all(be_frozen)
    expect(step.inspect).to eq("#<Flowline::Step load depends_on a, b>")
  end

  {
    "no name" => [-> { Flowline::Step.new { 1 } }, /a name is a Symbol or a String/],
    "nothing to call" => [-> { Flowline::Step.new(:a) }, /step a has nothing to call; give it a block/],
    "an object without call" => [-> { Flowline::Step.new(:a, 5) }, /step a cannot call 5; it needs a method `call`/],
    "a class without call" => [-> { Flowline::Step.new(:a, String) }, /step a cannot call String/],
    "a block and a callable" => [-> { Flowline::Step.new(:a, -> {}) { 1 } }, /step a: give either a block or a callable, not both/],
    "a class whose new needs arguments" => [-> { Flowline::Step.new(:a, Class.new { def initialize(one) = @call = one; attr_reader :call }) }, # rubocop:disable Style/Semicolon
                                            /step a cannot make a .*: its initialize needs arguments; pass an instance instead/],
    "Step itself" => [-> { Flowline::Step.new(:a, Flowline::Step) }, /step a has nothing to call/],
    "a subclass without call" => [-> { Flowline::Step.new(:a, Class.new(Flowline::Step)) },
                                  /step a has nothing to call; .* needs a `call` of its own/],
    "an instance of one" => [-> { Class.new(Flowline::Step).new }, /has nothing to call; .* needs a `call` of its own/]
  }.each do |what, (make, message)|
    it "refuses #{what} as its callable" do
      expect(&make).to raise_error(Flowline::DefinitionError, message)
    end
  end

  describe "a step class" do
    base = Class.new(described_class) do
      options description: "base", optional: true
      def call(context) = [self.class, context[:n]]
    end
    derived = Class.new(base) { options description: "derived", tags: :t }

    it "has the options of its body and of its superclass, unless the definition overrides them" do
      pipeline = Flowline.define do
        step :a, base
        step :b, derived
        step :c, derived, description: "own", optional: false
      end

      expect(pipeline.steps.map { |step| [step.description, step.optional?, step.tags] })
        .to eq([["base", true, []], ["derived", true, [:t]], ["own", false, [:t]]])
      expect(base.options).to eq(description: "base", optional: true)
      expect(derived.options).to eq(description: "derived", optional: true, tags: :t)
    end

    it "has the dependencies of its body" do
      dependent = Class.new(described_class) do
        options depends_on: %i[x y]
        def call(x:, **rest) = [x, rest]
      end
      pipeline = Flowline.define do
        step(:x) { 1 }
        step(:y) { 2 }
        step :z, dependent
      end

      expect(output_of(pipeline, :z)).to eq([1, { y: 2 }])
    end

    it "has its options checked" do
      wrong = Class.new(described_class) do
        options retires: 3, optional: 1
        def call = 1
      end

      expect { Flowline.define { step :a, wrong } }.to raise_error(Flowline::DefinitionError) { |error|
        expect(error.problems.map(&:message)).to match([/step a: unknown option retires:/, /step a: optional: must be true or false/])
      }
    end

    it "may be given as an instance, which is called every time" do
      configured = Class.new(described_class) do
        def initialize(factor) = (@factor = factor; super()) # rubocop:disable Style/Semicolon
        def call(number) = number * @factor
      end
      pipeline = Flowline.define do
        step(:one) { 1 }
        step :double, configured.new(2), depends_on: :one
        step :triple, configured.new(3), depends_on: :one
      end

      expect(pipeline.run!.outputs).to include(double: 2, triple: 3)
      expect { Flowline.define { step :a, configured } }.to refuse(/pass an instance instead/)
    end
  end
end
