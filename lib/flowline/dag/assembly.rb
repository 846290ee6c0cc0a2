# frozen_string_literal: true

module Flowline
  class DAG
    # The native graph of steps and nested pipelines, or the mistakes that prevent it.
    # @api private
    class Assembly
      RULES = { success: 0, any: 1, always: 2 }.freeze
      OPTIONAL = 4
      private_constant :RULES, :OPTIONAL

      # @return [Hash{Symbol => Integer}] the position of each step
      attr_reader :index

      # @param steps [Array<Step>]
      # @param groups [Hash{Symbol => Definition::Group}]
      # @param repeated [Array<Definition::Group>] groups that a later one of the same name replaces
      def initialize(steps, groups, repeated)
        @steps = steps
        @groups = groups
        @repeated = repeated
        @index = {}
        steps.each_with_index { |step, id| @index[step.name] = id }
      end

      # @return [Native::Graph, nil] nil if there are {#problems}
      def graph
        build unless @problems
        @graph
      end

      # @return [Array<DefinitionError>]
      def problems
        build unless @problems
        @problems
      end

      private

      def build
        names = @index.size == @steps.size ? @index.keys : @steps.map(&:name)
        graph, facts = Native::Graph.build(names, edges, rules)
        problems = clashes + facts.map { |kind, *about| send(kind, *about) }
        @graph = graph if problems.empty?
        @problems = problems
      end

      def edges
        return @steps.map(&:depends_on) if @groups.empty?

        @steps.map { |step| step.depends_on.flat_map { |name| Nesting.ends(@groups, name) }.uniq }
      end

      def rules
        rules = Array.new(@steps.size, 0)
        @steps.each_with_index do |step, id|
          rules[id] = RULES[step.options.fetch(:run_if, :success)] + (step.optional? ? OPTIONAL : 0) unless step.options.empty?
        end
        rules
      end

      # Returns an error for each name that is used twice. Steps and nested pipelines share one set of names.
      def clashes
        firsts = @repeated + @groups.each_value.filter_map { |group| @steps[@index[group.name]] if @index.key?(group.name) }
        firsts.map { |first| DuplicateStepError.new(first.name, places: [first.place, @groups[first.name].place]) }
      end

      def duplicate(first, second)
        DuplicateStepError.new(@steps[first].name, places: [@steps[first].place, @steps[second].place])
      end

      def missing(id, dependency, nearest)
        nearest = Native.nearest(dependency, [*@index.keys, *@groups.keys].map(&:name)) unless @groups.empty?
        MissingDependencyError.new(@steps[id].name, dependency.to_sym, suggestion: nearest&.to_sym, place: @steps[id].place)
      end

      def cycle(ids)
        CycleError.new(ids.map { |id| @steps[id].name }, place: @steps[ids.first].place)
      end
    end
  end
end
