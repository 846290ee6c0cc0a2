# frozen_string_literal: true

require_relative "threads"

module Flowline
  module Executor
    # Calls each attempt in a forked child, for which a thread waits.
    # @api private
    class Forks < Threads
      # @return [Array<#call>]
      def entries
        [Executor::Isolate.new(all: true)]
      end
    end
  end
end
