# frozen_string_literal: true

module Flowline
  # A callable with its binding, ready to be called once its dependencies have ended.
  # @api private
  class Call
    NONE = {}.freeze
    private_constant :NONE

    # @param callable [Object]
    # @param signature [Signature]
    # @param binding [Binding]
    # @param sources [Hash{Symbol => Integer, Hash}] where the output of each dependency is
    def initialize(callable, signature, binding, sources)
      @positional = binding.positional.map { |source| compile(source, sources) }
      @keywords = binding.keywords.empty? ? NONE : binding.keywords.transform_values { |source| compile(source, sources) }
      @wrap = signature.spread? && @positional.one? && @keywords.empty? # Beside keywords Ruby spreads nothing.
      @rebound = callable.is_a?(Rebound)
      @receiver = callable.receiver if @rebound
      @callable = @rebound ? callable.block : callable
      @fresh = callable.is_a?(Class) && !callable.respond_to?(:call)
      @only = @positional.first
      @shape = shape
      freeze
    end

    # Calls it. The frequent shapes are written out: they build no argument list.
    # @param outputs [Array] by step
    # @param context [Context]
    # @return [Object] what the callable returns
    def call(outputs, context)
      case @shape
      when :block_none then @receiver.instance_exec(&@callable)
      when :block_output then @receiver.instance_exec(outputs[@only], &@callable)
      when :none then @callable.call
      when :output then @callable.call(outputs[@only])
      else call_with(arguments(outputs, context), keywords(outputs, context))
      end
    end

    private

    # What kind of call this is; most are one of four.
    def shape
      return :any if @fresh || @wrap || !@keywords.empty? || @positional.size > 1
      return :any unless @positional.empty? || @only.is_a?(Integer)

      if @positional.empty?
        @rebound ? :block_none : :none
      else
        @rebound ? :block_output : :output
      end
    end

    def arguments(outputs, context)
      arguments = @positional.map { |source| value(source, outputs, context) }
      @wrap ? [arguments] : arguments
    end

    def keywords(outputs, context)
      @keywords.transform_values { |source| value(source, outputs, context) }
    end

    # No keywords are not the same as empty ones: beside those, Ruby 3.1 spreads some Arrays and some not.
    def call_with(arguments, keywords)
      return @receiver.instance_exec(*arguments, **keywords, &@callable) if @rebound

      callable = @fresh ? @callable.new : @callable
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
