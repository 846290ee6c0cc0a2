# frozen_string_literal: true

module Flowline
  class Definition
    # Pipelines as classes: a class body has the words of a {Definition}, and the class has the methods of its pipeline.
    #
    # A class may be reopened. A file that is loaded again replaces what it declared before, as Ruby replaces methods.
    module ClassBody
      # @!parse
      #   # The same words as in a block.
      #   delegate :step, :param, :pool, :defaults, :options, to: Definition
      (WORDS - [:include]).each do |word|
        define_method(word) do |*args, **options, &block|
          declarations.add(word, args, options, block)
        end
      end

      # Includes a pipeline's steps and params, or an ordinary module.
      # @param others [Array<Pipeline, Class, Module>]
      # @param options [Hash] as for {Dsl#include}
      # @return [self]
      def include(*others, **options)
        return super(*others) unless others.one? && Pipeline.part?(others.first)

        declarations.add(:include, others, options, nil)
      end

      # Returns the pipeline that the class stands for. It is built when it is first needed, by one thread.
      # @return [Pipeline]
      # @raise [DefinitionError] lists every mistake that no including pipeline can correct
      def pipeline
        Caller.may_define
        declarations.pipeline
      end

      %i[run run! start validate! problems dag steps params pools].each do |name|
        # def run(**arguments) = pipeline.run(**arguments)
        class_eval("def #{name}(**arguments) = pipeline.#{name}(**arguments)", __FILE__, __LINE__)
      end

      # Reports the new class to an observer of definitions.
      # @api private
      def inherited(subclass)
        super
        subclass.instance_exec { @declarations = Declarations.new(self) }
        Pipeline.announce(subclass)
      end

      private

      def declarations
        return @declarations if @declarations

        sentence = "declarations belong in the body of a class of your own, as in `class Import < Flowline::Pipeline`"
        Error.raise_at_caller(DefinitionError.new(sentence, location: SourceLocation.of_caller_as_text))
      end
    end
  end
end
