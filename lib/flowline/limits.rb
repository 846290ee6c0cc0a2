# frozen_string_literal: true

module Flowline
  # What ends a call of a step's callable: its own time limit, the run's, and the walls of a process.
  # @api private
  class Limits
    # @param run [Native::Run]
    # @param timeout [Numeric, nil] the run's, in seconds
    def initialize(run, timeout)
      @run = run
      @timeout = timeout
    end

    # Calls the block for a step.
    # @param step [Step]
    # @return [Array(Object, StandardError, Hash)] what it returned, or what it raised, or +limit:+ and +scope:+ of
    #   what ended it
    def call(step, &block)
      seconds, scope = limit_of(step)
      return attempt(step, &block) unless seconds

      answer, expired = Timer.limit(seconds) { attempt(step, &block) }
      return answer unless expired

      [nil, nil, { limit: scope == :run ? @timeout : seconds, scope: scope }]
    end

    private

    def attempt(step, &block)
      [step.options[:isolate] ? Isolation.call(&block) : yield, nil]
    rescue StandardError => e
      [nil, e]
    end

    # The step's limit, or what is left of the run's. What runs after the run's time is up has its own alone.
    def limit_of(step)
      own = step.options[:timeout]
      left = [@timeout - @run.elapsed, 0.001].max if @timeout && !@run.stopped?
      left && (own.nil? || left < own) ? [left, :run] : [own, :step]
    end
  end
end
