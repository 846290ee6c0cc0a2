# frozen_string_literal: true

require "etc"
require_relative "standalone"

module Flowline
  module Executor
    # Calls each step in a forked child of its own, several at a time: Ruby code really in parallel. The child has
    # its inputs without copying; its output and whatever it writes come back.
    class Process
      include Standalone

      # @return [Integer] how many steps it runs at a time
      attr_reader :workers

      # @param dag [DAG, nil] what {#run} runs
      # @param max_processes [Integer, nil] how many steps at a time; nil: as many as there are processors
      # @raise [ArgumentError] that is no whole number from 1 up
      def initialize(dag = nil, max_processes: nil)
        super(dag)
        @workers = Executor.workers(:max_processes, max_processes) || Etc.nprocessors
      end

      # @param inbox [#<<]
      # @return [Pool]
      # @raise [Error] the platform has no +fork+
      # @api private
      def open_pool(inbox, _section)
        raise Error, "executor: :process needs fork, which this platform does not have; use :parallel" unless ::Process.respond_to?(:fork)

        Forks.new(inbox, workers)
      end
    end
  end
end
