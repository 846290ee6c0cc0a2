# frozen_string_literal: true

module Flowline
  # A named unit of work: a callable, what it depends on, and its options.
  #
  # A subclass with its own +call+ is a step as a class; it may declare options in its body, and
  # every attempt calls a fresh instance:
  #
  #   class FetchUsers < Flowline::Step
  #     options description: "Users of the last day", optional: true
  #     def call(context) = API.users(context[:date])
  #   end
  #   Flowline.define { step :fetch, FetchUsers }
  class Step
    # Options that only a step with +each:+ can have.
    # @api private
    OF_ITEMS = %i[concurrency on_item_error].freeze
    NONE = {}.freeze
    private_constant :NONE

    # @return [Symbol] unique in its pipeline; +clean.validate+ within a nested pipeline +clean+
    attr_reader :name
    # @return [Array<Symbol>] the steps and nested pipelines whose outputs it gets
    attr_reader :depends_on
    # @return [Array<Symbol>] the same, by the names its own pipeline knew them by when it was defined
    attr_reader :labels
    # @return [#call, Class] what is called
    attr_reader :callable
    # @return [Hash{Symbol => Object}] the options of {Options::STEP} it was given, beside +depends_on+
    attr_reader :options
    # @return [Symbol, nil] the nested pipeline it belongs to
    attr_reader :group
    # @return [String, nil] +file:line+ where it is defined
    attr_reader :place

    class << self
      # Declares options for the steps that use this class; or reads what is declared, inherited ones included.
      # @param declared [Hash] the options of {Options::STEP}
      # @return [Hash{Symbol => Object}]
      def options(**declared)
        @options = (@options || {}).merge(declared)
        inherited = equal?(Step) ? {} : superclass.options
        inherited.merge(@options)
      end

      # @return [Hash{Symbol => Object}] the options that the class of a callable declares
      # @api private
      def declared(callable)
        type = callable.is_a?(Class) ? callable : callable.class
        type < Step ? type.options : {}
      end
    end

    # @param name [Symbol, String]
    # @param callable [#call, Class, nil] a lambda, a Method, an object with +call+, a class with +call+
    #   or whose instances have it; or give a block
    # @param place [String, nil] +file:line+, for messages
    # @param options [Hash] the options of {Options::STEP}
    # @raise [DefinitionError] all that is wrong with it
    # @example
    #   Flowline::Step.new(:double) { |n| n * 2 }.call(21) # => 42
    def initialize(name = nil, callable = nil, place = nil, **options, &block)
      @name = Name.of(instance_of?(Step) ? name : name || self.class.name || :step)
      @callable = block || callable || (self unless instance_of?(Step))
      @place = place
      declared = Step.declared(callable)
      options = declared.merge(options) unless declared.empty?
      check(callable, block, options)
      @labels = @depends_on = (Name.list(options.delete(:depends_on)) | Name.list(options[:each])).freeze
      @options = options.empty? ? NONE : options.freeze
      freeze if instance_of?(Step)
    end

    # Calls the callable directly, outside any run.
    # @return [Object] what it returns
    def call(...)
      return callable.call(...) if callable.respond_to?(:call)

      callable.new.call(...)
    end

    # @return [String, nil] what it is for
    def description
      options[:description]
    end

    # @return [Array<Symbol>] its tags
    def tags
      Name.list(options[:tags])
    end

    # @return [Boolean] whether it may fail without failing the run
    def optional?
      options[:optional] == true
    end

    # @return [Symbol, nil] the dependency for each of whose items it is called, by the name in {#labels}
    def each
      options[:each] && Name.of(options[:each])
    end

    # The step as part of another pipeline. It still gets its inputs by the names it knows.
    # @yieldparam name [Symbol] its own name, then each dependency's
    # @yieldreturn [Symbol] the name in the other pipeline
    # @param wiring [Array<Symbol>] dependencies for it, if it has none
    # @param group [Symbol, nil] the nested pipeline it becomes part of
    # @param conditions [Hash] +when:+ and +unless:+ to add
    # @return [Step]
    # @api private
    def placed(wiring: [], group: nil, conditions: {})
      copy = dup
      copy.instance_exec do
        @name = yield @name
        known = depends_on
        @depends_on = known.empty? ? wiring : known.map { |dependency| yield dependency }.freeze
        @labels = wiring if labels.empty?
        @group = @group ? yield(@group) : group
        # Steps that depend on one of their own pipeline are skipped with that one.
        @options = options.merge(conditions) { |_, own, given| [own, given].flatten(1) }.freeze if known.empty? || known == @depends_on
        freeze
      end
    end

    # Dumps what other processes may know of it: everything but its callable, and options that are callables.
    # @return [Array] what {#marshal_load} takes
    # @api private
    def marshal_dump
      [name, depends_on, labels, options.select { |_, value| Error::Portable.dumps?(value) }, group, place]
    end

    # @param facts [Array]
    # @return [void]
    # @api private
    def marshal_load(facts)
      @name, @depends_on, @labels, @options, @group, @place = facts
      freeze
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{Name.show(name)}#{" depends_on #{depends_on.map { |d| Name.show(d) }.join(", ")}" unless depends_on.empty?}>"
    end

    private

    def check(positional, block, options)
      sentences = Options.problems(Options::STEP, options) { owner }
      needless = options[:each] ? [] : OF_ITEMS.select { |option| options.key?(option) }.map { |option| "#{option}:" }
      sentences << "#{owner}: #{needless.join(" and ")} without each:, the step whose items it is called for" unless needless.empty?
      sentences << "#{owner}: give either a block or a callable, not both" if positional && block
      problem = callable_problem unless callable.is_a?(Proc) || callable.is_a?(Rebound)
      sentences << "#{owner} #{problem}" if problem
      DefinitionError.check(sentences.map { |sentence| DefinitionError.new(sentence, place: place) }) unless sentences.empty?
    end

    def owner
      "step #{Name.show(name)}"
    end

    # A Step that is called itself, or a class of them, but has only our own `call`.
    def lacks_call?(entry)
      entry.owner == Step && (callable.is_a?(Class) || callable.equal?(self))
    end

    def callable_problem
      return "has nothing to call; give it a block or an object with `call`" if callable.nil?

      entry = Signature.entry(callable)
      return "cannot call #{callable.inspect[0, 60]}; it needs a method `call`" unless entry
      return "has nothing to call; #{callable.is_a?(Class) ? callable : self.class} needs a `call` of its own" if lacks_call?(entry)
      return unless entry.is_a?(UnboundMethod)

      needed = callable.instance_method(:initialize).parameters.any? { |kind, _| %i[req keyreq].include?(kind) }
      "cannot make a #{callable}: its initialize needs arguments; pass an instance instead" if needed
    end
  end
end
