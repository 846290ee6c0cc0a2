# frozen_string_literal: true

require "set"

RSpec.describe "freeze_outputs: true" do
  row = Struct.new(:name, :tags)
  account = Class.new do
    attr_reader :rows

    def initialize(rows) = @rows = rows
  end

  executors = Process.respond_to?(:fork) ? %i[sequential parallel process] : %i[sequential parallel]
  executors.each do |executor|
    it "makes a step that changes its input fail, and leaves the output as it was (#{executor})" do
      pipeline = Flowline.define do
        step(:rows) { [{ name: +"a", tags: [+"x"] }] }
        step(:bad, depends_on: :rows) { |rows| rows.first[:tags] << "y" }
        step(:worse, depends_on: :rows) { |rows| rows.first[:name].upcase! }
        step(:good, depends_on: :rows) { |rows| rows.map { |r| { **r, tags: r[:tags] + ["y"] } } }
      end
      result = pipeline.run(executor: executor, on_error: :continue, freeze_outputs: true)

      expect(outcomes(result)).to eq(rows: :succeeded, bad: :failed, worse: :failed, good: :succeeded)
      expect(result[:bad].error.original).to be_a(FrozenError)
      expect(result[:rows].output).to eq([{ name: "a", tags: ["x"] }])
      expect(Ractor.shareable?(result[:good].output)).to be(true)
    end
  end

  it "is an option of define, which run overrides; without it nothing is frozen" do
    pipeline = Flowline.define(freeze_outputs: true) { step(:rows) { [+"a"] } }

    expect([pipeline.run!, pipeline.run!(freeze_outputs: false)].map { |result| result[:rows].output.frozen? }).to eq([true, false])
    expect(Flowline.define { step(:rows) { [+"a"] } }.run![:rows].output).not_to be_frozen
  end

  it "freezes whatever an output refers to, also in a circle" do
    list = [row.new(+"a", Set[+"b"]), account.new([+"c"]), Range.new(+"d", +"e"), StandardError.new(+"f")]
    list << list
    output = Flowline.define { step(:all) { list } }.run!(freeze_outputs: true, executor: :sequential)[:all].output
    inner = [output, *output.first(4), output[0].name, output[0].tags, *output[0].tags, output[1].rows, output[1].rows[0], output[3].message]

    expect(inner.reject(&:frozen?)).to eq([])
  end

  it "leaves what cannot be frozen as it is, and what it would break" do
    stubborn = Class.new { def freeze = raise(TypeError, "not me") }.new
    left = [$stderr, -> { 1 }, Thread.current, Mutex.new, Queue.new, [1].each, method(:puts), stubborn, Class.new]
    output = Flowline.define { step(:all) { [left] } }.run!(freeze_outputs: true, executor: :sequential)[:all].output

    expect(output.first).to be_frozen
    expect(left.map(&:frozen?).uniq).to eq([false])
  end

  it "freezes cached and restored outputs, and those of items", executor: :in_process do
    pipeline = Flowline.define(name: "frozen", cache: Flowline::Cache::Memory.new) do
      step(:cached, cache: true) { [+"a"] }
      step(:items, each: :cached) { |item| [+"#{item}b"] }
      step(:fails, depends_on: :items) { |_, ctx| ctx[:fail] ? raise("no") : 1 }
    end
    results = [pipeline.run(context: { fail: true }, freeze_outputs: true), pipeline.run!(freeze_outputs: true),
               pipeline.run(context: { fail: true }, resume: true, freeze_outputs: true)]

    expect(results.map { |result| result[:items].status }).to eq(%i[succeeded succeeded restored])
    expect(results.flat_map { |result| [result[:cached], result[:items]].map { |step| Ractor.shareable?(step.output) } }).to all(be(true))
  end
end
