# frozen_string_literal: true

RSpec.describe "Flowline.define" do
  describe "self in a definition", executor: :in_process do
    # A typical object of a user: with state and private methods.
    surrounding = Class.new do
      attr_reader :seen

      def initialize
        @client = "client"
        @seen = []
      end

      def bare
        Flowline.define do
          param :limit, default: -> { ten }
          before_run { note(:before_run) }
          before_step { |step| note(step.name) }
          step(:block) { [self, @client, ten] }
          step(:lambda, -> { [self, @client, ten] })
          step(:arguments, depends_on: :block) { |_, ctx| [self, @client, ctx[:limit]] }
          step(:keywords, depends_on: :block) { |block:| [self, @client, block.last] }
          step(:numbered, depends_on: :block) { [self, @client, _1.last] }
          step(:method, method(:triple))
          step(:condition, when: ->(_) { @client == "client" && ten }, unless: proc { ten.zero? }) { [self, @client, ten] }
          defaults when: ->(ctx) { ten == ctx[:limit] }
          step(:default_condition) { [self, @client, ten] }
        end
      end

      def explicit
        Flowline.define do |p|
          p.param :limit, default: -> { ten }
          p.before_run { note(:before_run) }
          p.step(:block) { [self, @client, ten] }
          p.step(:body, -> { [itself, @client, ten] })
        end
      end

      def helped
        Flowline.define do
          tables.each { |table| load_step(self, table) }
          keyword(name: :given) { |name| step(name) { ten } }
        end
      end

      private

      def ten = 10
      def triple = [self, @client, ten]
      def note(what) = @seen << what
      def tables = %i[users orders]
      def load_step(words, table) = words.step(:"load_#{table}") { [table, ten] }
      def keyword(name:) = yield(name)
    end

    it "is the self around define in step, hook, condition and default blocks" do
      object = surrounding.new

      expect(object.bare.run!.outputs.values).to all(eq([object, "client", 10]))
      expect(object.seen).to eq(%i[before_run block lambda arguments keywords numbered method condition default_condition])
    end

    it "does not change in the form with a parameter" do
      object = surrounding.new

      expect(object.explicit.run!.outputs.values).to all(eq([object, "client", 10]))
      expect(object.seen).to eq([:before_run])
      receiver = self
      Flowline.define { |p| expect([self, p.class]).to eq([receiver, Flowline::Definition]) }
      Flowline.define { expect(_1).to be_a(Flowline::Definition) }
    end

    it "has the methods of the object around define in the body, private ones included" do
      expect(surrounding.new.helped.run!.outputs).to eq(load_users: [:users, 10], load_orders: [:orders, 10], given: 10)
    end

    it "keeps the instance variables that a step assigns" do
      pipeline = Flowline.define { step(:s) { @assigned = 3 } }
      pipeline.run!

      expect(@assigned).to eq(3)
    end

    it "has its instance variables read and assigned in the body", executor: :in_process do
      object = Class.new do
        attr_reader :later

        def initialize = @limit = 3
        def prepare = @client = "client #{@day}"

        def pipeline
          Flowline.define do
            @day = "2024-01-31"
            prepare
            param :day, default: @day
            step(:s, timeout: @limit, description: @client) { |day:| [day, @client, @later] }
            @later = 4
          end
        end
      end.new
      pipeline = object.pipeline

      expect(pipeline.steps.first.options).to include(timeout: 3, description: "client 2024-01-31")
      expect([output_of(pipeline, :s), object.later]).to eq([["2024-01-31", "client 2024-01-31", 4], 4])
    end

    it "may be a frozen object, or one without methods" do
      [:symbol, 5, nil, Object.new.freeze].each do |receiver|
        expect(output_of(receiver.instance_exec { Flowline.define { step(:s) { self } } }, :s)).to equal(receiver)
      end
      bare = BasicObject.new
      expect(output_of(bare.instance_exec { ::Flowline.define { step(:s) { __id__ } } }, :s)).to eq(bare.__id__)
    end

    it "does not change local variables and methods of other objects" do
      rows = []
      pipeline = Flowline.define do
        step :push, rows.method(:push)
        step(:size, depends_on: :push) { rows.size }
      end

      expect(output_of(pipeline, :size)).to eq(0)
    end
  end

  describe "an unknown word" do
    it "raises at the user's line and suggests the nearest word" do
      Flowline::Definition::WORDS.reject { |word| word.size < 5 }.each do |word|
        error = error_of { Flowline.define { __send__(:"#{word}x", :a) } }
        here = line(-1)

        expect(error).to be_an_instance_of(Flowline::DefinitionError).and have_attributes(location: here)
        expect(error.message).to start_with("#{word}x is not a word of a definition; did you mean #{word}? (")
        expect(error.backtrace.first).to start_with("#{here}:")
      end
    end

    it "raises with a block, with options and with neither" do
      expect { Flowline.define { stepp(:a, depends_on: :b) { 1 } } }.to refuse(/did you mean step\?/)
      expect { Flowline.define { stepp } }.to refuse(/did you mean step\?/)
      expect { Flowline.define { frobnicate } }.to refuse(/\Afrobnicate is not a word of a definition \(/)
    end

    it "raises Ruby's own error in the form with a parameter" do
      expect { Flowline.define { |p| p.stepp(:a) } }.to raise_error(NoMethodError, /stepp/)
    end
  end

  describe "mistakes" do
    it "are listed in one error, each with its own source location" do
      first = line(2)
      error = error_of do
        Flowline.define(bogus: 1) do
          step(:a, retires: 1) { 1 }
          step(:b) { 1 }
          step(:b) { 1 }
          step(:c)
          param :p, type: :nope
          before_run
          include Comparable
          step(:d, depends_on: %i[x_v y_v]) { |v:| v }
          step(:e, -> {}) { 1 }
        end
      end
      lines = error.problems.map { |problem| problem.message.scan(/#{__FILE__}:(\d+)/).flatten.last.to_i - first[/\d+\z/].to_i }

      expect(error.problems.map(&:message)).to match(
        [/define: unknown option bogus:/, /step a: unknown option retires:/, /step c has nothing to call/, /param p: unknown type :nope/,
         /before_run needs a block/, /include takes a pipeline, not Comparable/, /step e: give either a block or a callable/,
         /step b is defined twice/, /step d keyword v: could be x_v: and y_v:/]
      )
      expect(lines).to eq([0, 1, 4, 5, 6, 7, 9, 3, 8])
      expect(error.backtrace.first).to start_with("#{first}:")
    end

    it "that an including pipeline could fix are raised by validate! and run, in one error" do
      pipeline = Flowline.define do
        step(:a, depends_on: :nowhere) { 1 }
        step(:b, depends_on: :c) { 1 }
        step(:c, depends_on: :b) { 1 }
        step(:d) { |limit:| limit }
      end

      [-> { pipeline.validate! }, -> { pipeline.run }, -> { pipeline.run! }].each do |check|
        expect(&check).to raise_error(Flowline::DefinitionError) { |error|
          expect(error.problems.map(&:class)).to contain_exactly(Flowline::MissingDependencyError, Flowline::CycleError, Flowline::DefinitionError)
          expect(error.problems.map(&:location)).to all(start_with(__FILE__))
        }
      end
    end

    it "do not replace exceptions of the user's code" do
      expect { Flowline.define { raise ArgumentError, "mine" } }.to raise_error(ArgumentError, "mine")
      expect { Flowline.define { Integer("x") } }.to raise_error(ArgumentError)
    end
  end

  describe "a defined pipeline" do
    inner = Flowline.define { step(:x) { 1 } }
    pipeline = Flowline.define(name: "import", description: "d") do
      param :p, default: 1
      before_run { 1 }
      step(:a, tags: [:t]) { 1 }
      step :n, inner, depends_on: :a
      step(:z, depends_on: %i[a n]) { |a, n| [a, n] }
    end

    it "is frozen with all its parts" do
      tables = [pipeline.params, pipeline.hooks, pipeline.settings, pipeline.dag.groups, *pipeline.dag.groups.values.map(&:leaves)]
      parts = [pipeline, pipeline.dag, pipeline.steps, *pipeline.steps, *pipeline.steps.flat_map { |step| [step.options, step.labels] },
               pipeline.parts, *tables, *tables.first(2).flat_map(&:values), *pipeline.dag.groups.values]

      expect(parts.reject(&:frozen?)).to eq([])
      expect { pipeline.dag.add(:late) { 1 } }.to raise_error(FrozenError)
    end

    it "shows its name and size" do
      expect([pipeline.name, pipeline.description, pipeline.steps.map(&:name), pipeline.params.keys]).to eq(["import", "d", %i[a n.x z], [:p]])
      expect([pipeline.inspect, Flowline.define.inspect]).to eq(["#<Flowline::Pipeline import 3 steps>", "#<Flowline::Pipeline unnamed 0 steps>"])
      expect([pipeline.validate!, pipeline.steps.first.location]).to match([true, /\A#{__FILE__}:\d+\z/])
    end

    it "may be empty" do
      expect([Flowline.define, Flowline.define {}, Flowline.define { |_| }].map { |empty| empty.run!.outputs }).to all(eq({}))
    end

    it "can be created only by define" do
      expect { Flowline::Pipeline.new(Flowline::Definition.new) }.to raise_error(NoMethodError)
    end

    it "may be run by several threads at once" do
      results = Array.new(4) { Thread.new { pipeline.run!(p: 2) } }.map(&:value)

      expect(results.map { |result| result[:z].output }).to all(eq([1, 1]))
      expect(results.map(&:run_id).uniq.size).to eq(4)
    end
  end
end
