# frozen_string_literal: true

module Flowline
  module Testing
    # The options of the run of one step: it is in no store, and params that the step does not take may be left out.
    # @api private
    class StepOptions < Planning::RunOptions
      # @param pipeline [Pipeline]
      # @param arguments [Hash] as for {Pipeline#run}
      # @param taken [Array<Symbol>] the params that the step takes
      def initialize(pipeline, arguments, taken)
        @taken = taken
        super(pipeline, arguments, Clock.now)
      end

      # @return [Boolean] whether the run is recorded in the store
      def store? = false

      # @return [nil] it excludes no run
      def exclusive; end

      private

      def value_of(param, given)
        given.key?(param.name) || @taken.include?(param.name) || !param.required? ? super : nil
      end
    end
  end
end
