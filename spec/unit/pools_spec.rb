# frozen_string_literal: true

require_relative "../contracts/pool"

# Pools of this file.
module OwnPools
  # Hands over one attempt after another, and remembers what it was given.
  class Remembering < Flowline::Executor::Threads
    class << self
      attr_accessor :given
    end

    def submit(attempt)
      self.class.given << attempt
      super
    end
  end

  # Calls in the thread that submits, with the help of the base class.
  class Helped < Flowline::Executor::Pool
    def submit(attempt) = perform(attempt)
  end

  # Calls each attempt in a thread of its own.
  class Delivering < Flowline::Executor::Pool
    def capacity = 3

    def submit(attempt)
      Thread.new { deliver(attempt) { perform(attempt) } }.report_on_exception = false
      nil
    end
  end
end

# The pools, without a run: their attempts are objects that have nothing but what a pool may ask for.
RSpec.describe Flowline::Executor::Pool do
  {
    Flowline::Executor::Inline => [->(inbox) { Flowline::Executor::Inline.new(inbox, nil) }],
    Flowline::Executor::Threads => [->(inbox) { Flowline::Executor::Threads.new(inbox, 3) }, :several, :queues, :abandons],
    Flowline::Executor::Forks => [->(inbox) { Flowline::Executor::Forks.new(inbox, 3) }, :several, :queues],
    OwnPools::Helped => [->(inbox) { OwnPools::Helped.new(inbox) }],
    OwnPools::Delivering => [->(inbox) { OwnPools::Delivering.new(inbox) }, :several]
  }.each do |pool, (opening, *abilities)|
    describe(pool) { it_behaves_like("a pool", *abilities) { let(:open_pool) { opening } } }
  end

  # @return [Array] what a run hands to its pool
  def handed_over(&definition)
    OwnPools::Remembering.given = []
    executor = Object.new
    def executor.open_pool(inbox, _section) = OwnPools::Remembering.new(inbox, 2)
    Flowline.define(&definition).run!(executor: executor)
    OwnPools::Remembering.given
  end

  describe Flowline::Execution::Attempt do
    it_behaves_like "an attempt for pools" do
      let(:attempt) { handed_over { step(:a) { 1 } }.first }
    end
  end

  describe Flowline::Execution::Batch do
    it_behaves_like "an attempt for pools" do
      let(:attempt) { handed_over { |p| 3000.times { |i| p.step(:"s#{i}") { i } } }.grep(described_class).first }
    end
  end
end
