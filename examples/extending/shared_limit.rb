# frozen_string_literal: true

require "flowline"

# An executor that runs steps in threads, and at most so many at a time over all runs of the process. For a server or a
# worker whose jobs run pipelines: each run may be wide, and the machine still gets no more work than it can do.
#
#   LIMIT = SharedLimit.new(8)
#   pipeline.run(executor: LIMIT)
#
# A step must not run another pipeline with the same limit, because it would wait for itself.
class SharedLimit
  Pool = Class.new(Flowline::Executor::Pool) do
    attr_accessor :slots

    def capacity = slots.max

    def submit(attempt)
      Thread.new do
        slots << attempt # Waits while all are taken.
        deliver(attempt) { perform(attempt) }
      ensure
        slots.pop
      end
      nil
    end
  end

  def initialize(count) = @slots = SizedQueue.new(count)
  def workers = @slots.max
  def open_pool(inbox, _section) = Pool.new(inbox).tap { |pool| pool.slots = @slots }
end
