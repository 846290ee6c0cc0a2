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
        @waiting = false
      end

      # Sends a message. The coordinator is woken only if it waits: it says so before it looks for messages a last time.
      # @param message [Object]
      # @return [self]
      def <<(message)
        @messages.push(message)
        wake if @waiting
        self
      end

      # @return [Object, nil] the first message
      def first
        @messages.first
      end

      # Handles the messages that are there. Each is removed when it has been handled.
      # @yieldparam message [Object]
      # @return [void]
      def receive
        while (message = @messages.first)
          yield message
          @messages.shift
        end
      end

      # Waits for a message.
      # @param seconds [Numeric, nil] at most; nil: as long as it takes
      # @return [void]
      def wait(seconds = nil)
        return unless @messages.empty?

        @lock ||= Mutex.new # Before anybody could wake the coordinator.
        @arrived ||= ConditionVariable.new
        @lock.synchronize do
          @waiting = true
          @arrived.wait(@lock, seconds) if @messages.empty?
        ensure
          @waiting = false
        end
      end

      private

      # In a signal handler no lock may be taken, so a thread does it.
      def wake
        @lock.synchronize { @arrived.signal }
      rescue ThreadError
        Thread.new { wake }
      end
    end
  end
end
