# frozen_string_literal: true

module Flowline
  module Arguments
    # The sources of a callable's arguments, resolved from its parameters before anything runs.
    #
    # A source is the name of a dependency, or one of the constants and structs below.
    # @api private
    class Binding
      autoload :Resolution, "#{__dir__}/binding/resolution"

      # The run's context.
      CONTEXT = [:context].freeze
      # An item of a step with +each:+.
      ITEM = [:item].freeze
      # The run's +input:+.
      INPUT = [:input].freeze
      # A param of the run.
      Parameter = Struct.new(:name)
      # Several outputs as one Hash by name.
      Outputs = Struct.new(:names)
      # A parameter without a source. It is +final+ if no including pipeline could provide one.
      Problem = Struct.new(:sentence, :final) do
        # @param option [Symbol, nil] the option of the step whose value the callable is
        # @return [Problem] that names the option
        def of(option)
          option ? Problem.new("#{option}: #{sentence}", final) : self
        end
      end

      CONTEXT_NAMES = %i[ctx context].freeze
      private_constant :CONTEXT_NAMES

      # @return [Array] the sources of the positional arguments
      attr_reader :positional
      # @return [Hash{Symbol => Object}] the sources of the keywords
      attr_reader :keywords
      # @return [Array<Problem>] the mistakes
      attr_reader :problems

      # @param parameters [Array<Array(Symbol, Symbol)>] as {Signature#parameters}
      # @param dependencies [Array<Symbol>]
      # @param params [Array<Symbol>] the pipeline's
      # @param input [Boolean] whether the run has an +input:+
      # @param first [Array, nil] the source of the first positional parameter: {CONTEXT} for a condition, or {ITEM}
      # @return [Binding]
      def self.resolve(parameters, dependencies:, params: [], input: false, first: nil)
        return NOTHING if parameters.empty?

        # The most frequent shape: one parameter for each dependency.
        return new(dependencies) if parameters.size == dependencies.size && !first && plain?(parameters)

        Resolution.new(parameters, dependencies, params, input, first).binding
      end

      def self.plain?(parameters)
        parameters.all? { |kind, name| kind == :req && !CONTEXT_NAMES.include?(name) }
      end
      private_class_method :plain?

      def initialize(positional, keywords = {}, problems = [])
        @positional = positional
        @keywords = keywords
        @problems = problems
        freeze
      end

      # @return [Boolean] whether it takes the context or a param
      def contextual?
        [*positional, *keywords.values].any? { |source| CONTEXT.equal?(source) || Parameter === source }
      end

      # The binding of a callable without parameters.
      NOTHING = new([])
      private_constant :NOTHING
    end
  end
end
