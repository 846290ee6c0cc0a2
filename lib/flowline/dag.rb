# frozen_string_literal: true

module Flowline
  # Steps and the edges between them, in definition order.
  class DAG
    RULES = { success: 0, any: 1, always: 2 }.freeze
    NONE = [].freeze
    private_constant :RULES, :NONE

    # @return [Array<Step>] in definition order
    attr_reader :steps
    # @return [Hash{Symbol => Group}] the nested pipelines
    attr_reader :groups

    # @param steps [Array<Step>]
    # @param groups [Array<Group>]
    def initialize(steps = [], groups = [])
      @steps = steps
      @groups = groups.to_h { |group| [group.name, group] }
      @repeated = groups.reject { |group| @groups[group.name].equal?(group) }
    end

    # Adds a step.
    # @param name [Symbol]
    # @param callable [#call, nil] or give a block
    # @param options [Hash] the options of {Options::STEP}
    # @return [self]
    # @raise [DefinitionError] all that is wrong with the step
    # @example
    #   dag = Flowline::DAG.new
    #   dag.add(:fetch, -> { [1, 2] }).add(:sum, ->(rows) { rows.sum }, depends_on: :fetch)
    #   dag.sorted_steps # => [:fetch, :sum]
    def add(name, callable = nil, **options, &block)
      steps << Step.new(name, callable, Definition.place, **options, &block)
      @index = @graph = @problems = nil
      self
    end

    # @return [Array<Symbol>] the steps' names, each after those it depends on, else in definition order
    # @raise [DefinitionError] {#problems}
    def sorted_steps
      names(graph.order)
    end

    # @return [Array<Array<Symbol>>] the steps' names in levels: each depends on one of the level before
    # @raise [DefinitionError] {#problems}
    def levels
      graph.levels.map { |level| names(level) }
    end

    # @param wanted [Array<Symbol>]
    # @return [Array<Symbol>] everything these steps need, themselves included, in definition order
    # @raise [DefinitionError] {#problems}, or a name that no step has
    def upstream(*wanted)
      names(graph.upstream(ids(wanted)))
    end

    # @param wanted [Array<Symbol>]
    # @return [Array<Symbol>] everything that needs one of these steps, themselves included, in definition order
    # @raise [DefinitionError] {#problems}, or a name that no step has
    def downstream(*wanted)
      names(graph.downstream(ids(wanted)))
    end

    # @return [Step, nil] the step of that name
    def [](name)
      id = index[name]
      steps[id] if id
    end

    # @return [Integer] how many steps there are
    def size
      steps.size
    end

    # @return [Array<DefinitionError>] everything that is wrong with the graph: duplicates, missing
    #   dependencies, cycles
    def problems
      build unless @problems
      @problems
    end

    # @return [true]
    # @raise [DefinitionError] {#problems}
    def validate!
      DefinitionError.check(problems)
      true
    end

    # @return [String] for Mermaid, https://mermaid.js.org/syntax/flowchart.html
    # @example
    #   pipeline.dag.to_mermaid # => "graph TD\n  fetch --> load\n"
    def to_mermaid
      Native.mermaid(*drawing)
    end

    # @return [String] for Graphviz, https://graphviz.org/doc/info/lang.html
    def to_dot
      Native.dot(*drawing)
    end

    # @return [String] boxes and lines for a terminal
    # @raise [Error] the drawing would be too large
    def to_ascii
      Native.ascii(*drawing)
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{size} steps>"
    end

    # @return [self] complete and unchangeable
    def freeze
      index
      problems
      steps.freeze
      groups.freeze
      super
    end

    # @return [Native::Graph]
    # @raise [DefinitionError] {#problems}
    # @api private
    def graph
      validate!
      @graph
    end

    # @return [Hash{Symbol => Integer}] where each step stands in {#steps}
    # @api private
    def index
      @index ||= steps.each_with_index.to_h { |step, id| [step.name, id] }
    end

    # Where the output of a step or group is found: the step's position, or those of several by name.
    # @return [Integer, Hash{Symbol => Integer, Hash}]
    # @api private
    def source(name)
      group = groups[name]
      return index[name] unless group
      return source(group.leaves.values.first) if group.leaves.size == 1

      group.leaves.transform_values { |leaf| source(leaf) }
    end

    # @param name [Symbol] a step or a nested pipeline
    # @param outputs [Array] of the steps
    # @return [Object] its output
    # @api private
    def output(name, outputs)
      pick(source(name), outputs)
    end

    # The steps that a step or group name stands for.
    # @return [Array<Symbol>]
    # @api private
    def ends(name)
      group = groups[name]
      group ? group.leaves.values.flat_map { |leaf| ends(leaf) } : [name]
    end

    # @return [Array<Integer>] the positions of the steps, each after those it depends on
    # @api private
    def order
      graph.order
    end

    # @return [Array<Integer>] the positions of the steps whose outputs a step gets
    # @api private
    def inputs(id)
      positions(steps[id].depends_on)
    end

    # @param id [Integer] a step that is called for each item
    # @return [Array<Integer>] the same without the source of its items
    # @api private
    def other_inputs(id)
      step = steps[id]
      positions(step.depends_on.reject.with_index { |_, place| step.labels[place] == step.each })
    end

    # All steps that a step or group name stands for.
    # @return [Array<Symbol>]
    # @api private
    def members(name)
      return [name] unless groups.key?(name)

      steps.map(&:name).select { |inner| inner.start_with?("#{name}.") }
    end

    # The steps and groups of the outermost level on which nothing depends: what a pipeline's output is
    # when it is nested.
    # @return [Array<Symbol>]
    # @api private
    def leaves
      members = steps.map { |step| outermost(step.group) || step.name }.uniq
      needed = steps.flat_map do |step|
        within = outermost(step.group)
        step.depends_on.map { |name| outermost((groups[name] || self[name])&.then { |m| m.is_a?(Group) ? m.name : m.group }) || name } - [within]
      end
      members - needed
    end

    private

    def positions(names)
      names = names.flat_map { |name| ends(name) }.uniq unless groups.empty?
      names.map { |name| index[name] }
    end

    def pick(source, outputs)
      source.is_a?(Hash) ? source.transform_values { |inner| pick(inner, outputs) } : outputs[source]
    end

    def outermost(name)
      name = groups[name].parent while name && groups[name].parent
      name
    end

    def names(ids)
      ids.map { |id| @names[id] }
    end

    def ids(wanted)
      wanted.flat_map { |name| ends(Name.of(name)) }.map do |name|
        index[name] || Error.raise_at_caller(DefinitionError.new("there is no step #{Name.show(name)}#{Name.suggest(name, index.keys)}"))
      end
    end

    def build
      rules = steps.map { |step| RULES[step.options.fetch(:run_if, :success)] + (step.optional? ? 4 : 0) }
      edges = groups.empty? ? steps.map(&:depends_on) : steps.map { |step| step.depends_on.flat_map { |name| ends(name) }.uniq }
      @names = steps.map(&:name)
      @graph, facts = Native::Graph.build(@names, edges, rules)
      @problems = clashes + facts.map { |kind, *about| send(kind, *about) }
      @graph &&= nil unless @problems.empty?
    end

    # Groups share the steps' names.
    def clashes
      firsts = @repeated + groups.each_value.filter_map { |group| self[group.name] }
      firsts.map { |first| DuplicateStepError.new(first.name, places: [first.place, groups[first.name].place]) }
    end

    def duplicate(first, second)
      DuplicateStepError.new(steps[first].name, places: [steps[first].place, steps[second].place])
    end

    def missing(id, dependency, nearest)
      nearest = Native.nearest(dependency, [*index.keys, *groups.keys].map(&:name)) unless groups.empty?
      MissingDependencyError.new(steps[id].name, dependency.to_sym, suggestion: nearest&.to_sym, place: steps[id].place)
    end

    def cycle(ids)
      CycleError.new(names(ids), place: steps[ids.first].place)
    end

    # Nodes, edges and groups as the core draws them.
    def drawing
      DefinitionError.check(problems)
      positions = groups.keys.each_with_index.to_h
      nodes = steps.map { |step| [Name.show(step.name), Name.show(label(step)), positions[step.group]] }
      frames = groups.each_value.map { |group| [Name.show(label(group)), positions[group.parent]] }
      [nodes, edges, frames]
    end

    # A name within its group.
    def label(member)
      group = member.is_a?(Group) ? member.parent : member.group
      group ? member.name.name.delete_prefix("#{group}.") : member.name
    end

    def edges
      steps.each_index.flat_map do |to|
        inputs(to).map do |from|
          hint = steps[from].options[:output]
          [from, to, hint && Name.show(hint.is_a?(Module) ? hint.name : hint.inspect)]
        end
      end
    end
  end
end
