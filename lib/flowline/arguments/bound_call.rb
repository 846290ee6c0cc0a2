# frozen_string_literal: true

module Flowline
  module Arguments
    # A callable with the sources of its arguments, ready to be called once its dependencies have ended.
    #
    # A source is an Integer (the output of a step), a Hash (several outputs by name), +:context+, +:input+, +:item+ or a
    # {Binding::Parameter}. Most callables take nothing, outputs of steps, or one other value. Each of these shapes has a
    # class, and another one for blocks of the bare form. They have at most three instance variables, because Ruby embeds so
    # many in the object.
    # @api private
    class BoundCall
      # An empty set of keywords.
      NONE = {}.freeze
      NOTHING = [].freeze
      private_constant :NOTHING

      # @return [Boolean] whether each call creates an instance of a class and calls that
      def self.to_instantiate?(callable)
        callable.is_a?(Class) && !callable.respond_to?(:call)
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
      # An empty Hash of keywords is not the same as no keywords: with it, Ruby 3.1 spreads some Arrays and others not.
      # @param outputs [Array<Object>] by step
      # @param context [Context]
      # @param item [Object] the item, if the step is called for each
      # @return [Object] the return value of the callable
      def call(outputs, context, item = nil)
        arguments = arguments(outputs, context, item)
        arguments = [arguments] if @wrap
        keywords = keyword_arguments(outputs, context)
        return @callable.receiver.instance_exec(*arguments, **keywords, &@callable.block) if @bound

        callable = BoundCall.to_instantiate?(@callable) ? @callable.new : @callable
        keywords.empty? ? callable.call(*arguments) : callable.call(*arguments, **keywords)
      end

      # Returns the arguments, for digests: for each the position or keyword, the source, and the value. Instead of the context it
      # has every value that the user supplied. Each value says whether it is the context, because one may look like its content.
      # @param input [Boolean] whether the run has an +input:+
      # @return [Array<Array(Object, Object, Array)>]
      def facts(outputs, context, item = nil, input: false)
        given = [*arguments(outputs, context, item), *keyword_arguments(outputs, context).values]
        targets.zip(sources, given).map do |target, source, value|
          [target, source, value.equal?(context) ? [:context, input, *context.supplied] : [:value, value]]
        end
      end

      # @return [Array] where its arguments are from
      def sources
        [*positional, *keywords.values]
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

      # @return [Boolean] whether it takes the context
      def takes_context?
        positional.include?(:context) || keywords.value?(:context)
      end

      # @return [Boolean] whether it takes the run's input
      def takes_input?
        positional.include?(:input)
      end

      private

      attr_reader :positional, :keywords

      def targets
        [*positional.each_index, *keywords.keys]
      end

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

        # @return [Object] see {BoundCall#call}
        def call(_outputs, _context, _item = nil)
          @callable.call
        end

        # @return [Array] see {BoundCall#facts}
        def facts(_outputs, _context, _item = nil, input: false) = NOTHING # rubocop:disable Lint/UnusedMethodArgument -- see {BoundCall#facts}

        # @return [Array] see {BoundCall#sources}
        def sources = NOTHING

        # @return [Boolean] see {BoundCall#takes_context?}
        def takes_context? = false

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

        # @return [Object] see {BoundCall#call}
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
        # @return [Object] see {BoundCall#call}
        def call(outputs, _context, _item = nil)
          @callable.call(outputs[@source])
        end

        # @return [Boolean] see {BoundCall#takes_context?}
        def takes_context? = false
      end

      # The call of a callable that takes the outputs of several steps.
      # @api private
      class WithOutputs < self
        def initialize(callable, positional) # rubocop:disable Lint/MissingSuper -- it has fewer instance variables
          @callable = callable
          @positional = positional
          freeze
        end

        # @return [Object] see {BoundCall#call}
        def call(outputs, _context, _item = nil)
          @callable.call(*outputs.values_at(*@positional))
        end

        # @return [Boolean] see {BoundCall#takes_context?}
        def takes_context? = false

        private

        def keywords = NONE
      end

      # {WithoutArguments} for a block of the bare form.
      # @api private
      class BoundWithoutArguments < WithoutArguments
        def initialize(receiver, block)
          @receiver = receiver
          super(block)
        end

        # @return [Object] see {BoundCall#call}
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

        # @return [Object] see {BoundCall#call}
        def call(outputs, context, _item = nil)
          @receiver.instance_exec(value(@source, outputs, context), &@callable)
        end
      end

      # {WithOutput} for a block of the bare form.
      # @api private
      class BoundWithOutput < BoundWithValue
        # @return [Object] see {BoundCall#call}
        def call(outputs, _context, _item = nil)
          @receiver.instance_exec(outputs[@source], &@callable)
        end
      end

      # {WithOutputs} for a block of the bare form.
      # @api private
      class BoundWithOutputs < WithOutputs
        def initialize(receiver, block, positional)
          @receiver = receiver
          super(block, positional)
        end

        # @return [Object] see {BoundCall#call}
        def call(outputs, _context, _item = nil)
          @receiver.instance_exec(*outputs.values_at(*@positional), &@callable)
        end
      end

      # The call of a callable of a nested pipeline with bound params: it gets these.
      # @api private
      class Scoped < self
        # @param call [BoundCall]
        # @param scope [Symbol] the nested pipeline
        def initialize(call, scope) # rubocop:disable Lint/MissingSuper -- it has fewer instance variables
          @call = call
          @scope = scope
          freeze
        end

        # @return [Object] see {BoundCall#call}
        def call(outputs, context, item = nil)
          @call.call(outputs, context.within(@scope), item)
        end

        # @return [Array] see {BoundCall#facts}
        def facts(outputs, context, item = nil, input: false)
          @call.facts(outputs, context.within(@scope), item, input: input)
        end

        # @return [Array] see {BoundCall#sources}
        def sources
          @call.sources
        end

        # @return [Array<Integer>] see {BoundCall#inputs}
        def inputs
          @call.inputs
        end

        # @return [Boolean] see {BoundCall#takes_context?}
        def takes_context?
          @call.takes_context?
        end

        # @return [Boolean] see {BoundCall#takes_input?}
        def takes_input?
          @call.takes_input?
        end
      end
    end
  end
end

require_relative "bound_call/compiler"
