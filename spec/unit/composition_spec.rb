# frozen_string_literal: true

RSpec.describe "Composition" do
  # Two steps, of which the first is a root and the second takes it by the name its author gave it.
  clean = Flowline.define do
    param :limit, type: :integer, default: 2
    before_run { raise "the hooks of parts do not run" }
    step(:trim) { |rows| rows.first(2) }
    step(:validate, depends_on: :trim) { |trim:, limit:| trim.first(limit) }
  end

  describe "include" do
    it "copies steps and params, not hooks" do
      pipeline = Flowline.define do
        include clean, depends_on: :fetch
        step(:fetch) { [1, 2, 3] }
        step(:load, depends_on: :validate) { |rows| rows.sum }
      end

      expect(pipeline.run!.outputs).to eq(fetch: [1, 2, 3], trim: [1, 2], validate: [1, 2], load: 3)
      expect(output_of(pipeline, :load, limit: "1")).to eq(1)
      expect([pipeline.params.keys, pipeline.hooks, pipeline.parts]).to eq([[:limit], {}, [clean]])
    end

    it "passes the context or the input to its roots, unless depends_on: is given" do
      library = Flowline.define { step(:validate) { |data| data } }
      pipeline = Flowline.define { include library }

      expect(output_of(pipeline, :validate)).to be_a(Flowline::Context)
      expect(output_of(pipeline, :validate, input: [1])).to eq([1])
    end

    it "wires only its roots to the steps of depends_on:" do
      roots = Flowline.define do
        step(:one) { |data| data }
        step(:by_name) { |b:| b }
        step(:after, depends_on: :one) { |one| one }
        step(:nothing) { :nothing }
      end
      pipeline = Flowline.define do
        step(:a) { 1 }
        step(:b) { 2 }
        include roots, depends_on: %i[a b]
      end

      expect(pipeline.run!.outputs).to include(one: { a: 1, b: 2 }, by_name: 2, after: { a: 1, b: 2 }, nothing: :nothing)
      expect(pipeline.steps.map(&:depends_on)).to eq([[], [], %i[a b], %i[a b], [:one], %i[a b]])
    end

    it "renames its steps with prefix:, and keeps the names of their inputs" do
      pipeline = Flowline.define do
        step(:fetch) { [1, 2, 3] }
        include clean, prefix: :clean, depends_on: :fetch
        include clean, prefix: "again", depends_on: :clean_validate
        step(:load, depends_on: %i[clean_validate again_validate]) { |clean_validate:, again_validate:| [clean_validate, again_validate] }
      end

      expect(pipeline.steps.map(&:name)).to eq(%i[fetch clean_trim clean_validate again_trim again_validate load])
      expect(output_of(pipeline, :load)).to eq([[1, 2], [1, 2]])
    end

    it "does not change positionals, suffixes, Hashes, **rest and conditions with prefix:" do
      library = Flowline.define do
        step(:export_csv) { 1 }
        step(:export_json) { 2 }
        step(:suffixes, depends_on: %i[export_csv export_json]) { |csv:, json:| [csv, json] }
        step(:positions, depends_on: %i[export_csv export_json]) { |a, b| [a, b] }
        step(:all, depends_on: %i[export_csv export_json]) { |all| all }
        step(:rest, depends_on: %i[export_csv export_json]) { |**all| all }
        step(:condition, depends_on: :export_csv, when: ->(_, export_csv:) { export_csv == 1 }) { |csv:| csv }
        step(:outer, depends_on: %i[export_csv outer_step]) { |csv:, outer_step:| [csv, outer_step] }
      end
      pipeline = Flowline.define do
        step(:outer_step) { 3 }
        include library, prefix: :q
      end

      expect(pipeline.run!.outputs).to include(q_suffixes: [1, 2], q_positions: [1, 2], q_all: { export_csv: 1, export_json: 2 },
                                               q_rest: { export_csv: 1, export_json: 2 }, q_condition: 1, q_outer: [1, 3])
    end

    it "may supply what is missing in the included pipeline" do
      lacking = Flowline.define { step(:load, depends_on: :fetch) { |rows, limit:| rows.first(limit) } }
      expect { lacking.validate! }.to refuse(/depends on fetch.*limit/m)

      pipeline = Flowline.define do
        include lacking
        param :limit, default: 1
        step(:fetch) { [1, 2] }
      end
      expect(output_of(pipeline, :load)).to eq([1])
    end

    it "accepts a pipeline class, and refuses other objects" do
      library = Class.new(Flowline::Pipeline) { step(:x) { 1 } }

      expect(Flowline.define { include library }.run!.outputs).to eq(x: 1)
      [Comparable, nil, 5, Flowline::Pipeline, String].each do |other|
        expect { Flowline.define { include other } }.to refuse(/include takes a pipeline, not #{other.inspect}/)
      end
    end

    it "copies the pipelines that the included pipeline includes" do
      inner = Flowline.define { step(:x) { |data| [data, 1] } }
      middle = Flowline.define { include inner, prefix: :m }
      outer = Flowline.define do
        step(:data) { 0 }
        include middle, prefix: :o, depends_on: :data
      end

      expect(outer.run!.outputs).to eq(data: 0, o_m_x: [0, 1])
    end
  end

  describe "pipeline.include" do
    it "returns a new pipeline with the hooks and settings of the first" do
      hooked = []
      first = Flowline.define(name: "first", on_error: :continue) do
        before_run { hooked << 1 }
        step(:fetch) { [1, 2, 3] }
      end
      both = first.include(clean, depends_on: :fetch)

      expect([both.run!.outputs[:validate], both.name, both.settings[:on_error], hooked]).to eq([[1, 2], "first", :continue, [1]])
      expect([first.steps.size, clean.steps.size, both.steps.size]).to eq([1, 2, 3])
      expect(both).to be_frozen
    end

    it "raises at the line of the include" do
      expect { clean.include(5) }.to refuse(/include takes a pipeline, not 5 \(#{__FILE__}:#{__LINE__}\)/)
      expect { clean.include(clean, prefx: 1) }.to refuse(/unknown option prefx:; did you mean prefix\? \(#{__FILE__}:#{__LINE__}\)/)
      expect(error_of { clean.include(clean) }.problems.map(&:step_name)).to eq(%i[trim validate])
    end
  end

  describe "a nested pipeline" do
    it "is part of the graph, and has the output of its leaf" do
      pipeline = Flowline.define do
        step(:fetch) { [1, 2, 3] }
        step :clean, clean, depends_on: :fetch, description: "throws out"
        step(:load, depends_on: :clean) { |rows| rows.sum }
        step(:by_name, depends_on: %i[fetch clean]) { |clean:, fetch:| fetch - clean }
        step(:inside, depends_on: :"clean.trim") { |rows| rows.size }
      end
      result = pipeline.run!

      expect(result.outputs).to eq(fetch: [1, 2, 3], "clean.trim": [1, 2], "clean.validate": [1, 2], load: 3, by_name: [3], inside: 2)
      expect([result[:clean].output, result[:clean].status, result["clean.trim"].output]).to eq([[1, 2], :succeeded, [1, 2]])
      expect([pipeline.params.keys, pipeline.dag[:"clean.trim"].group, pipeline.dag.groups[:clean].description]).to eq([[:limit], :clean, "throws out"])
      expect(pipeline.dag.upstream(:clean)).to eq(%i[fetch clean.trim clean.validate])
    end

    it "has a Hash of the outputs of several leaves, by their own names" do
      exports = Flowline.define do
        step(:rows) { |data| data }
        step(:csv, depends_on: :rows) { |rows| rows.join(",") }
        step(:json, depends_on: :rows, when: ->(ctx) { ctx[:json] }) { |rows| rows.inspect }
      end
      pipeline = Flowline.define do
        step(:fetch) { [1] }
        step :export, exports, depends_on: :fetch
        step(:one, depends_on: :export) { |all| all }
        step(:two, depends_on: %i[export fetch]) { |export, rows| [export, rows] }
      end

      expect(pipeline.run!(context: { json: true }).outputs).to include(one: { csv: "1", json: "[1]" }, two: [{ csv: "1", json: "[1]" }, [1]])
      expect(pipeline.run![:one]).to be_skipped
      expect(pipeline.run![:export]).to be_a(Flowline::Skipped)
    end

    it "has an empty Hash as output if it has no steps" do
      empty = Flowline.define

      expect(output_of(Flowline.define { step(:n, empty) && step(:s, depends_on: :n) { |n| n } }, :s)).to eq({})
    end

    it "may be nested again, and twice" do
      inner = Flowline.define { step(:add) { |n| n + 1 } }
      middle = Flowline.define do
        step :first, inner
        step :second, inner, depends_on: :first
      end
      pipeline = Flowline.define do
        step(:zero) { 0 }
        step :a, middle, depends_on: :zero
        step :b, middle, depends_on: :a
        include middle, prefix: :c, depends_on: :b
        step(:last, depends_on: :c_second) { |n| n }
      end
      result = pipeline.run!

      expect(result.outputs).to eq(zero: 0, "a.first.add": 1, "a.second.add": 2, "b.first.add": 3, "b.second.add": 4, "c_first.add": 5,
                                   "c_second.add": 6, last: 6)
      expect([result[:a].output, result[:"b.first"].output, pipeline.dag.groups[:"a.first"].parent]).to eq([2, 3, :a])
    end

    {
      "its roots" => Flowline.define { step(:x) { 1 } },
      "roots with conditions of their own" => Flowline.define { step(:x, when: ->(_) { true }, unless: ->(_) { false }) { 1 } },
      "steps that depend on an outer one" => Flowline.define { step(:x, depends_on: :outer) { 1 } },
      "all behind its roots" => Flowline.define { step(:y) { 1 } && step(:x, depends_on: :y) { 1 } },
      "roots of nested ones" => Flowline.define { step(:n, Flowline.define { step(:x) { 1 } }) }
    }.each do |what, inner|
      it "is skipped as a whole by its condition: #{what}" do
        pipeline = Flowline.define do
          step(:outer) { 5 }
          step :part, inner, when: ->(ctx, *_) { ctx[:on] }
          step :other, inner, depends_on: :outer, unless: ->(ctx, outer) { ctx[:on] || outer != 5 }
          step(:after, depends_on: :part) { |x| x }
        end

        expect(statuses(pipeline.run!(context: { on: true }))).to eq(part: [:succeeded], other: [:skipped], after: [:succeeded])
        expect(statuses(pipeline.run!)).to eq(part: [:skipped], other: [:succeeded], after: [:skipped])
      end
    end

    # By outermost name, how the steps ended.
    def statuses(result)
      steps = result.steps.reject { |step| step.name == :outer }
      steps.group_by { |step| step.name[/\A\w+/].to_sym }.transform_values { |group| group.map(&:status).uniq }
    end

    it "refuses a block and the options that a nested pipeline cannot have" do
      { retries: 1, tags: :t, cache: true }.each do |name, value|
        expect { Flowline.define { step :n, clean, name => value } }.to refuse(/step n \(a nested pipeline\): unknown option #{name}:/)
      end
      expect { Flowline.define { step(:n, clean) { 1 } } }.to refuse(/step n: give either a block or a pipeline, not both/)
    end

    it "has the self around define in its own blocks and its condition" do
      @on = true
      inner = Flowline.define { step(:x) { @on } }
      pipeline = Object.new.instance_exec do
        @on = false
        Flowline.define { step :n, inner, unless: ->(_) { @on } }
      end

      expect(pipeline.run![:n].output).to be(true)
    end

    it "accepts conditions that can be converted to an Array" do
      condition = Struct.new(:answer) { def call(_ctx) = answer }
      inner = Flowline.define { step(:x, when: condition.new(true)) { 1 } }

      expect(Flowline.define { step :n, inner, when: condition.new(true) }.run!.outputs).to eq("n.x": 1)
      expect(Flowline.define { step :n, inner, when: condition.new(false) }.run!.outputs).to eq({})
    end

    it "runs under an executor that gets only the graph" do
      inner = Flowline.define { step(:x) { 1 } }
      dag = Flowline.define { step(:n, inner) && step(:s, depends_on: :n) { |x| x + 1 } }.dag

      expect(Flowline::Executor::Sequential.new(dag).run[:s].output).to eq(2)
    end
  end

  describe "conflicts between pipelines" do
    it "in step names name both source locations" do
      one = Flowline.define { step(:x) { 1 } }
      one_place = line(-1)
      two = Flowline.define { step(:x) { 2 } }
      two_place = line(-1)
      other = Flowline.define { step(:y) { 2 } }

      {
        "a step and an included one" => [-> { Flowline.define { include(one) && step(:x) { 1 } } }, :x, [one_place, line]],
        "two included ones" => [-> { Flowline.define { include(one) && include(two) } }, :x, [one_place, two_place]],
        "two of pipeline.include" => [-> { one.include(two) }, :x, [one_place, two_place]],
        "a nested pipeline and a step" => [-> { Flowline.define { step(:n, one) && step(:n) { 1 } } }, :n, [line, line]],
        "two nested pipelines" => [-> { Flowline.define { step(:n, one) && step(:n, other) } }, :n, [line, line]],
        "a prefixed step and another" => [-> { Flowline.define { include(one, prefix: :q) && step(:q_x) { 1 } } }, :q_x, [one_place, line]],
        "a nested pipeline's step and another" => [-> { Flowline.define { step(:n, one) && step(:"n.x") { 1 } } }, :"n.x", [one_place, line]]
      }.each do |what, (define, name, locations)|
        error = error_of(&define)

        expect([what, error.class, error.step_name, error.locations]).to eq([what, Flowline::DuplicateStepError, name, locations])
        expect(error.message).to include(*locations)
      end
    end

    it "in params name both source locations, but equal params are one" do
      date = Flowline.define { param :day, type: :date }
      same = Flowline.define { param :day, type: :date }
      time = Flowline.define { param :day, type: :time }
      locations = [line(-3), line(-1)]

      [
        -> { Flowline.define { include(date) && include(time) } }, -> { Flowline.define { step(:n, date) && step(:m, time) } }, -> { date.include(time) }
      ].each { |define| expect(&define).to refuse(/param day is declared differently .*#{locations.join(" and ")}/) }
      expect { Flowline.define { include(date) && param(:day, type: :time) } }
        .to refuse(/param day is declared twice: #{locations.first} and #{__FILE__}:#{__LINE__ - 1}/)

      [
        -> { Flowline.define { include(date) && include(same) } }, -> { Flowline.define { include(date) && param(:day, type: :date) } },
        -> { Flowline.define { param(:day, type: :date) && include(date) } }, -> { Flowline.define { step(:n, date) && step(:m, same) } }
      ].each { |define| expect(define.call.params.keys).to eq([:day]) }
    end
  end
end
