# frozen_string_literal: true

module Flowline
  module Execution
    # The conditions of nested pipelines in a run. Each is asked once, by the first step that the pipeline begins with. Its
    # answer holds for all of its steps.
    #
    # The steps in between are skipped by the core together with what they depend on. A step that runs whatever happened
    # upstream asks for the answer, if there is one.
    # @api private
    class Gates
      # @param pipeline [Pipeline]
      def initialize(pipeline)
        @dag = pipeline.dag
        @conditions = pipeline.calls.group_conditions
        @answers = {}
        @lock = Mutex.new # Held while the user's condition is called, so that no other worker calls it, too.
      end

      # @param id [Integer]
      # @return [Boolean] whether the step needs an answer
      def guards?(id)
        step = @dag.steps[id]
        !step.group.nil? && (@dag.entered(step).any? || unconditional?(step))
      end

      # @param id [Integer] a step that it {#guards?}
      # @param outputs [Array<Object>] by step
      # @param context [Context]
      # @return [Boolean] whether the conditions of all nested pipelines around the step hold
      def open?(id, outputs, context)
        step = @dag.steps[id]
        return true if step.group.nil?

        entered = @dag.entered(step)
        @dag.within(step.group).all? { |group| entered.include?(group) ? ask(group, outputs, context) : @answers.fetch(group.name, true) }
      end

      # @param id [Integer]
      # @return [Boolean] whether the step is skipped because a condition of a nested pipeline does not hold
      def closed?(id)
        @dag.within(@dag.steps[id].group).any? { |group| @answers[group.name] == false }
      end

      private

      def unconditional?(step)
        %i[any always].include?(step.options[:run_if]) && @dag.within(step.group).any? { |group| @conditions.key?(group.name) }
      end

      def ask(group, outputs, context)
        @lock.synchronize do
          @answers.fetch(group.name) { @answers[group.name] = Environment.hold?(@conditions[group.name], outputs, context) }
        end
      end
    end
  end
end
