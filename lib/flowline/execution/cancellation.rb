# frozen_string_literal: true

module Flowline
  module Execution
    # How far a run is being stopped. Level 1 starts nothing more, 2 interrupts what runs, 3 interrupts steps that always run
    # as well. Any thread may raise the level, also in a signal handler.
    # @api private
    class Cancellation
      # @return [Integer] 0 to 3
      attr_reader :level
      # @return [String, nil] who of another process has asked for it
      attr_reader :requester

      # @param run [Native::Run]
      # @param state [State]
      # @param inbox [Inbox]
      # @param section [Executor::Section, nil] where the coordinator's thread may be interrupted
      def initialize(run, state, inbox, section)
        @run = run
        @state = state
        @inbox = inbox
        @section = section
        @level = 0
      end

      # @return [Boolean] whether nothing more starts
      def any?
        @level.positive?
      end

      # @return [Boolean] whether what runs is interrupted
      def now?
        @level >= 2
      end

      # @return [Boolean] whether steps that always run are stopped as well
      def all?
        @level == 3
      end

      # The run has begun: an earlier cancellation takes effect now.
      # @return [void]
      def begin
        @begun = true
        return unless any?

        cancel
        @run.stop(:cancelled, true) if all?
      end

      # Starts nothing more, steps that always run excepted.
      # @param requester [String, nil] who of another process asks for it
      # @return [void]
      def cancel(requester = nil)
        note(requester) if requester
        @level = 1 if @level.zero?
        return if !@begun || @state.over?

        @state.error ||= CancelledError.new(:interrupted)
        @run.stop(:cancelled, all?)
        @inbox << [:look]
      end

      # Interrupts what runs: at first not the steps that always run, the second time everything.
      # @param requester [String, nil] who of another process asks for it
      # @return [void]
      def cancel_now(requester = nil)
        cancel(requester)
        level = (@level + 1).clamp(2, 3)
        @run.stop(:cancelled, true) if level == 3 && @begun && !@state.over? # First: attempts go by the level.
        @level = level
        @inbox << [:interrupt]
        @section&.interrupt(:user)
        @section&.interrupt(:always) if all?
      end

      # An exception ends the run.
      # @param level [Integer] at least
      # @param error [Exception, nil]
      # @return [void]
      def unwind(level, error)
        error = nil if Executor::Section::Stopped === error # It is ours.
        @state.error ||= CancelledError.new(:interrupted, error, running: @state.running)
        @begun = true
        @level = [@level, level].max
        @run.stop(:cancelled, all?)
      end

      private

      def note(requester)
        @requester ||= requester
        @state.warn(["cancelled by #{requester}"])
      end
    end
  end
end
