# frozen_string_literal: true

module Flowline
  module Execution
    # The messages to the coordinator of a run. Any thread may send; the coordinator alone receives.
    #
    # A message stays first until it has been handled, so that an exception from outside in the middle of that loses none.
    # @api private
    class Inbox
      def initialize
        @messages = []
        @lock = Mutex.new
        @arrived = ConditionVariable.new
      end

      # Sends a message. In a signal handler, where no lock may be taken, a thread does it.
      # @param message [Object]
      # @return [self]
      def <<(message)
        @lock.synchronize do
          @messages << message
          @arrived.signal
        end
        self
      rescue ThreadError
        Thread.new { self << message }
        self
      end

      # @return [Object, nil] the first message
      def first
        @messages.first
      end

      # Removes the first message, which has been handled.
      # @return [void]
      def shift
        @messages.shift
      end

      # Waits for a message.
      # @param seconds [Numeric, nil] at most; nil: as long as it takes
      # @return [void]
      def wait(seconds = nil)
        return unless @messages.empty?

        @lock.synchronize { @arrived.wait(@lock, seconds) if @messages.empty? }
      end
    end
  end
end
