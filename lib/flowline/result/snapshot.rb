# frozen_string_literal: true

module Flowline
  class Result
    # The data of a result that came from another process.
    # @api private
    class Snapshot
      # @return [Context] without secrets, and without the values of +context:+
      attr_reader :context
      # @return [Symbol]
      attr_reader :status
      # @return [Float] seconds
      attr_reader :elapsed
      # @return [Array<Integer>]
      attr_reader :failures

      # @return [nil] a graph has code in it, which cannot be marshalled
      attr_reader :dag

      # @param live [Live]
      # @param unsent [Array<Symbol>] gets the steps whose output cannot be marshalled
      def initialize(live, unsent)
        @context = live.context
        @status = live.status
        @elapsed = live.elapsed
        @failures = live.failures
        @steps = Array.new(live.size) { |id| sendable(live.at(id), unsent) }
        @groups = live.groups.to_h { |name| [name, sendable(live.group(name), unsent)] }
      end

      # @return [Integer]
      def size
        @steps.size
      end

      # @return [Integer, nil]
      def id(name)
        (@index ||= @steps.each_with_index.to_h { |step, id| [step.name, id] })[name]
      end

      # @return [Symbol]
      def name(id)
        @steps[id].name
      end

      # @return [StepResult]
      def at(id)
        @steps[id]
      end

      # @return [StepError, nil]
      def first_error
        @steps[@failures.first].error if @failures.any?
      end

      # @return [Hash{Symbol => Object}]
      def outputs
        @steps.select(&:output?).to_h { |step| [step.name, step.output] }
      end

      # @return [StepResult, nil]
      def group(name)
        @groups[name]
      end

      # @return [Array<Symbol>] of the steps and the nested pipelines
      def names
        @steps.map(&:name) + groups
      end

      # @return [Array<Symbol>]
      def groups
        @groups.keys
      end

      private

      def sendable(step, unsent)
        return step if Error::Portable.dumps?(step.output)

        unsent << step.name
        step.without_output
      end
    end
  end
end
