# frozen_string_literal: true

module Flowline
  module Executor
    # Calls one step after the other, in the caller's thread.
    class Sequential
      # @param dag [DAG, nil] what {#run} runs
      def initialize(dag = nil)
        @dag = dag
      end

      # Runs the graph this was made with.
      # @param arguments [Hash] as for {Pipeline#run}
      # @return [Result]
      # @example
      #   Flowline::Executor::Sequential.new(dag).run[:transform].output
      def run(**arguments)
        raise ArgumentError, "give the graph to run to new: Flowline::Executor::Sequential.new(dag)" unless @dag

        Pipeline.of(@dag).run(**arguments, executor: self)
      end

      # @param runner [Runner]
      # @return [void]
      # @api private
      def execute(runner)
        following = runner.next
        following = following.is_a?(Integer) ? runner.perform(following) : wait(runner, following) while following
      end

      private

      def wait(runner, seconds)
        sleep(seconds)
        runner.next
      end
    end
  end
end
