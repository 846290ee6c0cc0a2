# frozen_string_literal: true

module Flowline
  module Recording
    # The kind of caller that starts runs in a thread: +cli+, +job+, +web+, +schedule+ or +ruby+.
    # @api private
    module Trigger
      # @return [String]
      def self.current
        Thread.current.thread_variable_get(:flowline_trigger) || "ruby"
      end

      # Calls the block, in which runs are started by this kind of caller.
      # @param name [String]
      # @return [Object] what the block returns
      def self.with(name)
        before = Thread.current.thread_variable_get(:flowline_trigger)
        Thread.current.thread_variable_set(:flowline_trigger, name)
        yield
      ensure
        Thread.current.thread_variable_set(:flowline_trigger, before)
      end
    end
  end
end
