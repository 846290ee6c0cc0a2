# frozen_string_literal: true

module Flowline
  class DAG
    # The input of the core's drawing functions: nodes, edges and frames, by position.
    # @api private
    class Drawing
      # @param dag [DAG] without problems
      def initialize(dag)
        @dag = dag
        positions = dag.groups.keys.each_with_index.to_h
        nodes = dag.steps.map { |step| [Name.show(step.name), Name.show(label(step, step.group)), positions[step.group]] }
        frames = dag.groups.each_value.map { |group| [Name.show(label(group, group.parent)), positions[group.parent]] }
        @parts = [nodes, edges, frames]
      end

      # @return [String]
      def to_mermaid
        Native.mermaid(*@parts)
      end

      # @return [String]
      def to_dot
        Native.dot(*@parts)
      end

      # @return [String]
      def to_ascii
        Native.ascii(*@parts)
      end

      private

      # Returns the name of a member within its group.
      def label(member, group)
        group ? member.name.name.delete_prefix("#{group}.") : member.name
      end

      def edges
        @dag.steps.each_index.flat_map do |to|
          @dag.inputs(to).map do |from|
            hint = @dag.steps[from].options[:output]
            [from, to, hint && Name.show(hint.is_a?(Module) ? hint.name : hint.inspect)]
          end
        end
      end
    end
  end
end
