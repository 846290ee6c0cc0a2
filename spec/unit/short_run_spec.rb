# frozen_string_literal: true

# Measured in a Ruby of its own, because other libraries and observers of other specs create objects, too.
RSpec.describe "A run of a few plain steps" do
  # @return [Array(Integer, Integer)] how many objects a run of 3 steps creates, and one of 101
  def created
    output, = ruby(<<~RUBY)
      def chain(count)
        Flowline.define do |p|
          p.step(:s0) { nil }
          (1...count).each { |n| p.step(:"s\#{n}", depends_on: :"s\#{n - 1}") { |output| output } }
        end
      end

      # At the least: other threads may create some, too.
      def created(pipeline)
        3.times { pipeline.run }
        Array.new(5) do
          before = GC.stat(:total_allocated_objects)
          pipeline.run
          GC.stat(:total_allocated_objects) - before
        end.min
      end

      print created(chain(3)), " ", created(chain(101))
    RUBY
    output.split.map { |number| Integer(number) }
  end

  it "creates fewer than 45 objects when nothing observes it, and none for each further step" do
    few, many = created
    expect(few).to be_between(1, 44)
    expect(many - few).to be <= 1
  end
end
