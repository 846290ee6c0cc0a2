# frozen_string_literal: true

module Flowline
  module Arguments
    # The hint for code of a step that uses the name of a param or a dependency without declaring it as a parameter.
    # @api private
    module Undeclared
      NAME = /\Aundefined local variable or method [`'](\w+)'/
      # The user's block, or the method of a class, is what raised: other methods have other names.
      OWN_CODE = /in [`'](?:block |(?:.*[#.])?call')/
      MISSING = /[`'](?:.*[#.])?method_missing'\z/
      private_constant :NAME, :OWN_CODE, :MISSING

      class << self
        # @param error [Exception] what the step raised
        # @param step [Step]
        # @param params [Array<Symbol>] the params that the step can get
        # @return [String, nil] the end of the error's message
        def hint(error, step, params)
          return unless NameError === error && Backtrace.of(error)&.find { |frame| !frame.match?(MISSING) }&.match?(OWN_CODE)

          name = Error.words(error)[NAME, 1] or return
          what = kind(name.to_sym, step.labels, params) or return
          block = step.callable.is_a?(Proc) || step.callable.is_a?(Definition::BoundBlock)
          "#{name} is #{what}; declare it: #{block ? "|#{name}:|" : "call(#{name}:)"}"
        end

        private

        def kind(name, labels, params)
          return "a dependency of the step" if labels.include?(name)
          return "a param of the pipeline" if params.include?(name)
          return "the context of the run" if %i[ctx context].include?(name)

          near = labels.select { |label| label.end_with?("_#{name}") }
          "the dependency #{Name.show(near.first)}" if near.one?
        end
      end
    end
  end
end
