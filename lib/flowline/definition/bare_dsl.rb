# frozen_string_literal: true

module Flowline
  class Definition
    # The +self+ of a bare definition block: it has the words of a {Definition}, and every method of the +self+ around
    # the definition. It has no other methods of its own, so that none of the user's methods is hidden.
    # @api private
    class BareDsl
      # def param(...) = @definition.param(...)
      (WORDS - [:step]).each { |word| class_eval("def #{word}(...) = @definition.#{word}(...)", __FILE__, __LINE__) }

      # @param definition [Definition] receives the words
      # @param receiver [Object] the +self+ around the definition
      def initialize(definition, receiver)
        @definition = definition
        @receiver = receiver
      end

      # @return [Symbol] see {Dsl#step}
      def step(name, callable = nil, **options, &block)
        @definition.add_step(name, callable, options, block, SourceLocation.of_caller)
      end

      # @return [Method] of the +self+ around the definition, if it has it
      def method(name)
        @receiver.respond_to?(name, true) ? @receiver.method(name) : super
      end

      # Binds a block that was written in the bare form to the +self+ around it.
      # @return [Object] a {BoundBlock}, or any other callable as it is
      def bind(callable)
        return callable unless callable.is_a?(Proc) && equal?(callable.binding.receiver)

        BoundBlock.new(@receiver, callable)
      rescue ArgumentError # Procs made in C, such as &:symbol, have no binding and no self.
        callable
      end

      private

      def method_missing(word, ...)
        return @receiver.__send__(word, ...) if @receiver.respond_to?(word, true)

        sentence = "#{word} is not a word of a definition#{Name.suggest(word, WORDS)}"
        Error.raise_at_caller(DefinitionError.new(sentence, place: SourceLocation.of_caller_as_text))
      end

      def respond_to_missing?(word, _private = false)
        @receiver.respond_to?(word, true)
      end
    end
  end
end
