# frozen_string_literal: true

module Flowline
  # The +self+ of a bare definition block: the words of a {Definition}, and all that the +self+ around it
  # knows. Nothing else, so that the user's own helpers are not shadowed.
  # @api private
  class Words
    # def step(...) = @definition.step(...)
    Definition::WORDS.each { |word| class_eval("def #{word}(...) = @definition.#{word}(...)", __FILE__, __LINE__) }

    # @param definition [Definition] where the words write
    # @param receiver [Object] the +self+ around the definition
    def initialize(definition, receiver)
      @definition = definition
      @receiver = receiver
    end

    # @return [Method] of the +self+ around the definition, if it has it
    def method(name)
      @receiver.respond_to?(name, true) ? @receiver.method(name) : super
    end

    # Makes a callable that was written in the bare block see the +self+ around it.
    # @return [Object] the callable, rebound if it must be
    def rebind(callable)
      return callable unless callable.is_a?(Proc) && equal?(callable.binding.receiver)

      Rebound.new(@receiver, callable)
    rescue ArgumentError # Procs made in C, such as &:symbol, have no binding and no self to mind.
      callable
    end

    private

    def method_missing(word, ...)
      return @receiver.__send__(word, ...) if @receiver.respond_to?(word, true)

      sentence = "#{word} is not a word of a definition#{Name.suggest(word, Definition::WORDS)}"
      Error.raise_at_caller(DefinitionError.new(sentence, place: Definition.place))
    end

    def respond_to_missing?(word, _private = false)
      @receiver.respond_to?(word, true)
    end
  end
end
