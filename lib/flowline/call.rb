# frozen_string_literal: true

module Flowline
  # A callable with its binding, ready to be called once its dependencies have ended.
  # @api private
  class Call
    ANY = %i[any block_any].freeze
    NONE = {}.freeze
    private_constant :ANY, :NONE

    # @param callable [Object]
    # @param signature [Signature]
    # @param binding [Binding]
    # @param sources [Hash{Symbol => Integer, Hash}] where the output of each dependency is
    def initialize(callable, signature, binding, sources)
      rebound = callable.is_a?(Rebound)
      @callable = rebound ? callable.block : callable
      @receiver = callable.receiver if rebound
      @sources = binding.positional.map { |source| compile(source, sources) }
      @keywords = NONE
      @shape = shape(rebound, signature.spread? || !binding.keywords.empty?)
      prepare(signature, binding, sources) if ANY.include?(@shape)
      @sources = @sources.first unless ANY.include?(@shape)
      freeze
    end

    # Calls it. The frequent shapes are written out: they build no argument list.
    # @param outputs [Array] by step
    # @param context [Context]
    # @param item [Object] the item, if it is called for each
    # @return [Object] what the callable returns
    def call(outputs, context, item = nil)
      case @shape
      when :block_none then @receiver.instance_exec(&@callable)
      when :block_output then @receiver.instance_exec(outputs[@sources], &@callable)
      when :none then @callable.call
      when :output then @callable.call(outputs[@sources])
      else call_any(outputs, context, item)
      end
    end

    # Returns what it is called with, to be digested: of the context, every value the user supplied. Each argument says
    # whether it is the context, because a value may look like the content of one.
    # @param input [Boolean] whether the run is given an +input:+
    # @return [Array] positional arguments and keywords
    def facts(outputs, context, item = nil, input: false)
      supplied = ->(value) { value.equal?(context) ? [:context, input, *context.supplied] : [:value, value] }
      [positional(outputs, context, item).map(&supplied), keywords(outputs, context).transform_values(&supplied)]
    end

    # @return [Array<Integer>] the steps whose outputs it takes
    def inputs(source = [@sources, @keywords])
      case source
      when Integer then [source]
      when Array then source.flat_map { |inner| inputs(inner) }
      when Hash then inputs(source.values)
      else []
      end
    end

    private

    def positional(outputs, context, item)
      Array(@sources).map { |source| source == :item ? item : value(source, outputs, context) }
    end

    def keywords(outputs, context)
      @keywords.transform_values { |source| value(source, outputs, context) }
    end

    # What kind of call this is; most are one of four, of one source at most.
    def shape(rebound, special)
      simple = !special && @sources.size < 2 && (@sources.empty? || @sources.first.is_a?(Integer)) && callable_itself?
      return rebound ? :block_any : :any unless simple

      if @sources.empty?
        rebound ? :block_none : :none
      else
        rebound ? :block_output : :output
      end
    end

    def callable_itself?
      !@callable.is_a?(Class) || @callable.respond_to?(:call)
    end

    def prepare(signature, binding, sources)
      @keywords = binding.keywords.transform_values { |source| compile(source, sources) }
      @wrap = signature.spread? && @sources.one? && @keywords.empty? # Beside keywords Ruby spreads nothing.
    end

    # No keywords are not the same as empty ones: beside those, Ruby 3.1 spreads some Arrays and some not.
    def call_any(outputs, context, item)
      arguments = positional(outputs, context, item)
      arguments = [arguments] if @wrap
      keywords = keywords(outputs, context)
      return @receiver.instance_exec(*arguments, **keywords, &@callable) if @shape == :block_any

      callable = callable_itself? ? @callable : @callable.new
      keywords.empty? ? callable.call(*arguments) : callable.call(*arguments, **keywords)
    end

    # An Integer is a step, a Hash several by name, the rest what the context has.
    def compile(source, sources)
      case source
      when Symbol then sources.fetch(source)
      when Binding::Outputs then source.names.to_h { |name| [name, sources.fetch(name)] }
      when Binding::Parameter then source
      else source.first
      end
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
  end
end
