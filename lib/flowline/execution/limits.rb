# frozen_string_literal: true

module Flowline
  module Execution
    # The time limits of a run and of the calls of its steps.
    # @api private
    class Limits
      # The run's time is up: in a condition, or while another computes the same.
      class TimeUp < StandardError
        # @return [Hash] +limit:+ in seconds and +scope:+, +:step+ or +:run+
        attr_reader :limit

        # @param limit [Hash]
        def initialize(limit)
          @limit = limit
          super("the run's time is up")
        end
      end

      # @param run [Native::Run]
      # @param timeout [Numeric, nil] the run's, in seconds
      def initialize(run, timeout)
        @run = run
        @timeout = timeout
      end

      # Calls the block for an attempt.
      # @param attempt [Attempt]
      # @param pool [Executor::Pool, nil] if it can abandon an attempt that ignores its limit
      # @return [Array(Object, StandardError, Hash), nil] what the block returned, or what it raised, or the limit that ended
      #   it; nil: too late, the pool has abandoned the attempt
      def call(attempt, pool = nil, &block)
        seconds, scope = limit_of(attempt.step.options)
        return answer(&block) unless seconds

        limit = { limit: scope == :run ? @timeout : seconds, scope: scope }
        give_up = ->(_thread) { pool.abandon(attempt, limit) } if pool&.abandons? && !attempt.step.options[:isolate]
        within(seconds, limit, give_up, &block)
      end

      # Calls the user's code around the call of a step, within the run's time.
      # @return [Object] what the block returns
      # @raise [StandardError] what it raises; {TimeUp}
      def within_run(&block)
        seconds, = limit_of(NONE)
        return yield unless seconds

        value, error, limit = within(seconds, { limit: @timeout, scope: :run }, nil, &block)
        raise error || TimeUp.new(limit) if error || limit

        value
      end
      alias ask within_run

      # Calls the block, for a source of items, until the run's time is up.
      # @param endless [Boolean] whether that does not matter
      # @return [Array(Object, StandardError, Hash)]
      def produce(endless, &block)
        seconds, = limit_of(NONE) unless endless
        seconds ? within(seconds, { limit: @timeout, scope: :run }, nil, &block) : answer(&block)
      end

      # @return [Float, nil] the seconds that are left of the run, one at least; nil: it has no limit
      def left
        [@timeout - @run.elapsed, 1.0].max if @timeout
      end

      NONE = {}.freeze
      private_constant :NONE

      private

      def within(seconds, limit, give_up, &block)
        answer, ended = Executor::Timer.limit(seconds, give_up) { answer(&block) }
        case ended
        when :stopped then answer
        when :expired then [nil, nil, limit]
        end
      end

      def answer
        [yield, nil]
      rescue StandardError => e
        [nil, e]
      end

      # The step's limit, or what is left of the run's. Steps that run after the run's time is up have only their own.
      def limit_of(options)
        own = options[:timeout]
        left = [@timeout - @run.elapsed, 0.001].max if @timeout && !@run.stopped?
        left && (own.nil? || left < own) ? [left, :run] : [own, :step]
      end
    end
  end
end
