# frozen_string_literal: true

module Flowline
  class DAG
    # The native graph of steps and nested pipelines, or the mistakes that prevent it.
    # @api private
    class Assembly
      RULES = { success: 0, any: 1, always: 2 }.freeze
      OPTIONAL = 4
      LASTING = 8
      private_constant :RULES, :OPTIONAL, :LASTING

      # @param dag [DAG]
      # @param repeated [Array<Definition::Group>] groups that a later one of the same name replaces
      def initialize(dag, repeated)
        @dag = dag
        @steps = dag.steps
        @groups = dag.groups
        @repeated = repeated
      end

      # @return [Hash{Symbol => Integer}] the position of each step
      def index
        @index ||= @steps.each_with_index.with_object({}) { |(step, id), index| index[step.name] = id }
      end

      # @return [Array<Symbol>] the names of the steps: in one place, so that they are read faster than those of the steps
      def names
        @names ||= @steps.map(&:name).freeze
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
        graph, facts = Native::Graph.build(names, edges, rules)
        problems = clashes + facts.uniq { |fact| mistake(fact) }.map { |kind, *about| send(kind, *about) }
        @graph = graph if problems.empty?
        @problems = problems
      end

      def edges
        return @steps.map(&:depends_on) if @groups.empty?

        @steps.map { |step| (step.depends_on + needed_by_conditions(step)).flat_map { |name| Nesting.ends(@groups, name) }.uniq }
      end

      # Returns what the conditions of the nested pipelines get that begin with this step.
      def needed_by_conditions(step)
        step.group ? @dag.entered(step).flat_map(&:depends_on) : []
      end

      def rules
        @steps.map { |step| step.options.empty? && !step.lasting? ? 0 : rule(step, step.options) }
      end

      def rule(step, options)
        RULES[options.fetch(:run_if, :success)] + (step.optional? ? OPTIONAL : 0) + (step.lasting? ? LASTING : 0)
      end

      # Returns an error for each name that is used twice. Steps and nested pipelines share one set of names.
      def clashes
        firsts = @repeated + @groups.each_value.filter_map { |group| @steps[index[group.name]] if index.key?(group.name) }
        firsts.map { |first| DuplicateStepError.new(first.name, locations: [first.location, @groups[first.name].location]) }
      end

      # Returns what identifies a mistake: several steps may have a dependency from the same line.
      def mistake(fact)
        kind, id, dependency = fact
        kind == :missing && @steps[id].wired ? [@steps[id].wired, dependency] : fact
      end

      # The same step may be there twice. Then the lines that brought it there are at fault.
      def duplicate(first, second)
        both = [@steps[first], @steps[second]]
        locations = both.map(&:location)
        locations = both.map { |step| step.origin || step.location } if locations.uniq.one?
        DuplicateStepError.new(@steps[first].name, locations: locations)
      end

      def missing(id, dependency, nearest)
        nearest = Native.nearest(dependency, [*index.keys, *@groups.keys].map(&:name)) unless @groups.empty?
        group, location = @steps[id].wired
        location ||= @steps[id].location
        MissingDependencyError.new(group || @steps[id].name, dependency.to_sym, suggestion: nearest&.to_sym, location: location)
      end

      def cycle(ids)
        CycleError.new(ids.map { |id| @steps[id].name }, location: @steps[ids.first].location)
      end
    end
  end
end
