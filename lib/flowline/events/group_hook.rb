# frozen_string_literal: true

module Flowline
  module Events
    # A step hook of a nested pipeline: it is called for the steps of that pipeline only, with their context.
    # @api private
    class GroupHook
      # @param group [Definition::Group]
      # @param scope [Symbol, nil] the nested pipeline whose params its steps get; see {DAG::Nesting#scope}
      # @param hook [#call]
      def initialize(group, scope, hook)
        @group = group
        @scope = scope
        @hook = hook
        freeze
      end

      # @param step [Step]
      # @param facts [Array] what the hook gets besides
      # @return [void]
      def call(step, *facts)
        return unless @group.holds?(step.name)

        facts.map! { |fact| @scope && Context === fact ? fact.within(@scope) : fact }
        Hooks.offer(@hook, [step, *facts])
      end
    end
  end
end
