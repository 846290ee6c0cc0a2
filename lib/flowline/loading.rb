# frozen_string_literal: true

module Flowline
  # The loading of files in three parts. `require "flowline"` loads what pipelines are defined with. The first definition of the
  # process loads what a run needs that calls its steps in the thread of its caller. Everything else is loaded by the first
  # run that needs it, before it starts anything:
  #
  # - A thread that is interrupted while it loads a file leaves half of a class behind. So nothing interrupts the loading.
  # - A child that is forked meanwhile loads the file again. So no child is forked for a step meanwhile, and what attempts need in
  #   other threads is there before the first of them is called.
  # @api private
  module Loading
    NEVER = { Object => :never }.freeze
    LOCK = Thread::Mutex.new
    private_constant :NEVER, :LOCK

    @loaded = {}

    class << self
      # Loads what every run needs. A server that defines its pipelines before it forks workers has it in memory once.
      # @return [void]
      def runs
        @runs ||= now do
          [Arguments, Backtrace, Clock, Context, DAG, Events, Executor, Planning, Recording, Result, StepError, Store, Telemetry, Text, TypeHints,
           Execution::Coordinator, Execution::Resources, Identity::Digest, Identity::Fingerprint, Pipeline::Code]
        end
      end

      # Loads what a run needs that does more than call its steps in the thread of its caller.
      # @return [void]
      def attempts
        @attempts ||= now do
          of(Execution)
          [Event, Executor::Timer, ItemCounts]
        end
      end

      # Loads the constants of modules that are loaded on demand.
      # @param modules [Array<Module>]
      # @return [void]
      def of(*modules)
        modules.each { |folder| load(folder) unless @loaded[folder] }
      end

      # Calls the block, which names constants that are loaded on demand.
      # @return [Object] what the block returns
      def now(&block)
        Thread.handle_interrupt(NEVER) { apart(&block) }
      end

      # Calls the block while no thread loads anything here.
      # @return [Object] what the block returns
      def apart(&block)
        LOCK.owned? ? yield : LOCK.synchronize(&block)
      end

      private

      def load(folder)
        now { folder.constants.each { |name| folder.const_get(name) if folder.autoload?(name) } }
        @loaded[folder] = true
      end
    end
  end
end
