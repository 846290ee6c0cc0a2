# frozen_string_literal: true

RSpec.describe "What a run was given" do
  let(:cache) { Flowline::Cache::Memory.new }
  let(:state) { { broken: true } }

  def define(name = "given", **options, &block)
    state = self.state
    Flowline.define(name: name, cache: cache) do |p|
      p.param :day, default: nil
      p.step(:a, cache: true, **options, &block)
      p.step(:b, depends_on: :a) { |a| state[:broken] ? raise("down") : a }
    end
  end

  # How the step ends in each of these runs.
  def statuses(pipeline, *runs)
    state[:broken] = false
    runs.map { |run| pipeline.run(**run)[:a].status }
  end

  # Whether a run of the second resumes the first.
  def resumed?(pipeline, first, second)
    state[:broken] = true
    Flowline::Checkpoint.list.each(&:delete)
    pipeline.run(**first)
    state[:broken] = false
    pipeline.run(resume: true, **second)[:a].status == :restored
  end

  context "in the cache" do
    it "is not the content of a context when it is an input that looks like one" do
      pipeline = define { |given| given.class.name }
      content = { day: nil, x: 1 }
      [[content, nil], [%i[day], content, nil], [:context, false, %i[day], content, nil]].each do |input|
        cache.clear
        expect(statuses(pipeline, { context: { x: 1 } }, { input: input })).to eq(%i[succeeded succeeded])
      end
    end

    it "is not the same with an input of nil and without one" do
      pipeline = define { |day:, ctx:| [day, ctx.input] }
      expect(statuses(pipeline, {}, { input: nil }, { input: false }, {}, { input: nil })).to eq(%i[succeeded succeeded succeeded cached cached])
      other = define("other") { |given = 1| given }
      expect(statuses(other, {}, { input: nil }, {}, { input: nil })).to eq(%i[succeeded succeeded cached cached])
    end

    it "is the same for a step that takes none of it" do
      expect(statuses(define { 1 }, {}, { input: 1 }, { context: { x: 1 } })).to eq(%i[succeeded cached cached])
    end

    it "is not a context value when it is a param of the same name" do
      make = ->(declare) { Flowline.define(name: "moved", cache: cache) { |p| [(p.param(:day) if declare), p.step(:a, cache: true) { |ctx| ctx.params.keys }] } }
      outputs = [make[true].run(day: 1), make[false].run(context: { day: 1 })].map { |result| result[:a].output }
      expect(outputs).to eq([[:day], []])
    end

    it "is not what a key: returns when that looks like inputs" do
      caches = [true, { key: ->(x) { [[x], {}] } }, { key: ->(x) { [[[:value, x]], {}] } }]
      pipelines = caches.map { |given| define(cache: given) { |x| x } }
      expect(pipelines.flat_map { |pipeline| statuses(pipeline, { input: 1 }) }).to eq(%i[succeeded succeeded succeeded])
    end
  end

  ["given", nil].each do |name|
    context name ? "in the store" : "in memory" do
      let(:pipeline) { define(name, cache: false) { |ctx| ctx.class.name } }

      it "is not the same with an input and without one, whatever else it was given" do
        [{}, { context: { log: -> {} } }, { day: "a", context: { log: -> {}, x: 1 } }].each do |other|
          given = [{}, { input: nil }, { input: false }, { input: [] }, { input: [{}, nil] }].map { |input| { **other, **input } }
          given.permutation(2) { |one, two| expect([one, two, resumed?(pipeline, one, two)]).to eq([one, two, false]) }
          given.each { |one| expect([one, resumed?(pipeline, one, one)]).to eq([one, true]) }
        end
      end
    end
  end
end
