# frozen_string_literal: true

module Flowline
  module Executor
    # The methods of executors that are created with a graph to run.
    module Standalone
      # @param dag [DAG, nil] what {#run} runs
      def initialize(dag = nil, **)
        @dag = dag
      end

      # Runs the graph that the executor was made with.
      # @param arguments [Hash] as for {Pipeline#run}
      # @return [Result]
      # @raise [ArgumentError] it was made without a graph
      # @example
      #   Flowline::Executor::Sequential.new(dag).run[:transform].output
      def run(**arguments)
        raise ArgumentError, "give the graph to run to new: #{self.class}.new(dag)" unless @dag

        Pipeline.of(@dag).run(**arguments, executor: self)
      end
    end
  end
end
