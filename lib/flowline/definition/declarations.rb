# frozen_string_literal: true

module Flowline
  class Definition
    # The declarations in the bodies of a pipeline class, in their order. They are applied when the pipeline is first used.
    #
    # A class may be reopened, and then has the declarations of all of its bodies. A file that is loaded again is something
    # else: its declarations replace those that it had before. Such a file is recognised by its first declaration of a name,
    # which is there already, with the same source location.
    # @api private
    class Declarations
      # The words whose first argument is a name.
      NAMED = %i[step param pool].to_h { |word| [word, true] }.freeze
      Call = Struct.new(:word, :args, :options, :block, :location)
      private_constant :NAMED, :Call

      # @param owner [Class] the pipeline class
      def initialize(owner)
        @owner = owner
        @lock = Mutex.new
        @calls = []
        @firsts = {} # By file, what identifies its first declaration of a name.
      end

      # @param word [Symbol]
      # @param args [Array]
      # @param options [Hash]
      # @param block [Proc, nil]
      # @return [Object] the name that is declared, or the class
      def add(word, args, options, block)
        location = SourceLocation.of_caller
        again = NAMED.key?(word) && again?([word, args.first, location&.lineno], file(location))
        @calls = @calls.reject { |call| file(call.location) == file(location) } if again
        @calls = [*@calls, Call.new(word, args, options, block, location)].freeze # Another thread may be building the pipeline.
        @pipeline = nil
        Pipeline.announce(@owner) if again
        NAMED.key?(word) ? args.first : @owner
      end

      # @return [Pipeline] built by the first thread that needs it
      # @raise [DefinitionError]
      def pipeline
        return @pipeline if @pipeline
        raise DefinitionError, "#{@owner.inspect} includes or nests itself" if @lock.owned?

        @lock.synchronize { @pipeline ||= build }
      end

      private

      def build
        definition = Definition.new(name: @owner.name)
        definition.source_location = Object.const_source_location(@owner.name) if @owner.name
        definition.inherit(@owner.superclass.pipeline) if @owner.superclass < Pipeline
        @calls.each do |call|
          definition.declared_at(call.location) { definition.public_send(call.word, *call.args, **call.options, &call.block) }
        end
        Pipeline.build(definition, owner: @owner)
      end

      def file(location)
        location&.absolute_path || location&.path
      end

      def again?(declaration, path)
        return true if @firsts[path] == declaration

        @firsts[path] ||= declaration
        false
      end
    end
  end
end
