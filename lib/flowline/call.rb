# frozen_string_literal: true

module Flowline
  # A callable with the sources of its arguments, ready to be called once its dependencies have ended.
  #
  # A source is an Integer (the output of a step), a Hash (several outputs by name), +:context+, +:input+, +:item+ or a
  # {Binding::Parameter}. Most callables take nothing, the output of one step, or one other value. Each of these shapes
  # has a class, and another one for blocks of the bare form. They build no argument list, and have at most three
  # instance variables, because Ruby embeds so many in the object.
  # @api private
  class Call
    NONE = {}.freeze
    NOTHING = [].freeze
    private_constant :NONE, :NOTHING

    class << self
      # @param callable [Object]
      # @param signature [Signature]
      # @param binding [Binding]
      # @param sources [Hash{Symbol => Integer, Hash}] by dependency, the source of its output
      # @return [Call]
      def of(callable, signature, binding, sources)
        positional = binding.positional.map { |source| compile(source, sources) }
        keywords = binding.keywords.transform_values { |source| compile(source, sources) }
        simple = positional.size < 2 && !signature.spread? && keywords.empty? && !to_instantiate?(callable) && positional.first != :item
        return new(callable, positional, keywords, signature.spread?) unless simple

        positional.empty? ? without_arguments(callable) : with_value(callable, positional.first)
      end

      # Builds the call of a block that declares nothing, one parameter for each of its dependencies, or one for all of
      # them, without a {Signature} and a {Binding}: most steps are such blocks.
      # @param step [Step]
      # @param index [Hash{Symbol => Integer}] the position of each step
      # @return [Call, nil] nil if it needs a closer look
      def of_block(step, index)
        callable = step.callable
        block = callable.is_a?(Definition::BoundBlock) ? callable.block : callable
        return unless block.is_a?(Proc)

        parameters = block.parameters
        return without_arguments(callable) if parameters.empty?

        of_values(callable, step, index, parameters.size) if !step.depends_on.empty? && values?(parameters, block)
      end

      # @return [Boolean] whether each call makes an instance of a class and calls that
      def to_instantiate?(callable)
        callable.is_a?(Class) && !callable.respond_to?(:call)
      end

      private

      def without_arguments(callable)
        return WithoutArguments.new(callable) unless callable.is_a?(Definition::BoundBlock)

        BoundWithoutArguments.new(callable.receiver, callable.block)
      end

      def with_value(callable, source)
        output = source.is_a?(Integer)
        return (output ? WithOutput : WithValue).new(callable, source) unless callable.is_a?(Definition::BoundBlock)

        (output ? BoundWithOutput : BoundWithValue).new(callable.receiver, callable.block, source)
      end

      # @param count [Integer] of required positional parameters
      def of_values(callable, step, index, count)
        dependencies = step.depends_on
        if dependencies.size == 1
          source = index[dependencies.first]
          return (with_value(callable, source) if source && count == 1)
        end

        named = by_name(step.labels, dependencies, index) or return
        return with_value(callable, named) if count == 1

        new(callable, dependencies.map { |name| index[name] }, NONE, false) if count == dependencies.size
      end

      # @return [Hash{Symbol => Integer}, nil] nil if one of the dependencies is not a step
      def by_name(labels, dependencies, index)
        named = {}
        labels.each_with_index { |label, at| named[label] = index[dependencies[at]] || (return nil) }
        named
      end

      # Are all parameters positional and required, and none of them the context? A block calls all of its own optional.
      def values?(parameters, block)
        required = block.arity == parameters.size
        parameters.all? { |kind, name| (kind == :req || (kind == :opt && required)) && name != :ctx && name != :context }
      end

      def compile(source, sources)
        case source
        when Symbol then sources.fetch(source)
        when Binding::Outputs then source.names.to_h { |name| [name, sources.fetch(name)] }
        when Binding::Parameter then source
        else source.first
        end
      end
    end

    # @param callable [Object]
    # @param positional [Array] the sources of the positional arguments
    # @param keywords [Hash{Symbol => Object}] the sources of the keywords
    # @param spread [Boolean] whether Ruby spreads a sole Array over the parameters
    def initialize(callable, positional, keywords, spread)
      @callable = callable
      @positional = positional
      @keywords = keywords
      @bound = callable.is_a?(Definition::BoundBlock)
      @wrap = spread && positional.one? && keywords.empty? # Ruby spreads nothing when there are keywords, too.
      freeze
    end

    # Calls the callable.
    #
    # No keywords are not the same as empty ones: with those, Ruby 3.1 spreads some Arrays and some not.
    # @param outputs [Array<Object>] by step
    # @param context [Context]
    # @param item [Object] the item, if the step is called for each
    # @return [Object] the return value of the callable
    def call(outputs, context, item = nil)
      arguments = arguments(outputs, context, item)
      arguments = [arguments] if @wrap
      keywords = keyword_arguments(outputs, context)
      return @callable.receiver.instance_exec(*arguments, **keywords, &@callable.block) if @bound

      callable = Call.to_instantiate?(@callable) ? @callable.new : @callable
      keywords.empty? ? callable.call(*arguments) : callable.call(*arguments, **keywords)
    end

    # Returns the arguments, for digests: instead of the context, every value that the user supplied. Each argument says
    # whether it is the context, because a value may look like the content of one.
    # @param input [Boolean] whether the run has an +input:+
    # @return [Array] positional arguments and keywords
    def facts(outputs, context, item = nil, input: false)
      supplied = ->(value) { value.equal?(context) ? [:context, input, *context.supplied] : [:value, value] }
      [arguments(outputs, context, item).map(&supplied), keyword_arguments(outputs, context).transform_values(&supplied)]
    end

    # @return [Array<Integer>] the steps whose outputs it takes
    def inputs(source = [positional, keywords])
      case source
      when Integer then [source]
      when Array then source.flat_map { |inner| inputs(inner) }
      when Hash then inputs(source.values)
      else []
      end
    end

    private

    attr_reader :positional, :keywords

    def arguments(outputs, context, item)
      positional.map { |source| source == :item ? item : value(source, outputs, context) }
    end

    def keyword_arguments(outputs, context)
      return NONE if keywords.empty?

      keywords.transform_values { |source| value(source, outputs, context) }
    end

    def value(source, outputs, context)
      case source
      when Integer then outputs[source]
      when Hash then source.transform_values { |inner| value(inner, outputs, context) }
      when :context then context
      when :input then context.input
      else context.params[source.name]
      end
    end

    # The call of a callable that takes nothing.
    # @api private
    class WithoutArguments < self
      def initialize(callable) # rubocop:disable Lint/MissingSuper -- it has fewer instance variables
        @callable = callable
        freeze
      end

      # @return [Object] see {Call#call}
      def call(_outputs, _context, _item = nil)
        @callable.call
      end

      private

      def positional = NOTHING
      def keywords = NONE
    end

    # The call of a callable that takes one value: several outputs, the context, the input or a param.
    # @api private
    class WithValue < self
      def initialize(callable, source) # rubocop:disable Lint/MissingSuper -- it has fewer instance variables
        @callable = callable
        @source = source
        freeze
      end

      # @return [Object] see {Call#call}
      def call(outputs, context, _item = nil)
        @callable.call(value(@source, outputs, context))
      end

      private

      def positional = [@source]
      def keywords = NONE
    end

    # The call of a callable that takes the output of one step.
    # @api private
    class WithOutput < WithValue
      # @return [Object] see {Call#call}
      def call(outputs, _context, _item = nil)
        @callable.call(outputs[@source])
      end
    end

    # {WithoutArguments} for a block of the bare form.
    # @api private
    class BoundWithoutArguments < WithoutArguments
      def initialize(receiver, block)
        @receiver = receiver
        super(block)
      end

      # @return [Object] see {Call#call}
      def call(_outputs, _context, _item = nil)
        @receiver.instance_exec(&@callable)
      end
    end

    # {WithValue} for a block of the bare form.
    # @api private
    class BoundWithValue < WithValue
      def initialize(receiver, block, source)
        @receiver = receiver
        super(block, source)
      end

      # @return [Object] see {Call#call}
      def call(outputs, context, _item = nil)
        @receiver.instance_exec(value(@source, outputs, context), &@callable)
      end
    end

    # {WithOutput} for a block of the bare form.
    # @api private
    class BoundWithOutput < BoundWithValue
      # @return [Object] see {Call#call}
      def call(outputs, _context, _item = nil)
        @receiver.instance_exec(outputs[@source], &@callable)
      end
    end
  end
end
