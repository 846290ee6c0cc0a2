# frozen_string_literal: true

module Flowline
  module Executor
    # The methods of executors that are created with a graph to run.
    module Standalone
      # @param dag [DAG, Pipeline, Class, nil] what {#run} runs
      # @raise [ArgumentError] it is neither a graph nor a pipeline
      def initialize(dag = nil, **)
        refuse("new takes a graph (Flowline::DAG) or a pipeline, not #{TypeHints.excerpt(dag)}") unless dag.nil? || DAG === dag || pipeline?(dag)
        @dag = dag
      end

      # Runs the graph, or the pipeline, that the executor was made with.
      # @param arguments [Hash] as for {Pipeline#run}
      # @return [Result]
      # @raise [ArgumentError] it was made without a graph
      # @example
      #   Flowline::Executor::Sequential.new(dag).run[:transform].output
      def run(**arguments)
        refuse("new takes the graph to run, as in #{self.class}.new(dag)") unless @dag
        (pipeline?(@dag) ? @dag : Pipeline.of(@dag)).run(**arguments, executor: self)
      end

      private

      def refuse(problem)
        raise ArgumentError, "#{self.class}: #{problem}", Backtrace.clean(caller)
      end

      def pipeline?(object)
        Pipeline === object || (Class === object && object < Pipeline)
      end
    end
  end
end
