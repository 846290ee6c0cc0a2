# frozen_string_literal: true

module Flowline
  module Execution
    # The attempts of a run that a pool has, and whose outcome is to come. Besides what a pool asks for ({Executor::Pool}), it
    # asks an {Attempt} or a {Batch} for +ids+, the steps it is of; and, in any thread, whether a worker has +taken?+ it, for the
    # +id+ of the step that is being called, and for when that +began+.
    # @api private
    class InFlight
      def initialize
        @attempts = {}
        @deadline = nil
      end

      # @param attempt [Attempt]
      # @return [void]
      def add(attempt)
        @attempts[attempt.token] = attempt
      end

      # @param token [Integer]
      # @return [Attempt, nil] nil: its outcome is too late
      def [](token)
        @attempts[token]
      end

      # @param token [Integer]
      # @return [void]
      def delete(token)
        @attempts.delete(token)
      end

      # @return [Integer]
      def size
        @attempts.size
      end

      # @return [Boolean]
      def empty?
        @attempts.empty?
      end

      # @return [Array<Integer>] the steps of the attempts
      def steps
        @attempts.each_value.flat_map(&:ids)
      end

      # Returns the steps of which a worker has an attempt; others are handed over ahead and wait. Any thread may ask.
      # @return [Hash{Integer => Float, nil}] by step, when the first was called, in seconds from the start of the run
      def under_way
        @attempts.values.each_with_object({}) do |attempt, times|
          times[attempt.id] = [times[attempt.id], attempt.began].compact.min if attempt.taken?
        end
      end

      # Any thread may ask.
      # @param id [Integer] a step
      # @return [Attempt, nil] that of its items which has been called for longest
      def oldest(id)
        @attempts.values.grep(Attempt).select { |attempt| attempt.id == id && attempt.began && attempt.index }.min_by(&:began)
      end

      # @return [Array<Batch>]
      def batches
        @attempts.each_value.grep(Batch)
      end

      # Drops all attempts, of which no outcome will come.
      # @return [Array<Integer>] the steps whose callable was being called
      def clear
        called = @attempts.each_value.filter_map { |attempt| attempt.id if Attempt === attempt && attempt.began }
        @attempts.clear
        called
      end

      # Interrupts attempts. They have some time to end, more than a process has between TERM and KILL.
      # @param pool [Executor::Pool]
      # @param all [Boolean] whether those of steps that always run, too
      # @return [void]
      def interrupt(pool, all)
        @deadline = Clock.now + Executor::GRACE + 1
        @attempts.each_value { |attempt| pool.interrupt(attempt) if all || !attempt.always? }
      end

      # The run's time is up. Attempts have some time to end, also those in processes.
      # @return [void]
      def expect_end
        @deadline ||= Clock.now + (2 * Executor::GRACE) + 1
        nil
      end

      # Abandons attempts that ignore the run's limit. Their outcomes say so. (A run with a limit has no batches.)
      # @param pool [Executor::Pool]
      # @param limit [Hash]
      # @return [void]
      def time_out(pool, limit)
        @deadline = nil
        @attempts.each_value { |attempt| pool.abandon(attempt, attempt.abandoned(limit)) unless attempt.always? }
      end

      # @return [Float, nil] the seconds that interrupted attempts still have; 0 or less: none
      def patience
        @deadline && (@deadline - Clock.now)
      end

      # Abandons attempts that do not end.
      # @param pool [Executor::Pool]
      # @yieldparam attempt [Attempt]
      # @yieldreturn [Boolean] whether to abandon it
      # @return [Array(Array<Integer>, Integer)] their steps, and how many of the attempts were being called
      def abandon(pool, &chosen)
        @deadline = nil
        rest = @attempts.values.select(&chosen)
        called = rest.count do |attempt|
          delete(attempt.token)
          pool.abandon(attempt)
        end
        [rest.flat_map(&:ids), called]
      end
    end
  end
end
