# frozen_string_literal: true

module Flowline
  class Result
    # The data of a result of a run in this process. Step results are built when they are read.
    # @api private
    class Live
      # @param environment [Execution::Environment]
      # @param errors [Hash{Integer => StepError}] by step
      # @param tallies [Hash{Integer => Execution::Items::Tally}] by step, of those that are called for each item
      # @param interrupted [Hash{Integer => true}] the steps whose last attempt was interrupted
      def initialize(environment, errors, tallies, interrupted)
        @environment = environment
        @errors = errors
        @tallies = tallies
        @interrupted = interrupted
      end

      # @return [DAG]
      def dag = @environment.dag

      # @return [Context]
      def context = @environment.context

      # @return [Integer] the number of steps
      def size = dag.size

      # @return [Symbol] how the run stands
      def status
        run.status
      end

      # @return [Float] seconds
      def elapsed
        run.elapsed
      end

      # @return [Array<Integer>] the steps that failed, in this order
      def failures
        run.failures
      end

      # @return [StepError, nil] of the step that failed first
      def first_error
        @errors[run.failures.first] unless @errors.empty?
      end

      # @param name [Symbol]
      # @return [Integer, nil] the step
      def id(name)
        dag.index[name]
      end

      # @param id [Integer]
      # @return [Symbol]
      def name(id)
        dag.steps[id].name
      end

      # @param id [Integer]
      # @return [StepResult]
      def at(id)
        status, reason, attempts, started, duration = run.step(id)
        reason = reason(id, reason)
        attempts += 1 if status == :cancelled && @interrupted.key?(id) # The core counts those that have ended.
        tally = @tallies[id]
        StepResult.class_for(status).new(name: name(id), status: status, output: @environment.outputs[id], error: @errors[id],
                                         context: context, reason: reason, attempts: attempts, started: started, duration: duration,
                                         report: @environment.reports[id], items: tally&.counts, item_errors: tally&.errors)
      end

      # @return [Array<Array(Symbol, Symbol, Array<Integer>)>] see {Result#uncalled}
      def uncalled
        run.uncalled.flat_map do |status, reason, ids|
          ids -= @errors.keys
          ids -= @interrupted.keys if status == :cancelled
          next [[status, reason, ids]] unless @environment.given || (@environment.gates && reason == :upstream_skipped)

          ids.group_by { |id| reason(id, reason) }.map { |actual, group| [status, actual, group] }
        end
      end

      # @return [Boolean] whether steps that succeeded have failed items
      def collected?
        @tallies.any? { |id, tally| tally.failures.any? && run.step(id).first == :succeeded }
      end

      # @return [Hash{Symbol => Object}] the outputs there are
      def outputs
        ended = dag.steps.each_index.select { |id| StepResult::WITH_OUTPUT.include?(run.step(id).first) }
        ended.to_h { |id| [name(id), @environment.outputs[id]] }
      end

      # @param name [Symbol]
      # @return [StepResult, nil] of a nested pipeline
      def group(name)
        return unless dag.groups.key?(name)

        StepResult.of_group(name, dag.ends(name).map { |leaf| at(id(leaf)) }, dag.output(name, @environment.outputs))
      end

      # @return [Array<Symbol>] of the steps and the nested pipelines
      def names
        dag.index.keys + groups
      end

      # @return [Array<Symbol>] the nested pipelines
      def groups
        dag.groups.keys
      end

      private

      def run = @environment.run

      # The steps of a nested pipeline that is skipped have its reason.
      def reason(id, reason)
        return :given if @environment.given&.key?(id)

        reason == :upstream_skipped && @environment.gates&.closed?(id) ? :condition : reason
      end
    end
  end
end
