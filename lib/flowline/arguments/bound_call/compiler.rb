# frozen_string_literal: true

module Flowline
  module Arguments
    class BoundCall
      # Builds calls: it chooses the class for the shape of a callable.
      # @api private
      module Compiler
        class << self
          # @param callable [Object]
          # @param signature [Signature]
          # @param binding [Binding]
          # @param sources [Hash{Symbol => Integer, Hash}] by dependency, the source of its output
          # @return [BoundCall]
          def of(callable, signature, binding, sources)
            positional = binding.positional.map { |source| compile(source, sources) }
            keywords = binding.keywords.transform_values { |source| compile(source, sources) }
            simple = positional.size < 2 && !signature.spread? && keywords.empty? && !BoundCall.to_instantiate?(callable) && positional.first != :item
            return BoundCall.new(callable, positional, keywords, signature.spread?) unless simple

            positional.empty? ? without_arguments(callable) : with_value(callable, positional.first)
          end

          # Builds the call of a block that declares nothing, one parameter for each of its dependencies, or one for all of
          # them, without a {Signature} and a {Binding}: most steps are such blocks.
          # @param step [Step]
          # @param index [Hash{Symbol => Integer}] the position of each step
          # @return [BoundCall, nil] nil if it needs a closer look
          def of_block(step, index)
            callable = step.callable
            block = callable.is_a?(Definition::BoundBlock) ? callable.block : callable
            return unless block.is_a?(Proc)

            parameters = block.parameters
            return without_arguments(callable) if parameters.empty?

            of_values(callable, step, index, parameters.size) if !step.depends_on.empty? && values?(parameters, block)
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

          def with_outputs(callable, positional)
            return WithOutputs.new(callable, positional) unless callable.is_a?(Definition::BoundBlock)

            BoundWithOutputs.new(callable.receiver, callable.block, positional)
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

            with_outputs(callable, dependencies.map { |name| index[name] }) if count == dependencies.size
          end

          # @return [Hash{Symbol => Integer}, nil] nil if one of the dependencies is not a step
          def by_name(labels, dependencies, index)
            named = {}
            labels.each_with_index { |label, at| named[label] = index[dependencies[at]] || (return nil) }
            named
          end

          # Returns whether all parameters are positional and required, and none is the context. A block reports all of its
          # parameters as optional.
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
      end
    end
  end
end
