# frozen_string_literal: true

module Flowline
  module Execution
    # The end of a run, in this order: what has not ended is cancelled, observers are notified of it, the end is recorded, and
    # observers are notified of that. An exception in one part keeps none of the others from happening.
    #
    # Only the recording itself defers exceptions from outside, because a run whose end is recorded in part could not be
    # resumed. It calls no code of the user: what it needs is computed before.
    # @api private
    class Ending
      # @param environment [Environment]
      # @param state [State]
      # @param recording [Recording]
      # @param notifier [Events::Notifier]
      def initialize(environment, state, recording, notifier)
        @environment = environment
        @state = state
        @recording = recording
        @notifier = notifier
      end

      # Ends the run.
      # @param timeout [Numeric, nil] the run's time limit in seconds
      # @yieldparam result [Result] once it is there
      # @return [void]
      def call(timeout, &block)
        close(timeout)
      ensure
        prepare_and_record(StoreError === $!, &block)
      end

      # Records the end of a run that user code holds, because the program is about to end. Another thread calls it.
      # @return [void]
      def give_up
        @state.cancel_rest
        @recording.finish(@state.result)
      end

      private

      def close(timeout)
        @state.close
      ensure
        @state.error ||= TimeoutError.new(nil, limit: timeout, scope: :run) if timeout && @state.limit_unreported?
      end

      # User code is called first, because it may be interrupted, and the recording may not.
      def prepare_and_record(store_failed, &block)
        so_far = @state.result
        @final = so_far if @environment.serialising.call { @recording.prepare_end(so_far) } == false
      ensure
        record_and_notify(store_failed, &block)
      end

      # An exception that arrives while the end is recorded does not keep observers from being notified of it.
      def record_and_notify(store_failed, &block)
        record(store_failed, &block)
      rescue StoreError
        unrecorded = true
        raise
      ensure
        notify if @result && !unrecorded
      end

      # An exception from outside waits until the end is recorded. No code of the user is called here.
      def record(store_failed)
        Thread.handle_interrupt(Executor::Section::NEVER) do
          @state.warn_of_expense
          yield @result = @final || @state.result
          @recording.finish(@result) unless store_failed # It would fail again.
        end
      end

      def notify
        @notifier.notify_end(nil) { @result }
      ensure
        notify unless @notifier.empty? || @notifier.notified?(nil)
      end
    end
  end
end
