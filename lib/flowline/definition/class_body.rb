# frozen_string_literal: true

module Flowline
  class Definition
    # Pipelines as classes: a class body has the words of a {Definition}, and the class has the methods of its pipeline.
    module ClassBody
      # @!parse
      #   # The same words as in a block.
      #   delegate :step, :param, :pool, :defaults, :options, to: Definition
      (WORDS - [:include]).each do |word|
        define_method(word) do |*args, **options, &block|
          @pipeline = nil
          definition.public_send(word, *args, **options, &block)
        end
      end

      # Includes a pipeline's steps and params, or an ordinary module.
      # @param others [Array<Pipeline, Class, Module>]
      # @param options [Hash] as for {Dsl#include}
      # @return [self]
      def include(*others, **options)
        return super(*others) unless others.one? && Pipeline.from(others.first)

        @pipeline = nil
        definition.include(others.first, **options)
        self
      end

      # @return [Pipeline] the pipeline that the class stands for
      # @raise [DefinitionError] lists every mistake that no including pipeline can correct
      def pipeline
        @pipeline ||= Pipeline.build(definition)
      end

      %i[run run! start validate! problems dag steps params pools].each do |name|
        define_method(name) { |**arguments| pipeline.public_send(name, **arguments) }
      end

      # Reports the new class to an observer of definitions.
      # @api private
      def inherited(subclass)
        super
        Pipeline.announce(subclass)
      end

      private

      def definition
        @definition ||= Definition.new(name: name).tap do |own|
          own.place = Object.const_source_location(name) if name
          own.inherit(superclass.pipeline) if superclass < Pipeline
        end
      end
    end
  end
end
