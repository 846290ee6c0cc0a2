# frozen_string_literal: true

module Flowline
  module Execution
    # The time limits of a run and of the calls of its steps.
    # @api private
    class Limits
      # Seconds that an observer has at least, even if the run's time is up.
      LATE = 5.0
      # Seconds after which a reporter hangs.
      HANGS = 30

      # @param run [Native::Run]
      # @param timeout [Numeric, nil] the run's, in seconds
      # @param dag [DAG]
      def initialize(run, timeout, dag)
        @run = run
        @timeout = timeout
        @dag = dag
        @groups = !dag.groups.empty? && dag.groups.each_value.any?(&:timeout)
        @virtual = VirtualTime.on?
        @began = {} if @groups # By nested pipeline with a limit, when the first of its steps was called.
      end

      # @return [Boolean] whether the run skips its waits, see {VirtualTime}
      def virtual?
        @virtual
      end

      # @return [Boolean] whether nested pipelines have limits
      def groups?
        @groups
      end

      # @param seconds [Float] a wait for a retry
      # @return [Boolean] whether the step may be called again after it, in the time of the nested pipelines that it is in
      def time_for?(step, seconds)
        left = limits_of_groups(step).map(&:first).min
        left.nil? || left > seconds
      end

      # Calls the block for an attempt.
      # @param attempt [Attempt]
      # @param pool [Executor::Pool, nil] if it can abandon an attempt that ignores its limit
      # @return [Array(Object, StandardError, Hash), nil] what the block returned, or what it raised, or the limit that ended
      #   it; nil: too late, the pool has abandoned the attempt
      def call(attempt, pool = nil, &block)
        seconds, limit = limit_of(attempt.step)
        return answer(&block) unless seconds
        return [nil, nil, limit] unless seconds.positive?

        give_up = ->(_thread) { pool.abandon(attempt, attempt.abandoned(limit)) } if pool&.abandons? && !attempt.step.options[:isolate]
        within(seconds, limit, give_up, &block)
      end

      # Calls the user's code around the call of a step, within the run's time.
      # @return [Object] what the block returns
      # @raise [StandardError] what it raises; {Error::TimeUp}
      def within_run(&block)
        seconds = left_of_run
        return yield unless seconds

        value, error, limit = within(seconds, { limit: @timeout, scope: :run }, nil, &block)
        raise error || Error::TimeUp.new(limit) if error || limit

        value
      end
      alias ask within_run

      # Calls an observer of the run. It has what is left of the run's time, but at least some seconds, so that it can report
      # that the run's time is up.
      # @param strictly [Boolean] whether it has not a second more than the run
      # @param hangs [Boolean] whether it has {HANGS} at most
      # @return [Object] what the block returns
      # @raise [StandardError] what it raises; {Error::TimeUp}
      def observe(strictly: false, hangs: false, &block)
        return yield unless @timeout || hangs

        value, error, limit = within(*limit_of_observer(strictly, hangs), nil, &block)
        raise error || Error::TimeUp.new(limit) if error || limit

        value
      end

      # @return [Boolean] whether the run's time is up
      def up?
        !@timeout.nil? && @run.elapsed >= @timeout
      end

      # @return [Float, nil] the seconds until the run's time is up; nil: it has no limit, or is stopped
      def until_up
        @timeout - @run.elapsed if @timeout && !@run.stopped?
      end

      # @return [Hash, nil] the run's limit as {TimeoutError} takes it
      def of_run
        { limit: @timeout, scope: :run } if @timeout
      end

      # @return [Float, nil] the seconds that are left of the run, one at least; nil: it has no limit
      def left
        [@timeout - @run.elapsed, 1.0].max if @timeout
      end

      # @param always [Boolean] whether it is for a step that runs even after the run was stopped
      # @return [Float, nil] the seconds of the run that are {#left} for what follows the call of a step; nil: it has no limit
      def left_for(always)
        left unless always && @run.stopped?
      end

      private

      # @return [Array(Float, Hash)] the seconds, and the limit as {Error::TimeUp} takes it
      def limit_of_observer(strictly, hangs)
        seconds = [@timeout - @run.elapsed, strictly ? 0.001 : LATE].max if @timeout
        return [seconds, { limit: @timeout, scope: :run }] unless hangs && (seconds.nil? || seconds > HANGS)

        [HANGS, { limit: HANGS, scope: :reporter }]
      end

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

      # Returns the shortest of the limits of a step: its own, what is left of those of the nested pipelines that it is in, and
      # what is left of the run's.
      # @return [Array(Numeric, Hash), nil] the seconds, and the limit as {TimeoutError} takes it
      def limit_of(step)
        own = step.options[:timeout]
        limits = @groups ? limits_of_groups(step) : []
        limits << [own, { limit: own, scope: :step }] if own
        left = left_of_run
        limits << [left, { limit: @timeout, scope: :run }] if left
        limits.min_by(&:first)
      end

      # Steps that run after the run's time is up have none of it.
      def left_of_run
        [@timeout - @run.elapsed, 0.001].max if @timeout && !@run.stopped?
      end

      def limits_of_groups(step)
        return [] unless @groups && step.group

        @dag.within(step.group).filter_map do |group|
          seconds = group.timeout or next
          [seconds + (@began[group.name] ||= @run.elapsed) - @run.elapsed, { limit: seconds, scope: :group, group: group.name }]
        end
      end
    end
  end
end
