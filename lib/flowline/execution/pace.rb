# frozen_string_literal: true

module Flowline
  module Execution
    # How long the calls of a run take, and so how many attempts are handed over ahead of the workers. A call that is shorter
    # than the hand-over would leave its worker idle until the coordinator has had its turn. Of longer calls none is handed
    # over ahead, because what is handed over is called in that order, whatever becomes more urgent.
    # @api private
    class Pace
      # Calls are quick if they take no more seconds than that.
      QUICK = 0.0002
      # So many attempts are handed over ahead for each worker.
      AHEAD = 8
      # The weight of the last call in the average (exponential smoothing).
      WEIGHT = 1.0 / 8
      private_constant :QUICK, :AHEAD, :WEIGHT

      def initialize
        @average = nil
      end

      # @param seconds [Float] that a call took
      # @return [void]
      def note(seconds)
        @average = @average ? @average + ((seconds - @average) * WEIGHT) : seconds
      end

      # @return [Boolean] whether a call takes less time than its hand-over
      def quick?
        !@average.nil? && @average < QUICK
      end

      # @param pool [Executor::Pool]
      # @param batches [Boolean] whether steps are handed over in batches
      # @return [Integer] how many attempts the pool is given beyond its capacity
      def ahead(pool, batches)
        return 0 unless quick? && pool.queues?

        batches ? pool.capacity : AHEAD * pool.capacity
      end
    end
  end
end
