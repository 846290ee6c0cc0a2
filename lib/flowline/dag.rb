# frozen_string_literal: true

require_relative "dag/assembly"
require_relative "dag/nesting"

module Flowline
  # Steps and the edges between them, in definition order.
  class DAG
    autoload :Drawing, "#{__dir__}/dag/drawing"

    include Nesting

    # @return [Array<Step>] in definition order
    attr_reader :steps
    # @return [Hash{Symbol => Definition::Group}] the nested pipelines
    attr_reader :groups

    # @param steps [Array<Step>]
    # @param groups [Array<Definition::Group>]
    def initialize(steps = [], groups = [])
      @steps = steps
      @groups = groups.to_h { |group| [group.name, group] }
      @repeated = groups.reject { |group| @groups[group.name].equal?(group) }
    end

    # Adds a step.
    # @param name [Symbol]
    # @param callable [#call, nil] or give a block
    # @param options [Hash] the options of {Definition::Options::STEP}
    # @return [self]
    # @raise [DefinitionError] lists every mistake of the step
    # @example
    #   dag = Flowline::DAG.new
    #   dag.add(:fetch, -> { [1, 2] }).add(:sum, ->(rows) { rows.sum }, depends_on: :fetch)
    #   dag.sorted_steps # => [:fetch, :sum]
    def add(name, callable = nil, **options, &block)
      steps << Step.declare(name, callable, block, options, Definition::SourceLocation.of_caller)
      @assembly = nil
      self
    end

    # @return [Array<Symbol>] the steps' names, each after those it depends on, otherwise in definition order
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
    # @return [Array<Symbol>] everything that these steps need, themselves included, in definition order
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

    # @return [Array<DefinitionError>] the mistakes in the graph: duplicates, missing dependencies, cycles
    def problems
      assembly.problems
    end

    # @return [true]
    # @raise [DefinitionError] {#problems}
    def validate!
      DefinitionError.check(problems)
      true
    end

    # @return [String] for Mermaid, https://mermaid.js.org/syntax/flowchart.html
    # @raise [DefinitionError] {#problems}
    # @example
    #   pipeline.dag.to_mermaid # => "graph TD\n  fetch --> load\n"
    def to_mermaid
      drawing.to_mermaid
    end

    # @return [String] for Graphviz, https://graphviz.org/doc/info/lang.html
    # @raise [DefinitionError] {#problems}
    def to_dot
      drawing.to_dot
    end

    # @return [String] boxes and lines for a terminal. A graph of some thousand steps is folded as in {#to_svg}
    # @raise [DefinitionError] {#problems}
    # @raise [Error] the drawing would be too large even so
    def to_ascii
      drawing.to_ascii
    end

    # Draws the graph as SVG, with nested pipelines in frames. Parts that would not fit on a screen are folded: branches between the
    # same steps, long rows of steps, nested pipelines. The picture follows the reader's light or dark mode.
    # @param folded [Boolean] +false+ draws every step
    # @param link [String, nil] the URL of each step's source, with +path+ and +line+ in braces as in the example; +nil+ makes no links
    # @return [String] a document of its own
    # @raise [DefinitionError] {#problems}
    # @raise [Error] with +folded: false+, the picture would be too large
    # @example
    #   File.write("import.svg", pipeline.dag.to_svg(link: "https://github.com/me/app/blob/main/{path}#L{line}"))
    def to_svg(folded: true, link: Drawing::LINK)
      drawing.picture(link).svg(folded: folded)
    end

    # Draws the graph as a page of one file, on which what is folded can be opened. The page makes no requests and has no
    # script.
    # @param title [String]
    # @param link [String, nil] as in {#to_svg}
    # @return [String] HTML
    # @raise [DefinitionError] {#problems}
    def to_html(title: "Pipeline", link: Drawing::LINK)
      drawing.picture(link).html(title)
    end

    # Returns the graph and the geometry of its picture, in pixels: +steps+ with +depends_on+; +groups+, nested pipelines;
    # +boxes+, each a step or what is folded; +lines+ between boxes.
    # @param folded [Boolean] +false+ has a box for every step
    # @param link [String, nil] as in {#to_svg}
    # @return [String]
    # @raise [DefinitionError] {#problems}
    # @raise [Error] with +folded: false+, the picture would be too large
    def to_json(*, folded: true, link: Drawing::LINK)
      drawing.picture(link).json(folded: folded)
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{size} steps>"
    end

    # @return [self] complete and unchangeable
    def freeze
      problems
      steps.freeze
      groups.freeze
      super
    end

    # @return [Native::Graph]
    # @raise [DefinitionError] {#problems}
    # @api private
    def graph
      assembly.graph || validate!
    end

    # @return [Hash{Symbol => Integer}] the position of each step in {#steps}
    # @api private
    def index
      assembly.index
    end

    # @return [Array<Integer>] the positions of the steps, each after those it depends on
    # @api private
    def order
      graph.order
    end

    private

    def assembly
      @assembly ||= Assembly.new(self, @repeated)
    end

    def drawing
      validate!
      Drawing.new(self)
    end

    def names(ids)
      names = assembly.names
      ids.map { |id| names[id] }
    end

    def ids(wanted)
      wanted.flat_map { |name| ends(Name.of(name)) }.map do |name|
        index[name] || Error.raise_at_caller(DefinitionError.new("there is no step #{Name.show(name)}#{Name.suggest(name, index.keys)}"))
      end
    end
  end
end
