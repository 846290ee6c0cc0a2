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

      # @param outcome [Outcome]
      # @return [void]
      def note(outcome)
        return unless outcome.ended

        seconds = outcome.ended - outcome.began
        @average = @average ? @average + ((seconds - @average) * WEIGHT) : seconds
      end

      # @param pool [Executor::Pool]
      # @return [Integer] how many attempts the pool is given beyond its capacity
      def ahead(pool)
        @average && @average < QUICK && pool.queues? ? AHEAD * pool.capacity : 0
      end
    end
  end
end
