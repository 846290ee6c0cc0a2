# frozen_string_literal: true

module Flowline
  module Recording
    # How long a run waits for other processes at most: less and less, if it has a time limit.
    # @api private
    class Patience
      # The minimum time in seconds to record the end of a run, even if its time is up.
      LAST = 1.0
      private_constant :LAST

      # @param timeout [Numeric, nil] the run's time limit in seconds
      def initialize(timeout)
        @limit = Clock.now + timeout if timeout
      end

      # @return [Float] seconds for one access to the store
      def seconds
        @limit ? (@limit - Clock.now).clamp(LAST, Store::PATIENCE) : Store::PATIENCE
      end

      # @param seconds [Numeric]
      # @return [Float] the time on the monotonic clock at which this many seconds, or the run's time, are over
      def until(seconds)
        [Clock.now + seconds, @limit].compact.min
      end
    end
  end
end
