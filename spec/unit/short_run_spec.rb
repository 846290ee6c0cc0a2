# frozen_string_literal: true

RSpec.describe "A run of a few plain steps" do
  # How many objects the block creates, at the least: other threads may create some, too.
  def created(&block)
    3.times(&block)
    Array.new(5) do
      before = GC.stat(:total_allocated_objects)
      block.call
      GC.stat(:total_allocated_objects) - before
    end.min
  end

  let(:pipeline) do
    Flowline.define do |p|
      p.step(:rows) { nil }
      p.step(:sorted, depends_on: :rows) { |rows| rows }
      p.step(:report, depends_on: :sorted) { |sorted| sorted }
    end
  end

  it "creates fewer than 45 objects when nothing observes it" do
    expect(created { pipeline.run }).to be < 45
  end

  it "creates no object for each further step" do
    longer = Flowline.define do |p|
      p.step(:s0) { nil }
      (1..100).each { |n| p.step(:"s#{n}", depends_on: :"s#{n - 1}") { |output| output } }
    end

    expect(created { longer.run } - created { pipeline.run }).to be <= 1
  end
end
