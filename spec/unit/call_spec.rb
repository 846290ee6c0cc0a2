# frozen_string_literal: true

RSpec.describe Flowline::Call, executor: :in_process do
  it "makes a fresh instance of a class for each call, and calls the same object each time" do
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

  it "hands outputs on by reference" do
    rows = [1]
    pipeline = Flowline.define do
      step(:rows) { rows }
      step(:one, depends_on: :rows) { |r| r }
      step(:key, depends_on: :rows) { |rows:| rows }
      step(:all, depends_on: %i[rows one]) { |outputs| outputs[:rows] }
    end

    expect(pipeline.run!.outputs.values).to all(equal(rows))
  end

  it "tells an input of nil or false from none" do
    pipeline = Flowline.define { step(:s) { |given| given } }

    expect([nil, false].map { |input| output_of(pipeline, :s, input: input) }).to eq([nil, false])
    expect(output_of(pipeline, :s)).to be_a(Flowline::Context)
  end

  it "gives keywords to a callable in C and to one that forwards everything" do
    forwarding = Class.new { def call(...) = format(...) }
    pipeline = Flowline.define do
      step(:template) { "%<n>d" }
      step :joined, File.method(:join), depends_on: :template
      step :formatted, forwarding.new, depends_on: :template, when: ->(_) { false }
    end

    expect(output_of(pipeline, :joined)).to eq("%<n>d")
  end

  it "hands on items by reference, be they nil or false, and makes a fresh instance for each" do
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
end
