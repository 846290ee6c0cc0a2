# frozen_string_literal: true

module Flowline
  # The words of a pipeline's definition. They write inert data, from which {Pipeline} is built.
  class Definition
    # The words a pipeline is defined with, in a block or in a class body.
    WORDS = (%i[step param pool include defaults options] + Hooks::NAMES).freeze

    # @return [Array<Step>]
    attr_reader :steps
    # @return [Array<Group>] nested pipelines
    attr_reader :groups
    # @return [Hash{Symbol => Param}]
    attr_reader :params
    # @return [Hash{Symbol => Integer}] the pools and their sizes
    attr_reader :pools
    # @return [Hash{Symbol => Array<#call>}]
    attr_reader :hooks
    # @return [Hash{Symbol => Object}] the options of {Options::DEFINE}
    attr_reader :settings
    # @return [Array<Pipeline>] the pipelines it includes or nests
    attr_reader :parts
    # @return [Array<DefinitionError>] what was wrong so far
    attr_reader :problems

    # Options that may hold blocks of the user's.
    CALLABLE = %i[when unless cache retry_if on_retry retry_delay].freeze
    OWN = File.expand_path(__dir__)
    private_constant :OWN, :CALLABLE

    # @return [String, nil] +file:line+ of the user's own line that called the method that asks
    # @api private
    def self.place
      depth = 2
      depth += 1 while (location = caller_locations(depth, 1)&.first)&.path&.start_with?(OWN)
      -"#{location.path}:#{location.lineno}" if location
    end

    # @param settings [Hash] the options of {Options::DEFINE}
    def initialize(**settings)
      @steps = []
      @groups = []
      @params = {}
      @pools = {}
      @adopted = {}
      @clashes = {}
      @hooks = {}
      @parts = []
      @problems = []
      @settings = {}
      @defaults = {}
      @inherited = {}
      options(**settings)
    end

    # Reads a definition block: bare words if it has no parameter, else it is given this object.
    # @return [self]
    # @api private
    def read(&block)
      return self unless block
      return tap(&block) unless block.parameters.empty? && block.arity.zero?

      @words = Words.new(self, block.binding.receiver)
      @words.instance_exec(&block)
      self
    end

    # Declares a step, or nests a pipeline as one.
    #
    # @overload step(name, callable = nil, **options, &block)
    #   @param name [Symbol]
    #   @param callable [#call, Class, nil] see {Step#initialize}
    #   @param options [Hash] the options of {Options::STEP}
    # @overload step(name, pipeline, depends_on: nil, when: nil, unless: nil, description: nil)
    #   Its steps become part of this graph as +name.step+; its output is that of its last step, or a
    #   Hash of several.
    #   @param pipeline [Pipeline, Class] a pipeline or a pipeline class
    # @return [Symbol] the name
    # @example
    #   step(:load, depends_on: :fetch, when: ->(ctx) { ctx[:live] }) { |rows| DB.insert(rows) }
    def step(name, callable = nil, **options, &block)
      place = Definition.place
      pipeline = Pipeline.from(callable)
      return nest(name, pipeline, place, options, block) if pipeline

      options = inherited_options(callable, options).merge(options) unless @defaults.empty?
      if @words
        callable, block = @words.rebind(block || callable) unless block && callable
        options = rebind(options) if CALLABLE.any? { |name| options.key?(name) }
      end
      step = Step.new(name, callable, place, **options, &block)
      put(step)
      step.name
    rescue DefinitionError => e
      collect(e, place)
      name
    end

    # Declares a param: a typed input of every run.
    # @param name [Symbol]
    # @param options [Hash] see {Param#initialize}
    # @return [Symbol] the name
    # @example
    #   param :date, type: :date, required: true, description: "The day to import"
    def param(name, **options)
      place = Definition.place
      options[:default] = @words.rebind(options[:default]) if @words && options.key?(:default)
      param = Param.new(name, **options, place: place)
      known = params[param.name] unless @inherited.delete([:param, param.name])
      if known && !(known == param && parts.any? { |part| known.equal?(part.params[param.name]) })
        wrong(["param #{Name.show(param.name)} is declared twice: #{known.place} and #{place}; rename one"], nil)
      end
      params[param.name] = param
      param.name
    rescue DefinitionError => e
      collect(e, place)
      name
    end

    # Declares a pool: something that only so many can use at a time, as connections. Steps take of it with +uses:+.
    # Declared again, it has the new size.
    # @param name [Symbol]
    # @param size [Integer] from 1 up
    # @return [Symbol] the name
    # @example
    #   pool :db, 4
    #   step(:load, depends_on: :fetch, uses: :db) { |rows| DB.insert(rows) }
    def pool(name = nil, size = nil)
      sound = (name.is_a?(Symbol) || name.is_a?(String)) && size.is_a?(Integer) && size.positive?
      return name if wrong(sound ? [] : ["pool takes a name and a whole number from 1 up, as in `pool :db, 4`"], Definition.place)

      name = name.to_sym
      problems.delete(@clashes.delete(name))
      @adopted.delete(name)
      pools[name] = size
      name
    end

    # Copies another pipeline's steps, params and pools, not its hooks.
    # @param other [Pipeline, Class]
    # @option options [Symbol, Array<Symbol>] :depends_on (nil) what its steps without dependencies get as input
    # @option options [Symbol] :prefix (nil) +:clean+ makes +:validate+ +:clean_validate+
    # @return [self]
    def include(other, **options)
      place = Definition.place
      pipeline = Pipeline.from(other)
      return wrong(["include takes a pipeline, not #{other.inspect[0, 60]}"], place) unless pipeline
      return self if wrong(Options.problems(Options::INCLUDE, options) { "include" }, place)

      prefix = Name.of(options[:prefix]) if options[:prefix]
      adopt(pipeline, wiring: Name.list(options[:depends_on]).freeze) { |name| prefix ? :"#{prefix}_#{name}" : name }
      self
    end

    # Options for the steps that follow, unless they say otherwise.
    # @param options [Hash] the options of {Options::STEP}
    # @return [self]
    def defaults(**options)
      wrong(Options.problems(Options::STEP, options) { "defaults" }, Definition.place)
      @defaults = @defaults.merge(options)
      self
    end

    # Options of the pipeline itself, for class bodies; a block gives them to +Flowline.define+.
    # @param options [Hash] the options of {Options::DEFINE}
    # @return [self]
    def options(**options)
      wrong(Options.problems(Options::DEFINE, options) { "define" }, Definition.place)
      @settings = @settings.merge(options)
      self
    end

    # @!macro [new] hook
    #   Hooks are called in definition order with as many arguments as they take.
    #   @yield in the +self+ around the definition
    #   @return [self]

    # @!method before_run
    #   Before anything runs: +before_run { |ctx| }+. An exception fails the run.
    #   @macro hook
    # @!method before_step
    #   Before a step is called: +before_step { |step, ctx| }+. An exception fails the step.
    #   @macro hook
    # @!method on_step_retry
    #   After an attempt of a step failed that is made again: +on_step_retry { |step, error, attempt| }+.
    #   @macro hook
    # @!method on_step_success
    #   After a step succeeded: +on_step_success { |step, result| }+.
    #   @macro hook
    # @!method on_step_failure
    #   After a step failed: +on_step_failure { |step, error| }+.
    #   @macro hook
    # @!method on_step_skip
    #   After a step ended without being called: +on_step_skip { |step, reason| }+.
    #   @macro hook
    # @!method after_step
    #   After a step was called: +after_step { |step, result| }+.
    #   @macro hook
    # @!method on_success
    #   After a run succeeded: +on_success { |result, ctx| }+.
    #   @macro hook
    # @!method on_failure
    #   After a run failed: +on_failure { |error, ctx| }+.
    #   @macro hook
    # @!method after_run
    #   After every run, last of all: +after_run { |result, ctx| }+.
    #   @macro hook
    Hooks::NAMES.each do |word|
      define_method(word) do |callable = nil, &block|
        hook = block || callable
        hook = @words.rebind(hook) if @words
        return wrong(["#{word} needs a block"], Definition.place) unless hook.respond_to?(:call)

        (hooks[word] ||= []) << hook
        self
      end
    end

    # Takes over all of another pipeline: steps, params and hooks.
    # @api private
    def take(pipeline)
      adopt(pipeline, wiring: []) { |name| name }
      @adopted.clear # They are its own.
      hooks.merge!(pipeline.hooks.transform_values(&:dup))
      self
    end

    # Starts as another pipeline, for classes that inherit: what is declared again replaces what it had.
    # @api private
    def inherit(pipeline)
      take(pipeline)
      @settings = pipeline.settings.except(:name).merge(settings)
      [*steps, *groups].each { |member| @inherited[member.name] = true }
      params.each_key { |name| @inherited[[:param, name]] = true }
      self
    end

    private

    # The defaults, but what the class of a step says itself comes first; and what is about items is for steps that have some.
    def inherited_options(callable, given)
      declared = Step.declared(callable)
      each = [given, declared, @defaults].any? { |options| options[:each] }
      @defaults.except(*declared.keys, *(Step::OF_ITEMS unless each))
    end

    def rebind(options)
      options.to_h do |name, value|
        next [name, value] unless CALLABLE.include?(name)

        [name, value.is_a?(Hash) ? value.transform_values { |inner| @words.rebind(inner) } : @words.rebind(value)]
      end
    end

    # Adds a step, in the place of an inherited one of its name.
    def put(step)
      at = replace(step.name) if @inherited.delete(step.name)
      steps.insert(at || -1, step)
    end

    # Takes out what was inherited under a name: a step, or a nested pipeline with all that is in it.
    # @return [Integer, nil] where the step was
    def replace(name)
      gone = groups.each_with_object([name]) { |group, names| names << group.name if names.include?(group.parent) }
      groups.reject! { |group| gone.include?(group.name) }
      at = steps.index { |step| step.name == name }
      steps.reject! { |step| step.name == name || gone.include?(step.group) }
      at
    end

    def nest(name, pipeline, place, options, block)
      name = Name.of(name)
      wrong(["step #{Name.show(name)}: give either a block or a pipeline, not both"], place) if block
      return name if wrong(Options.problems(Options::NESTED, options) { "step #{Name.show(name)} (a nested pipeline)" }, place)

      options = rebind(options) if @words
      inside = ->(inner) { :"#{name}.#{inner}" }
      wiring = Name.list(options[:depends_on]).freeze
      replace(name) if @inherited.delete(name)
      leaves = pipeline.dag.leaves.to_h { |leaf| [leaf, inside.call(leaf)] }
      groups << Group.new(name, leaves: leaves, description: options[:description], place: place)
      adopt(pipeline, wiring: wiring, group: name, conditions: options.slice(:when, :unless), &inside)
      name
    end

    # Takes over the steps, groups and params of another pipeline under the names the block gives.
    # Names it does not have itself stay: the including pipeline may have them.
    def adopt(pipeline, wiring:, group: nil, conditions: {})
      own = pipeline.dag
      rename = ->(name) { own.index.key?(name) || own.groups.key?(name) ? yield(name) : name }
      parts << pipeline
      own.groups.each_value { |inner| groups << inner.placed(group: group, &rename) }
      own.steps.each { |step| put(step.placed(wiring: wiring, group: group, conditions: conditions, &rename)) }
      pipeline.params.each_value { |param| adopt_param(param) }
      pipeline.pools.each { |name, size| adopt_pool(name, size) }
    end

    def clash(name, *sizes)
      return if @clashes[name]

      sentence = "pool #{Name.show(name)} has #{sizes.join(" in one pipeline and ")} in another; declare it here"
      problems << (@clashes[name] = DefinitionError.new(sentence, place: Definition.place))
    end

    # What the pipeline declares itself goes before what others have.
    def adopt_pool(name, size)
      return if pools.key?(name) && !@adopted.key?(name)

      known = @adopted[name]
      clash(name, known, size) if known && known != size
      pools[name] = @adopted[name] = size
    end

    def adopt_param(param)
      known = params[param.name]
      if known && known != param
        problems << DefinitionError.new("param #{Name.show(param.name)} is declared differently in two pipelines " \
                                        "(#{[known.place, param.place].compact.join(" and ")}); declare it alike, or rename one")
      end
      params[param.name] ||= param
    end

    def collect(error, place)
      problems.concat(error.problems.map { |problem| problem.place ? problem : DefinitionError.new(problem.message, place: place) })
    end

    def wrong(sentences, place)
      problems.concat(sentences.map { |sentence| DefinitionError.new(sentence, place: place) })
      !sentences.empty?
    end
  end
end
