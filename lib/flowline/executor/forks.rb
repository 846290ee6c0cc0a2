# frozen_string_literal: true

require_relative "threads"

module Flowline
  module Executor
    # Calls each attempt in a forked child, for which a thread waits. A child ends for certain, so none is abandoned.
    # @api private
    class Forks < Threads
      # @return [Boolean]
      def abandons?
        false
      end

      # @return [Boolean]
      def forks?
        true
      end

      # @return [nil] each child has connections of its own
      def shortage(_steps); end

      # @return [Array<#call>]
      def entries
        [Executor::Isolate.new(all: true)]
      end
    end
  end
end
