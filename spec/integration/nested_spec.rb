# frozen_string_literal: true

RSpec.describe "A nested pipeline" do
  # Two steps that show which params they get, by name and in the context.
  report = Flowline.define do
    param :date, type: :date, required: true
    param :limit, type: :integer, default: 3
    param :mode, type: :symbol, default: :full, in: %i[full delta]
    step(:validate) { |ctx| [ctx[:date].to_s, ctx.params[:limit]] }
    step(:load, depends_on: :validate) { |rows, limit:, mode:| [*rows, limit, mode] }
  end

  describe "with params:" do
    it "gets each param from the outer param, or the value, that it is bound to" do
      pipeline = Flowline.define do
        param :day, type: :string, default: "2024-01-31"
        step :a, report, params: { date: :day, limit: 10 }
        step :b, report, params: { "date" => "2024-02-29", mode: -> { :delta } }
      end

      expect(pipeline.params.keys).to eq(%i[day mode limit])
      expect(pipeline.run!(limit: 7).outputs).to eq("a.validate": ["2024-01-31", 10], "a.load": ["2024-01-31", 10, 10, :full],
                                                    "b.validate": ["2024-02-29", 7], "b.load": ["2024-02-29", 7, 7, :delta])
    end

    it "passes them on to the pipelines nested in it" do
      middle = Flowline.define do
        param :first
        param :most, default: 1
        step :inner, report, params: { date: :first, limit: :most }
      end
      pipeline = Flowline.define do
        param :day, default: "2024-01-31"
        param :first
        step :x, middle, params: { first: :day, most: 5 }
        include middle, prefix: :y
      end

      expect(pipeline.run!(first: "2024-12-24").outputs.slice(:"x.inner.validate", :"y_inner.validate"))
        .to eq("x.inner.validate": ["2024-01-31", 5], "y_inner.validate": ["2024-12-24", 1])
    end

    it "uses them in conditions, cache keys and items of its steps" do
      cache = Flowline::Cache::Memory.new
      calls = []
      inner = Flowline.define do
        param :n
        step(:one, when: ->(_ctx, n:) { n > 1 }, cache: { key: ->(n:) { n } }) { |n:| calls.push(n).size && n }
        step(:list, depends_on: :one) { |n| [n] * n }
        step(:items, depends_on: :list, each: :list) { |item, ctx| item * ctx[:n] }
      end
      pipeline = Flowline.define(cache: cache) do
        param :n
        step :two, inner, params: { n: 2 }
        step :three, inner, params: { n: 3 }
        step :outer, inner
      end
      results = Array.new(2) { pipeline.run!(n: 0, executor: :sequential) }

      expect(results.map { |result| [result[:two].output, result[:three].output, result[:outer].status] }).to all(eq([[4, 4], [9, 9, 9], :skipped]))
      expect(calls).to eq([2, 3])
    end

    it "raises for a param that it does not have, or a value that the param does not accept" do
      expect { Flowline.define { step :a, report, params: { dat: 1 } } }
        .to refuse(/step a: params: the nested pipeline has no param dat; did you mean date\? \(#{line(-1)}\)/)
      expect { Flowline.define { step :a, report, params: { limit: "ten" } } }.to refuse(/step a: params: limit must be a whole number, not "ten" \(#{line}\)/)
      expect { Flowline.define { step :a, report, params: { mode: "slow" } } }.to refuse(/step a: params: mode must be in \[:full, :delta\], not :slow/)
      expect { Flowline.define { step :a, report, params: :limit } }.to refuse(/params: must be a Hash/)
    end

    it "raises when it is run for an outer param that does not exist, unless an including pipeline has it" do
      part = Flowline.define { step :a, report, params: { date: :dya } }
      here = line(-1)

      expect { part.validate! }.to refuse(/step a: params: date is bound to the param dya, which doesn't exist.*date: -> { :dya } \(#{here}\)/)
      expect { Flowline.define { param(:day) && include(part) }.run }.to refuse(/dya, which doesn't exist; did you mean day\?/)
      expect(Flowline.define { param(:dya, default: "2024-01-31") && include(part) }.run!).to be_success
    end

    it "raises a ParamError for a value of the outer param that the inner param does not accept, before anything runs" do
      pipeline = Flowline.define do
        param :day
        step :a, report, params: { date: :day, limit: -> { raise IOError, "no" } }
      end

      expect { pipeline.run(day: "soon") }.to raise_error(Flowline::ParamError) { |error|
        expect(error.problems).to match([/\Aparam date of a must be a date/, /\Aparam limit of a has a default that failed: IOError: no/])
      }
      expect { pipeline.run }.to raise_error(Flowline::ParamError, /param date of a is required/)
    end

    it "raises for a conflict of a param that is not bound, and names the way out" do
      other = Flowline.define { param :limit, type: :string }

      expect { Flowline.define { step(:a, report) && step(:b, other) } }
        .to refuse(/param limit is declared differently in two pipelines .*params: { limit: :other }/)
      expect { Flowline.define { step(:a, report) && step(:b, other, params: { limit: "x" }) } }.not_to raise_error
    end

    it "does not show values of secret params, and raises if they are bound to a param that is not secret" do
      inner = Flowline.define do
        param :token, secret: true
        step(:call) { |token:| raise "401 for #{token}" }
      end
      pipeline = Flowline.define { step :a, inner, params: { token: "hunter2" } }
      open = Flowline.define { param(:key) && step(:a, inner, params: { token: :key }) }

      expect(pipeline.run.error.message).to include("401 for [secret]")
      expect { open.run(key: "x") }.to refuse(/token is secret, and is bound to the param key, which is not; declare key with secret: true/)
    end

    it "runs again on resume when the value that a param is bound to has changed" do
      ran = Queue.new
      define = lambda do |limit|
        Flowline.define(name: "bound") do
          inner = Flowline.define do
            param :limit
            step(:rows) { |limit:| ran.push(limit) && limit }
          end
          step :fetch, inner, params: { limit: limit }
          step(:bad, depends_on: :fetch) { raise "no" }
        end
      end

      [1, 1, 2].each { |limit| define.call(limit).run(resume: true, executor: :sequential) }
      expect([ran.size, ran.pop, ran.pop]).to eq([2, 1, 2])
    end
  end

  describe "with when: or unless:" do
    it "is skipped as a whole with the reason of its condition, which is asked once", executor: :in_process do
      asked = 0
      inner = Flowline.define do
        step(:one) { 1 }
        step(:tidy, depends_on: :one, run_if: :always) { 2 }
        step(:two) { 3 }
        step(:last, depends_on: %i[one two]) { 4 }
      end
      pipeline = Flowline.define do
        step(:size) { 5 }
        step(:part, inner, depends_on: :size, when: ->(_ctx, size) { (asked += 1) && size > 9 })
      end

      %i[sequential parallel].each do |executor|
        result = pipeline.run!(executor: executor)
        expect(outcomes(result).except(:size).values).to all(eq(%i[skipped condition]))
      end
      expect([asked, pipeline.run(dry_run: true)[:"part.one"].reason]).to eq([2, "depends on when:"])
    end

    it "gets the outputs that the nested pipeline depends on, even if a step of it depends on something else" do
      inner = Flowline.define { step(:x, depends_on: :outer) { |outer| outer } }
      pipeline = Flowline.define do
        step(:part, inner, depends_on: :late, when: ->(_ctx, late) { late == 2 })
        step(:outer) { 1 }
        step(:late, depends_on: :outer) { 2 }
      end

      expect(pipeline.run![:part].output).to eq(1)
    end

    it "names the condition that cannot be called" do
      pipeline = Flowline.define { step :part, Flowline.define { step(:x) { 1 } }, when: ->(_a, _b, _c) { true } }

      expect { pipeline.validate! }.to refuse(/step part when: takes 3 values by position, but gets only 1: the context \(/)
    end
  end

  describe "with run_if: and optional:" do
    tidy = Flowline.define do
      step(:close) { 1 }
      step(:mail, depends_on: :close) { 2 }
      step(:never, depends_on: :broken) { 3 }
      step(:broken) { raise "no" }
    end

    %i[sequential parallel process].each do |executor|
      next if executor == :process && !Process.respond_to?(:fork)

      it "runs all of its steps after a failure with run_if: :always (#{executor})" do
        pipeline = Flowline.define do
          step(:bad) { raise "x" }
          step :tidy, tidy, depends_on: :bad, run_if: :always, optional: true
        end
        result = pipeline.run(executor: executor)

        expect(outcomes(result)).to eq(bad: :failed, "tidy.close": :succeeded, "tidy.mail": :succeeded, "tidy.broken": :failed,
                                       "tidy.never": %i[skipped upstream_skipped])
        expect(result.failed_steps).to eq([:bad])
      end
    end

    it "may fail without failing the run with optional:, and is skipped for its dependents" do
      pipeline = Flowline.define do
        step :part, tidy, optional: true
        step(:after, depends_on: :part) { 1 }
        step(:other) { 2 }
      end
      result = pipeline.run!(on_error: :stop)

      expect([result[:after].reason, result[:other].output, result.warnings]).to match([:upstream_skipped, 2, [/optional step part.broken failed/]])
    end

    it "runs its first steps with run_if: :any if one of its dependencies has an output" do
      inner = Flowline.define { step(:pick) { |all| all.values.compact } }
      pipeline = Flowline.define do
        step(:a, when: ->(_) { false }) { 1 }
        step(:b) { 2 }
        step :part, inner, depends_on: %i[a b], run_if: :any
      end

      expect(pipeline.run![:part].output).to eq([2])
    end
  end

  describe "with timeout:" do
    slow = Flowline.define do
      step(:first) { sleep(0.1) && 1 }
      step(:second, depends_on: :first) { sleep 5 }
      step(:third, depends_on: :second) { 3 }
    end

    %i[sequential parallel process].each do |executor|
      next if executor == :process && !Process.respond_to?(:fork)

      it "times out the steps that its time does not suffice for, in words (#{executor})" do
        pipeline = Flowline.define do
          step :part, slow, timeout: 1.5
        end
        result = pipeline.run(executor: executor)

        expect(outcomes(result)).to eq("part.first": :succeeded, "part.second": :timed_out, "part.third": %i[cancelled run_failed])
          .or eq("part.first": :succeeded, "part.second": :timed_out, "part.third": %i[cancelled upstream_failed])
        expect(result.error).to be_a(Flowline::TimeoutError).and have_attributes(scope: :group, group: :part, limit: 1.5)
        expect(result.error.message).to eq("step part.second was stopped by the time limit of 1.5 s of part, which it is part of; " \
                                           "make it faster, or raise timeout: of part")
      end
    end

    it "does not call steps after its time is up, and does not wait for a retry beyond it" do
      inner = Flowline.define do
        step(:slow) { sleep 0.2 }
        step(:late, depends_on: :slow, run_if: :always) { raise "called" }
      end
      flaky = Flowline.define { step(:flaky, retries: 3, retry_delay: 60) { raise "no" } }
      result = Flowline.define { step(:part, inner, timeout: 0.1, optional: true) && step(:other, flaky, timeout: 0.1, optional: true) }.run!

      expect(outcomes(result)).to eq("part.slow": :timed_out, "part.late": :timed_out, "other.flaky": :failed)
      expect(result[:"part.late"].error.message).to include("the time limit of 0.1 s of part")
    end

    it "has the shortest limit of the nested pipelines that it is in" do
      middle = Flowline.define { step :inner, slow, timeout: 60 }
      result = Flowline.define { step :outer, middle, timeout: 0.2 }.run

      expect(result.error).to have_attributes(step_name: :"outer.inner.second", group: :outer)
    end
  end

  describe "with hooks: true", executor: :in_process do
    it "has its step hooks called for its own steps, with its params" do
      seen = []
      inner = Flowline.define do
        param :n, default: 1
        before_run { seen << :before_run }
        before_step { |step, ctx| seen << [step.name, ctx[:n]] }
        on_step_success { |step| seen << step.name }
        step(:x) { |n:| n }
      end
      pipeline = Flowline.define do
        before_step { |step| seen << [:outer, step.name] }
        step(:own) { 1 }
        step :a, inner, params: { n: 2 }, hooks: true
        step :b, inner
      end
      pipeline.run!

      expect(seen).to eq([%i[outer own], %i[outer a.x], [:"a.x", 2], :"a.x", %i[outer b.x]])
      expect(Flowline.define { step :c, pipeline }.run! && seen.size).to eq(5)
    end

    it "fails its step if a before_step hook raises" do
      inner = Flowline.define do
        before_step { raise "not now" }
        step(:x) { 1 }
      end
      result = Flowline.define { step(:own) { 1 } && step(:a, inner, hooks: true) }.run

      expect(outcomes(result)).to eq(own: :succeeded, "a.x": :failed)
    end
  end

  describe "whose depends_on: is wrong" do
    it "is blamed at the line where it is nested or included, once" do
      inner = Flowline.define { step(:x) { 1 } && step(:y) { 2 } }
      nested = Flowline.define { step(:fetch) { 1 } && step(:part, inner, depends_on: :fetc) }
      here = line(-1)
      included = Flowline.define { step(:fetch) { 1 } && include(inner, depends_on: :fetc) }

      expect(error_of { nested.run }.message).to eq("step part depends on fetc, which doesn't exist; did you mean fetch? (#{here})")
      expect(error_of { included.run }.message).to eq("step x depends on fetc, which doesn't exist; did you mean fetch? (#{line(-3)})")
    end

    it "is included twice: both lines are named" do
      inner = Flowline.define { step(:x) { 1 } }
      error = error_of do
        Flowline.define do
          include inner
          include inner
        end
      end

      expect(error.locations).to eq([line(-5), line(-4)])
    end
  end
end
