# frozen_string_literal: true

require "etc"
require_relative "standalone"

module Flowline
  module Executor
    # Calls steps in threads, several at a time. A step starts the moment its last dependency has ended.
    class Parallel
      include Standalone

      # @return [Integer] how many steps at a time, unless it is said: twice the processors, but 16 at most, and no more than there are
      #   database connections
      # @api private
      def self.usual = [16, 2 * Etc.nprocessors, *Integrations::ActiveRecordConnections.spare].min

      # @return [Integer] how many steps it runs at a time
      attr_reader :workers

      # @param dag [DAG, nil] what {#run} runs
      # @param max_threads [Integer, nil] how many steps at a time; nil: twice the processors, but 16 at most
      # @raise [ArgumentError] that is no whole number from 1 up
      def initialize(dag = nil, max_threads: nil)
        super(dag)
        @workers = Executor.workers(:max_threads, max_threads) || Parallel.usual
      end

      # @param inbox [#<<]
      # @return [Pool]
      # @api private
      def open_pool(inbox, _section)
        Threads.new(inbox, workers)
      end
    end
  end
end
