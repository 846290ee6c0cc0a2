# frozen_string_literal: true

module Flowline
  class Definition
    # The +self+ of a bare definition block: it has the words of a {Definition}, and every method and instance variable of the
    # +self+ around the definition. It has no other methods of its own, so that none of the user's methods is hidden.
    #
    # Instance variables belong to an object, so the block works on copies: they are copied here before the block and after each
    # method of the +self+ around it, and copied back after the block and before each of these methods.
    # @api private
    class BareDsl
      # def param(...) = @__definition.param(...)
      (WORDS - [:step]).each { |word| class_eval("def #{word}(...) = @__definition.#{word}(...)", __FILE__, __LINE__) }

      OWN = %i[@__definition @__receiver @__copied].freeze
      KERNEL = %i[instance_variables instance_variable_get instance_variable_set].to_h { |name| [name, ::Kernel.instance_method(name)] }.freeze
      private_constant :OWN, :KERNEL

      # Calls the block of a definition.
      # @param definition [Definition] receives the words
      # @param block [Proc]
      # @return [BareDsl]
      def self.read(definition, block)
        receiver = block.binding.receiver
        bare = new(definition, receiver)
        yield bare
        bare.__send__(:__copy_in)
        begin
          bare.instance_exec(&block)
        ensure
          bare.__send__(:__copy_out)
        end
      end

      # @param definition [Definition] receives the words
      # @param receiver [Object] the +self+ around the definition
      def initialize(definition, receiver)
        @__definition = definition
        @__receiver = receiver
        @__copied = {}
      end

      # @return [Symbol] see {Dsl#step}
      def step(name, callable = nil, **options, &block)
        @__definition.add_step(name, callable, options, block, SourceLocation.of_caller)
      end

      # @return [Method] of the +self+ around the definition, if it has it
      def method(name)
        @__receiver.respond_to?(name, true) ? @__receiver.method(name) : super
      end

      # Binds a block that was written in the bare form to the +self+ around it.
      # @return [Object] a {BoundBlock}, or any other callable as it is
      def bind(callable)
        return callable unless callable.is_a?(Proc) && equal?(callable.binding.receiver)

        BoundBlock.new(@__receiver, callable)
      rescue ArgumentError # Procs made in C, such as &:symbol, have no binding and no self.
        callable
      end

      private

      def method_missing(word, ...)
        return __beyond { @__receiver.__send__(word, ...) } if @__receiver.respond_to?(word, true)

        sentence = "#{word} is not a word of a definition#{Name.suggest(word, WORDS)}"
        Error.raise_at_caller(DefinitionError.new(sentence, location: SourceLocation.of_caller_as_text))
      end

      def respond_to_missing?(word, _private = false)
        @__receiver.respond_to?(word, true)
      end

      def __beyond
        __copy_out
        yield
      ensure
        __copy_in
      end

      def __copy_in
        (KERNEL[:instance_variables].bind_call(@__receiver) - OWN).each do |name| # It may be one of these itself.
          @__copied[name] = value = KERNEL[:instance_variable_get].bind_call(@__receiver, name)
          instance_variable_set(name, value)
        end
      end

      def __copy_out
        (instance_variables - OWN).each do |name|
          value = instance_variable_get(name)
          next if @__copied.key?(name) && value.equal?(@__copied[name])

          @__copied[name] = value
          KERNEL[:instance_variable_set].bind_call(@__receiver, name, value)
        end
      end
    end
  end
end
