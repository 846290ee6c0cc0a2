# frozen_string_literal: true

module Flowline
  class DAG
    # Resolves names in a graph with nested pipelines: a name is a step, or a nested pipeline with its steps and outputs.
    # @api private
    module Nesting
      NOTHING = [].freeze
      private_constant :NOTHING

      # @param groups [Hash{Symbol => Definition::Group}]
      # @param name [Symbol] a step or a nested pipeline
      # @return [Array<Symbol>] the steps whose outputs are its output
      def self.ends(groups, name)
        group = groups[name]
        group ? group.leaves.values.flat_map { |leaf| ends(groups, leaf) } : [name]
      end

      # @param name [Symbol] a step or a nested pipeline
      # @return [Array<Symbol>] the steps whose outputs are its output
      def ends(name)
        Nesting.ends(groups, name)
      end

      # @param name [Symbol] a step or a nested pipeline
      # @return [Integer, Hash{Symbol => Integer, Hash}] the position of the step, or of several by name
      def source(name)
        group = groups[name]
        return index[name] unless group
        return source(group.leaves.values.first) if group.leaves.size == 1

        group.leaves.transform_values { |leaf| source(leaf) }
      end

      # @param name [Symbol] a step or a nested pipeline
      # @param outputs [Array] of the steps
      # @return [Object] its output
      def output(name, outputs)
        pick(source(name), outputs)
      end

      # @return [Array<Integer>] the positions of the steps whose outputs a step gets
      def inputs(id)
        positions(steps[id].depends_on)
      end

      # @param id [Integer] a step that is called for each item
      # @return [Array<Integer>] the same without the source of its items
      def other_inputs(id)
        step = steps[id]
        positions(step.depends_on.reject.with_index { |_, at| step.labels[at] == step.each })
      end

      # @param name [Symbol] a step or a nested pipeline
      # @return [Array<Symbol>] the step, or all steps of the nested pipeline
      def members(name)
        return [name] unless groups.key?(name)

        steps.map(&:name).select { |inner| inner.start_with?("#{name}.") }
      end

      # @param name [Symbol, nil] a nested pipeline
      # @return [Array<Definition::Group>] the nested pipelines that it is in, from the outermost on, and itself
      def within(name)
        chain = []
        while (group = groups[name])
          chain.unshift(group)
          name = group.parent
        end
        chain
      end

      # @param name [Symbol, nil] a nested pipeline
      # @return [Symbol, nil] the nested pipeline whose bound params its steps get: itself, or one that it is in
      def scope(name)
        within(name).reverse_each.find { |group| !group.params.empty? }&.name
      end

      # @param step [Step]
      # @return [Array<Definition::Group>] the nested pipelines with conditions whose first step it is, from the outermost on
      def entered(step)
        within(step.group).select { |group| !group.conditions.empty? && step.depends_on.none? { |name| group.holds?(name) } }
      end

      # @return [Array<Symbol>] the steps and nested pipelines of the outermost level on which nothing depends: the
      #   output of this pipeline when it is nested
      def leaves
        members = steps.map { |step| outermost(step.group) || step.name }.uniq
        needed = steps.flat_map do |step|
          within = outermost(step.group)
          step.depends_on.map { |name| outermost(group_of(name)) || name } - [within]
        end
        members - needed
      end

      private

      def positions(names)
        return NOTHING if names.empty?

        names = names.flat_map { |name| ends(name) }.uniq unless groups.empty?
        names.map { |name| index[name] }
      end

      def pick(source, outputs)
        source.is_a?(Hash) ? source.transform_values { |inner| pick(inner, outputs) } : outputs[source]
      end

      # @return [Symbol, nil] the nested pipeline that a step is in; a nested pipeline itself
      def group_of(name)
        member = groups[name] || self[name]
        Definition::Group === member ? member.name : member&.group
      end

      def outermost(name)
        name = groups[name].parent while name && groups[name].parent
        name
      end
    end
  end
end
