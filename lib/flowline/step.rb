# frozen_string_literal: true

module Flowline
  # A named unit of work: a callable, its dependencies and its options.
  #
  # A subclass with its own +call+ is a step as a class. It may declare options in its body. Every
  # attempt calls a new instance:
  #
  #   class FetchUsers < Flowline::Step
  #     options description: "Users of the last day", optional: true
  #     def call(context) = API.users(context[:date])
  #   end
  #   Flowline.define { step :fetch, FetchUsers }
  class Step
    # Options that mean nothing without +retries:+.
    # @api private
    OF_RETRIES = %i[retry_strategy retry_delay retry_max_delay retry_jitter retry_if on_retry].freeze
    # Options that only a step with +each:+ can have.
    # @api private
    OF_ITEMS = %i[concurrency on_item_error max_failures label].freeze
    # The option without which another one means nothing, and the words for it.
    PARTNERS = { **OF_RETRIES.to_h { |option| [option, :retries] }, **OF_ITEMS.to_h { |option| [option, :each] } }.freeze
    WITHOUT = { retries: "without retries:, so that nothing is retried; add retries: 3",
                each: "without each:, the step whose items it is called for",
                continue: "needs on_item_error: :continue" }.freeze
    NONE = {}.freeze
    NOTHING = [].freeze
    private_constant :PARTNERS, :WITHOUT, :NONE, :NOTHING

    # @return [Symbol] unique in its pipeline; +clean.validate+ within a nested pipeline +clean+
    attr_reader :name
    # @return [Array<Symbol>] the steps and nested pipelines whose outputs it gets
    attr_reader :depends_on
    # @return [#call, Class] the object that is called, or the class whose instances are
    attr_reader :callable
    # @return [Hash{Symbol => Object}] the options of {Definition::Options::STEP} that it was given, without +depends_on+
    attr_reader :options
    # @return [Symbol, nil] the nested pipeline it belongs to
    attr_reader :group

    class << self
      # Declares options for the steps that use this class, or returns the declared ones, inherited ones included.
      # @param declared [Hash] the options of {Definition::Options::STEP}
      # @return [Hash{Symbol => Object}]
      def options(**declared)
        @options = (@options || {}).merge(declared)
        inherited = equal?(Step) ? {} : superclass.options
        inherited.merge(@options)
      end

      # @return [Hash{Symbol => Object}] the options that the class of a callable declares
      # @api private
      def declared(callable)
        return NONE if callable.nil? || callable.is_a?(Proc)

        type = callable.is_a?(Class) ? callable : callable.class
        type < Step ? type.options : NONE
      end

      # Builds a step as {#initialize} does, without copying the options.
      # @param options [Hash] becomes the step's own
      # @param location [Thread::Backtrace::Location, nil]
      # @return [Step]
      # @api private
      def declare(name, callable, block, options, location)
        step = allocate
        step.__send__(:assign, name, callable, block, options, location)
        step.freeze
      end
    end

    # @param name [Symbol, String]
    # @param callable [#call, Class, nil] a lambda, a Method, an object with +call+, or a class that has +call+ or
    #   whose instances have it; or give a block
    # @param location [String, nil] its source location as +file:line+, for messages
    # @param options [Hash] the options of {Definition::Options::STEP}
    # @raise [DefinitionError] lists every mistake
    # @example
    #   Flowline::Step.new(:double) { |n| n * 2 }.call(21) # => 42
    def initialize(name = nil, callable = nil, location = nil, **options, &block)
      derived = !instance_of?(Step)
      name ||= self.class.name || :step if derived
      assign(name, callable, block, options, location)
      freeze unless derived
    end

    # @return [Array<Symbol>] the same as {#depends_on}, by the names that its own pipeline had for them when it was
    #   defined
    def labels
      @labels || depends_on
    end

    # @return [String, nil] its source location as +file:line+
    def location
      @line ? -"#{@path}:#{@line}" : @path
    end

    # @return [String, nil] the file of its source location
    # @api private
    def file
      @line ? @path : @path&.[](/\A(.+):\d+\z/, 1)
    end

    # Calls the callable directly, outside any run.
    # @return [Object] the return value of the callable
    def call(...)
      return callable.call(...) if callable.respond_to?(:call)

      callable.new.call(...)
    end

    # @return [String, nil] its purpose
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

    # @return [Symbol, nil] the dependency whose items it is called for, by its name in {#labels}
    def each
      options[:each] && Name.of(options[:each])
    end

    # @return [Boolean] whether it still runs after the run was stopped: it is a step that always runs, or one of a nested
    #   pipeline that does
    # @api private
    def outlasts_stop?
      @lasting || options[:run_if] == :always
    end

    # @return [Boolean] whether a nested pipeline that always runs is the reason
    # @api private
    def lasting?
      @lasting == true
    end

    # @return [Array(Symbol, String), nil] the nested pipeline and the source location of the +depends_on:+ from which it has its
    #   dependencies, if it has none of its own
    # @api private
    attr_reader :wired

    # @return [String, nil] the source location of the +include+ or the nesting that brought it into its pipeline
    # @api private
    attr_reader :origin

    # Returns the step as part of another pipeline. It still gets its inputs by the names in {#labels}.
    # @yieldparam name [Symbol] its own name, then each dependency's
    # @yieldreturn [Symbol] the name in the other pipeline
    # @param wiring [Array<Symbol>] its dependencies, if it has none
    # @param group [Definition::Group, nil] the nested pipeline that it becomes part of
    # @param origin [String, nil] where
    # @return [Step]
    # @api private
    def placed(wiring: [], group: nil, origin: nil)
      copy = dup
      copy.instance_exec do
        @name = yield @name
        known = depends_on
        @labels = labels.empty? ? wiring : labels
        @depends_on = known.map { |dependency| yield dependency }.freeze
        @wired = [yield(@wired.first), @wired.last].freeze if @wired&.first
        wire(wiring, group, origin) if known.empty?
        @group = @group ? yield(@group) : group&.name
        @origin = origin if origin
        adopt_options(group, known.empty? || known == @depends_on) if group
        freeze
      end
    end

    # Dumps the step for other processes, without its callable and without options that are callables.
    # @return [Array] what {#marshal_load} takes
    # @api private
    def marshal_dump
      [name, depends_on, labels, options.select { |_, value| Error::Portable.dumps?(value) }, group, location]
    end

    # @param facts [Array]
    # @return [void]
    # @api private
    def marshal_load(facts)
      @name, @depends_on, @labels, @options, @group, @path = facts
      freeze
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{Name.show(name)}#{" depends_on #{depends_on.map { |d| Name.show(d) }.join(", ")}" unless depends_on.empty?}>"
    end

    private

    def wire(wiring, group, origin)
      @depends_on = wiring
      @wired = [group&.name, origin].freeze unless wiring.empty?
    end

    # Adopts the options of the nested pipeline that it becomes part of.
    # @param root [Boolean] whether it depends on no other step of it
    def adopt_options(group, root)
      adopted = group.options.slice(:optional, *(:run_if if root))
      @options = options.merge(adopted).freeze unless adopted.empty?
      @lasting = true if group.lasting?
    end

    # Sets the attributes. Most steps have no options but +depends_on+, so these share one empty Hash.
    def assign(name, callable, block, options, location)
      @name = Name.of(name)
      @callable = block || callable || (self unless instance_of?(Step))
      locate(location)
      declared = Step.declared(callable)
      options = declared.merge(options) unless declared.empty?
      check(callable, block, options) unless plain?(callable, block, options)
      @depends_on = dependencies(options.delete(:depends_on), options[:each])
      @options = options.empty? ? NONE : own(options)
    end

    # Copies Arrays, Hashes and Strings, which the user may change later.
    def own(options)
      options.each { |option, value| options[option] = Definition::Frozen.copy(value) unless Symbol === value || Integer === value }
      options.freeze
    end

    # Stores the source location as path and line. All locations in a file share one path String, so a step needs no String
    # of its own.
    def locate(location)
      return @path = location unless location.is_a?(Thread::Backtrace::Location)

      @path = location.path
      @line = location.lineno
    end

    def dependencies(given, each)
      return NOTHING if given.nil? && each.nil?

      (each ? Name.list(given) | [Name.of(each)] : Name.list(given)).freeze
    end

    # Returns whether the step is a block with valid options, as most steps are.
    def plain?(positional, block, options)
      return false if (positional && block) || !called_as_is?

      options.empty? || (Definition::Options.accept?(Definition::Options::STEP, options) && needless(options).empty?)
    end

    def called_as_is?
      callable.is_a?(Proc) || callable.is_a?(Definition::BoundBlock)
    end

    def check(positional, block, options)
      sentences = Definition::Options.problems(Definition::Options::STEP, options) { owner }
      needless(options).each { |partner, found| sentences << "#{owner}: #{found.map { |option| "#{option}:" }.join(" and ")} #{WITHOUT[partner]}" }
      sentences << "#{owner}: give either a block or a callable, not both" if positional && block
      nothing = callable_problem unless called_as_is?
      sentences << "#{owner} #{nothing}" if nothing
      DefinitionError.check(sentences.map { |sentence| DefinitionError.new(sentence, location: location) }) unless sentences.empty?
    end

    # Returns the options that mean nothing without another one, by that one.
    def needless(options)
      found = NONE
      options.each_key do |option|
        partner = PARTNERS[option]
        found = found.merge(partner => [*found[partner], option]) if partner && !options[partner]
      end
      continue = options[:each] && options[:max_failures] && options[:on_item_error] != :continue
      continue ? found.merge(continue: [:max_failures]) : found
    end

    def owner
      "step #{Name.show(name)}"
    end

    # Returns whether a Step that is called itself, or a class of steps, has no `call` but ours.
    def lacks_call?(entry)
      entry.owner == Step && (callable.is_a?(Class) || callable.equal?(self))
    end

    def callable_problem
      return "has nothing to call; give it a block or an object with `call`" if callable.nil?

      entry = Arguments::Signature.entry(callable)
      return "cannot call #{callable.inspect[0, 60]}; it needs a method `call`" unless entry
      return "has nothing to call; #{callable.is_a?(Class) ? callable : self.class} needs a `call` of its own" if lacks_call?(entry)
      return unless entry.is_a?(UnboundMethod)

      needed = callable.instance_method(:initialize).parameters.any? { |kind, _| %i[req keyreq].include?(kind) }
      "cannot make #{TypeHints.one(callable.to_s)}: its initialize needs arguments; pass an instance instead" if needed
    end
  end
end
