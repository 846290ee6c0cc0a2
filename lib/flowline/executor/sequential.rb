# frozen_string_literal: true

module Flowline
  module Executor
    # What executors have in common that are made with a graph to run.
    module Standalone
      # @param dag [DAG, nil] what {#run} runs
      def initialize(dag = nil, **)
        @dag = dag
      end

      # Runs the graph this was made with.
      # @param arguments [Hash] as for {Pipeline#run}
      # @return [Result]
      # @example
      #   Flowline::Executor::Sequential.new(dag).run[:transform].output
      def run(**arguments)
        raise ArgumentError, "give the graph to run to new: #{self.class}.new(dag)" unless @dag

        Pipeline.of(@dag).run(**arguments, executor: self)
      end
    end

    # Calls one step after the other, in the caller's thread.
    class Sequential
      include Standalone

      # @return [Boolean] whether all is done in one thread
      def one_thread?
        true
      end

      # @param runner [Runner]
      # @return [void]
      # @api private
      def execute(runner)
        following = runner.next
        following = following.is_a?(Integer) ? runner.perform(following) : runner.wait(following) while following
      end
    end

    # It has no state.
    SEQUENTIAL = Sequential.new
    private_constant :SEQUENTIAL
  end
end
