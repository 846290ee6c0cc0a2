# frozen_string_literal: true

# The messages of mistakes: each says what is wrong, where, and what to write instead.
RSpec.describe "A mistake" do
  nested = Flowline.define { step(:x) { 1 } }

  describe "in the name of an option" do
    {
      "a synonym on step" => [-> { Flowline.define { step(:a, retry: 3) { 1 } } }, "step a: unknown option retry:; did you mean retries?"],
      "another synonym on step" => [-> { Flowline.define { step(:a, needs: :b) { 1 } } }, "step a: unknown option needs:; did you mean depends_on?"],
      "an option of steps on define" => [-> { Flowline.define(retries: 3) },
                                         "define: unknown option retries:; it is an option of steps: write `defaults retries: …` in the block"],
      "a synonym of one on define" => [-> { Flowline.define(retry: 3) },
                                       "define: unknown option retry:; it is an option of steps: write `defaults retries: …` in the block"],
      "an option of run on step" => [-> { Flowline.define { step(:a, dry_run: true) { 1 } } }, "step a: unknown option dry_run:; it is an option of run"],
      "an option of define and run on step" => [-> { Flowline.define { step(:a, max_threads: 3) { 1 } } },
                                                "step a: unknown option max_threads:; it is an option of Flowline.define and run"],
      "an option of steps on a nested pipeline" => [
        -> { Flowline.define { step :a, nested, retries: 3 } },
        "step a (a nested pipeline): unknown option retries:; it is an option of steps: give it to the steps of the nested pipeline"
      ]
    }.each do |what, (define, message)|
      it "suggests what to write instead: #{what}" do
        expect(&define).to refuse(/\A#{Regexp.escape(message)} \(/)
      end
    end

    it "lists what an enclosing pipeline could correct along with what it could not" do
      define = lambda do
        Flowline.define do
          param :date
          step(:a) { 1 }
          step(:b, depends_on: :aa) { |a, b, c| [a, b, c] }
          step(:c) { |_, dat:| dat }
        end
      end
      expect(&define).to raise_error(Flowline::DefinitionError, /3 problems:.*depends on aa, which doesn't exist; did you mean a\?.*takes 3 values.*keyword dat: .*did you mean date\?/m)
    end

    it "suggests params of the pipeline first when it is run, then options" do
      pipeline = Flowline.define { param :day }

      { dya: "did you mean day?", threads: "did you mean max_threads?", retries: "it is an option of steps: give it to `step`",
        executr: "did you mean executor?" }.each do |name, hint|
        expect { pipeline.run(name => 1) }.to raise_error(Flowline::ParamError, "unknown param #{name}; #{hint}")
      end
    end
  end

  describe "in the value of an option" do
    it "is raised for numbers that are not finite or negative" do
      [Float::NAN, Float::INFINITY, -1, -Float::INFINITY].each do |number|
        %i[timeout retry_delay].each do |option|
          expect { Flowline.define { step(:a, retries: 1, option => number) { 1 } } }.to refuse(/step a: #{option}: must be .*, not #{number}/)
        end
        expect { Flowline.define(timeout: number) }.to refuse(/define: timeout: must be a number of seconds above 0, or nil for no limit, not/)
        expect { Flowline.define.run(timeout: number) }.to raise_error(Flowline::ParamError, /run: timeout: must be/)
      end
      ["Infinity/s", "-1/s", "0/s", Float::INFINITY].each do |rate|
        expect { Flowline.define { step(:a, rate: rate) { 1 } } }.to refuse(/step a: rate: must be a number of starts/)
      end
      expect { Flowline.define { step(:a, retries: 1, retry_jitter: Float::NAN) { 1 } } }.to refuse(/retry_jitter: must be a number from 0 to 1/)
    end

    it "is shown only in part if it is long" do
      error = error_of { Flowline.define(on_error: "x" * 100_000) }

      expect(error.message).to start_with('define: on_error: must be :stop or :continue, not "xxx').and include("…")
      expect(error.message.size).to be < 300
    end
  end

  describe "of options that mean nothing without others" do
    it "is raised for options of retries without retries:" do
      expect { Flowline.define { step(:a, retry_delay: 2, on_retry: -> {}) { 1 } } }
        .to refuse(/step a: retry_delay: and on_retry: without retries:, so that nothing is retried; add retries: 3/)
      expect { Flowline.define { step(:a, retry_if: ->(_) { true }, concurrency: 2) { 1 } } }.to refuse(/retry_if: without retries:.*concurrency: without each:/m)
    end

    it "is none with retries: 0, or in defaults" do
      pipeline = Flowline.define do
        step(:a, retries: 0, retry_delay: 2) { 1 }
        defaults retry_delay: 0.001, retry_strategy: :linear
        step(:b) { 1 }
        step(:c, retries: 1) { 1 }
      end

      expect(pipeline.steps.map { |step| step.options[:retry_delay] }).to eq([2, nil, 0.001])
    end
  end

  describe "in a name" do
    it "is answered with a bounded list, however many steps there are" do
      many = Flowline.define { 1000.times { |n| step(:"step_number_#{n}") { 1 } } }
      messages = [-> { many.run![:nothing_like_it] }, -> { many.run(only: "nothing_like_it") }, -> { many.run(params: { nothing_like_it: 1 }) }]
                 .map { |call| error_of(&call).message }

      expect(messages.map(&:size)).to all(be < 1200)
      expect(messages.first).to start_with("there is no step nothing_like_it; there are step_number_0, ").and end_with(" and 960 more")
    end

    it "is answered with the first of many problems" do
      params = Array.new(1000) { |n| [:"nothing_like_#{n}", 1] }.to_h

      expect(error_of { Flowline.define.run(**params) }.message).to start_with("1000 problems:\n").and end_with("… and 980 more")
      expect(error_of { Flowline.define.run(**params) }.problems.size).to eq(1000)
    end

    it "raises when a result or a plan is asked for a step that does not exist" do
      pipeline = Flowline.define { step(:fetch) { 1 } && step(:part, nested) }
      result = pipeline.run!

      expect { result[:fetsh] }.to raise_error(Flowline::UnknownStepError, "there is no step fetsh; did you mean fetch?")
      expect { result["prat"] }.to raise_error(Flowline::UnknownStepError, /did you mean part\?/) { |error| expect(error.step_name).to eq(:prat) }
      expect { Marshal.load(Marshal.dump(result))[:fetsh] }.to raise_error(Flowline::UnknownStepError, /did you mean fetch\?/)
      expect { pipeline.run(dry_run: true)[:fetsh] }.to raise_error(Flowline::UnknownStepError, /did you mean fetch\?/)
    end
  end

  describe "in the parameters of a callable" do
    {
      "a condition" => [{ when: ->(_ctx, _a, _b) { true } }, "when: takes 3 values by position, but gets only 2: the context, rows"],
      "a key" => [{ cache: { key: ->(_a, _b, _c) { 1 } } }, "key: takes 3 values by position, but gets only 2: rows, the context"],
      "a key of items" => [{ each: :rows, cache: { key: ->(_a, _b, _c) { 1 } } }, "key: takes 3 values by position, but gets only 2: the item, the context"],
      "a keyword of a condition" => [{ unless: ->(_ctx, rwos:) { rwos } }, "unless: keyword rwos: is neither a dependency nor a param; did you mean rows?"]
    }.each do |what, (options, sentence)|
      it "is named with its option, and counted: #{what}" do
        define = lambda do
          Flowline.define do
            step(:rows) { [1] }
            step(:a, depends_on: :rows, **options) { 1 }
          end
        end

        expect { define.call.validate! }.to refuse(/\Astep a #{Regexp.escape(sentence)} \(/)
      end
    end

    it "counts the item of a step with each:" do
      pipeline = Flowline.define do
        step(:rows) { [1] }
        step(:a, each: :rows) { |_item, _ctx, _more| 1 }
      end

      expect { pipeline.validate! }.to refuse(/step a takes 3 values by position, but gets only 2: the item, the context/)
    end
  end
  describe "in the code of a step" do
    day_reader = Class.new do
      def call = day
    end

    it "is answered with how to declare the param, the dependency or the context that it uses" do
      pipeline = Flowline.define do
        param :day, default: 1
        step(:fetch_rows) { [1] }
        step(:a) { day }
        step(:b, depends_on: :fetch_rows) { fetch_rows }
        step(:c, depends_on: :fetch_rows) { rows.size }
        step(:d) { ctx[:day] }
        step(:e, day_reader)
        step(:f, each: :fetch_rows) { |_item| day }
      end
      result = pipeline.run(on_error: :continue)

      expect(%i[a b c d e f].map { |name| result[name].error.message[/; ([^;]*)\z/, 1] }).to eq(
        ["day is a param of the pipeline; declare it: |day:|", "fetch_rows is a dependency of the step; declare it: |fetch_rows:|",
         "rows is the dependency fetch_rows; declare it: |rows:|", "ctx is the context of the run; declare it: |ctx:|",
         "day is a param of the pipeline; declare it: call(day:)", "day is a param of the pipeline; declare it: |day:|"]
         .map { |hint| hint[/; (.*)/, 1] }
      )
      expect(result[:a].error.message).to match(/undefined local variable or method .day'.*; day is a param of the pipeline; declare it: \|day:\|\z/m)
    end

    it "is not answered for other names, or names in other methods" do
      other = Class.new { def self.work = day }
      pipeline = Flowline.define do
        param :day, default: 1
        step(:a) { dya }
        step(:b) { other.work }
        step(:c) { Object.new.day }
      end

      expect(pipeline.run(on_error: :continue).failed_steps.map { |name| pipeline.run(on_error: :continue)[name].error.message }.join)
        .not_to include("declare it")
    end
  end

  describe "in the types of inputs" do
    it "names no line of the program for a value of another type, under every executor" do
      pipeline = Flowline.define(check_types: true) { step(:a, output: Array) { 1 } }
      messages = %i[sequential parallel process].map do |executor|
        pipeline.run(executor: executor).error.message
      end
      expect(messages.uniq).to eq(["step a failed: TypeError: output is Integer, not Array"])
    end

    it "is raised for the run's input with check_types: true, if the step takes it" do
      pipeline = Flowline.define do
        step(:a, input: Array) { |rows| rows.size }
        step(:b, input: Array) { 1 }
      end

      expect(pipeline.run(input: [1], check_types: true)).to be_success
      result = pipeline.run(input: { a: 1 }, check_types: true, on_error: :continue)
      expect(result.failed_steps).to eq([:a])
      expect(result.error.message).to include("input of the run is Hash (1), not Array")
      expect(pipeline.run(input: { a: 1 })).to be_success
    end

    it "is not raised for the nil of a dependency without an output with run_if:" do
      pipeline = Flowline.define do
        step(:a, when: ->(_) { false }) { [1] }
        step(:b) { [2] }
        step(:any, depends_on: %i[a b], run_if: :any, input: Array) { |a, b| [a, b] }
      end

      expect(output_of(pipeline, :any, check_types: true)).to eq([nil, [2]])
    end
  end
  describe "of where a pipeline is used" do
    # What the block raises in a handler of a signal.
    def in_handler
      error = nil
      before = trap(:USR2) do
        yield
      rescue StandardError => e
        error = e
      end
      Process.kill(:USR2, Process.pid)
      sleep 0.01 until error
      error
    ensure
      trap(:USR2, before || "DEFAULT")
    end

    # What the block raises in a Ractor. Ruby warns that they are experimental.
    it "is explained in a signal handler" do
      pipeline = Flowline.define { step(:a) { 1 } }

      expect(in_handler { Flowline.define }).to be_a(Flowline::Error).and have_attributes(message: /cannot be defined in a signal handler.*define it before/)
      [-> { pipeline.run }, -> { pipeline.start }, -> { pipeline.run! }].each do |use|
        expect(in_handler(&use)).to be_a(Flowline::Error).and have_attributes(message: /cannot be run in a signal handler.*Thread.new { pipeline.run }/)
      end
    end

    it "is explained in a signal handler, whatever has been loaded before" do
      out, = ruby(<<~RUBY)
        pipeline = Flowline.define { step(:a) { 1 } }
        trap("USR1") { pipeline.run rescue puts($!.message) }
        Process.kill("USR1", Process.pid)
      RUBY
      expect(out).to match(/cannot be run in a signal handler/)
    end

    # In a process of its own: Ruby finds the files that are open no more once there was a Ractor.
    it "is explained in a Ractor" do
      out, = ruby(<<~'RUBY')
        class InRactor < Flowline::Pipeline
          step(:a) { 1 }
        end
        $VERBOSE = nil
        results = [Ractor.new { Flowline.define { step(:a) { 1 } } rescue [$!.class, $!.message] },
                   Ractor.new { InRactor.run rescue [$!.class, $!.message] }]
        puts results.map { |ractor| (ractor.respond_to?(:value) ? ractor.value : ractor.take).join(": ") }
      RUBY
      expect(out.lines.size).to eq(2)
      expect(out.lines).to all(match(/\AFlowline::Error: a pipeline cannot be defined in a Ractor, .*; use threads, or executor: :process/))
    end
  end
end
