# frozen_string_literal: true

module Flowline
  # What ends a call of a step's callable: its own time limit, the run's, and the walls of a process.
  # @api private
  class Limits
    # The run's time was up beside a call: in a condition, or while another computed the same.
    class TimeUp < StandardError
      # @return [Hash] as {#call} has it
      attr_reader :limit

      # @param limit [Hash]
      def initialize(limit)
        @limit = limit
        super("the run's time is up")
      end
    end

    NONE = {}.freeze
    private_constant :NONE

    # @param run [Native::Run]
    # @param timeout [Numeric, nil] the run's, in seconds
    def initialize(run, timeout)
      @run = run
      @timeout = timeout
    end

    # Calls the block for a step.
    # @param options [Hash] the step's
    # @param place [#call, nil] where; nil: here
    # @param overdue [#call, nil] what is told, instead of waiting, that a block does not end although its time is
    #   up: the thread, and +limit:+ and +scope:+
    # @return [Array(Object, StandardError, Hash)] what it returned, or what it raised, or +limit:+ and +scope:+ of
    #   what ended it; nil: too late, somebody else was told
    def call(options, place = nil, overdue = nil, &block)
      seconds, scope = limit_of(options)
      return attempt(options, place, &block) unless seconds

      facts = { limit: scope == :run ? @timeout : seconds, scope: scope }
      give_up = ->(thread) { overdue.call(thread, facts) } if overdue && place.respond_to?(:replace) && !options[:isolate]
      answer, ended = Timer.limit(seconds, give_up) { attempt(options, place, &block) }
      case ended
      when :stopped then answer
      when :expired then [nil, nil, facts]
      end
    end

    # Asks the user's code beside the call of a step. A worker may be stopped there as in a call.
    # @return [Object] what the block returns
    # @raise [StandardError] what it raises; {TimeUp}
    def ask(&block)
      within_run { Interruption.worker? ? Interruption.anytime(&block) : yield }
    end

    # Calls the block within the run's time.
    # @return [Object] what it returns
    # @raise [StandardError] what it raises; {TimeUp}
    def within_run(&block)
      return yield unless @timeout

      value, error, limit = call(NONE, &block)
      raise error || TimeUp.new(limit) if error || limit

      value
    end

    # @return [Float, nil] the seconds that are left of the run, one at least; nil: it has no limit
    def left
      [@timeout - @run.elapsed, 1.0].max if @timeout
    end

    # For the end of a wait within the run's time: what comes then is not broken off by that.
    def calm(&block)
      @timeout ? Thread.handle_interrupt(Timer::Expired => :never, &block) : yield
    end

    private

    def attempt(options, place, &block)
      return [Isolation.call(&block), nil] if options[:isolate]

      [place ? place.call(block) : yield, nil]
    rescue StandardError => e
      [nil, e]
    end

    # The step's limit, or what is left of the run's. What runs after the run's time is up has its own alone.
    def limit_of(options)
      own = options[:timeout]
      left = [@timeout - @run.elapsed, 0.001].max if @timeout && !@run.stopped? && !options[:endless]
      left && (own.nil? || left < own) ? [left, :run] : [own, :step]
    end
  end
end
