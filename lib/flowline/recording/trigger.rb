# frozen_string_literal: true

module Flowline
  module Recording
    # The kind of caller that starts runs in a thread: +cli+, +rake+, +job+, +web+, +schedule+ or +ruby+; and when it was called itself.
    # @api private
    module Trigger
      # @return [String]
      def self.current
        Thread.current.thread_variable_get(:flowline_trigger) || "ruby"
      end

      # @return [Float, nil] the time on the monotonic clock at which the caller was called, if that was earlier than the run
      def self.since
        Thread.current.thread_variable_get(:flowline_since)
      end

      # Calls the block, in which runs are started by this kind of caller.
      # @param name [String]
      # @param since [Float, nil] when the caller was called, on the monotonic clock
      # @return [Object] what the block returns
      def self.with(name, since: nil)
        before = [current, self.since]
        set(name, since)
        yield
      ensure
        set(*before)
      end

      def self.set(name, since)
        Thread.current.thread_variable_set(:flowline_trigger, name)
        Thread.current.thread_variable_set(:flowline_since, since)
      end
      private_class_method :set
    end
  end
end
