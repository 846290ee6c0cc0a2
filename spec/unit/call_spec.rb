# frozen_string_literal: true

RSpec.describe Flowline::Arguments::BoundCall, executor: :in_process do
  it "creates an instance of a class for each call, and calls the same object each time" do
    counting = Class.new { def call = @count = (@count || 0) + 1 }
    object = counting.new
    pipeline = Flowline.define do
      step :fresh, counting
      step :again, counting
      step :kept, object
      step :kept_again, object
    end

    expect(pipeline.run!.outputs).to eq(fresh: 1, again: 1, kept: 1, kept_again: 2)
  end

  it "passes outputs by reference" do
    rows = [1]
    pipeline = Flowline.define do
      step(:rows) { rows }
      step(:one, depends_on: :rows) { |r| r }
      step(:key, depends_on: :rows) { |rows:| rows }
      step(:all, depends_on: %i[rows one]) { |outputs| outputs[:rows] }
    end

    expect(pipeline.run!.outputs.values).to all(equal(rows))
  end

  it "distinguishes an input of nil or false from none" do
    pipeline = Flowline.define { step(:s) { |given| given } }

    expect([nil, false].map { |input| output_of(pipeline, :s, input: input) }).to eq([nil, false])
    expect(output_of(pipeline, :s)).to be_a(Flowline::Context)
  end

  it "passes arguments to a callable in C and to one that forwards everything" do
    forwarding = Class.new { def call(...) = format(...) }
    pipeline = Flowline.define do
      step(:template) { "%<n>d" }
      step :joined, File.method(:join), depends_on: :template
      step :formatted, forwarding.new, depends_on: :template, when: ->(_) { false }
    end

    expect(output_of(pipeline, :joined)).to eq("%<n>d")
  end

  it "passes items by reference, even nil and false, and creates an instance for each" do
    rows = ["a", nil, false, [1]]
    type = Class.new { def call(row) = [row, @seen, @seen = true] }
    outputs = Flowline.define do
      step(:rows) { rows }
      step(:same, each: :rows) { |row, other = :none| [row, other] }
      step(:fresh, type, each: :rows)
    end.run!.outputs

    expect(outputs[:same].map(&:first).zip(rows)).to all(satisfy { |got, row| got.equal?(row) })
    expect(outputs[:same].map(&:last)).to all(eq(:none))
    expect(outputs[:fresh]).to eq(rows.map { |row| [row, nil, true] })
  end

  it "allocates nothing for a block that takes nothing or the output of one step" do
    pipeline = Flowline.define do |p|
      p.step(:nothing) { nil }
      p.step(:output, depends_on: :nothing) { |nothing| nothing }
    end
    calls = pipeline.calls.for(input: false)
    outputs = [nil, nil]
    repeat = -> { 1000.times { calls.each { |call| call.call(outputs, nil) } } }
    repeat.call
    before = GC.stat(:total_allocated_objects)
    repeat.call

    expect(GC.stat(:total_allocated_objects) - before).to be < 1000
  end

  it "knows the steps whose outputs it takes, and its arguments, in every shape" do
    pipeline = Flowline.define do
      step(:a) { 1 }
      step(:b) { 2 }
      step(:one, depends_on: :a) { |a| a }
      step(:none, depends_on: :a) { 3 }
      step(:both, depends_on: %i[a b]) { |a, b| [a, b] }
      step(:all, depends_on: %i[a b]) { |all| all }
      step(:key, depends_on: %i[a b]) { |b, a:| [a, b] }
    end
    calls = pipeline.calls.for(input: false).drop(2)

    expect(calls.map(&:inputs)).to eq([[0], [], [0, 1], [0, 1], [1, 0]])
    expect(calls.map { |call| call.facts([1, 2], nil) }).to eq(
      [[[0, 0, [:value, 1]]], [], [[0, 0, [:value, 1]], [1, 1, [:value, 2]]], [[0, { a: 0, b: 1 }, [:value, { a: 1, b: 2 }]]],
       [[0, 1, [:value, 2]], [:a, 0, [:value, 1]]]]
    )
    expect(pipeline.run!.outputs).to include(one: 1, none: 3, both: [1, 2], all: { a: 1, b: 2 }, key: [1, 2])
  end
end
