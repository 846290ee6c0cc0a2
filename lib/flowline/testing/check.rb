# frozen_string_literal: true

module Flowline
  module Testing
    # An expectation about the result of a run, or of one step. It is a matcher of RSpec, and an assertion of Minitest asks it. Its
    # messages have what the reporters print of a failure.
    # @api private
    class Check
      include ::RSpec::Matchers::Composable if defined?(::RSpec::Matchers::Composable)

      # The end of a run, as the event of it has it, from which a failure is described.
      Ended = Struct.new(:result, :context, :steps)
      private_constant :Ended

      # @param subject [Object] a {Result} or a {StepResult}
      # @return [Boolean] whether the expectation holds
      def matches?(subject)
        @subject = subject
        result? ? holds? : asks?
      end

      # @param subject [Object]
      # @return [Boolean] whether it does not hold for the result
      def does_not_match?(subject)
        @subject = subject
        result? ? fails? : (predicate && subject.respond_to?(predicate) && !asks?)
      end

      # @return [String]
      def failure_message
        result? ? "expected #{subject_name} to #{description}, but #{actual}" : unfit("to #{description}")
      end

      # @return [String]
      def failure_message_when_negated
        result? ? "expected #{subject_name} not to #{description}, but it did#{account}" : unfit("not to #{description}")
      end

      # @return [Boolean] blocks are no results
      def supports_block_expectations? = false

      private

      # @return [Boolean] whether it holds for the subject
      def holds?
        raise NotImplementedError
      end

      # @return [Boolean] whether it does not hold for the subject
      def fails?
        !holds?
      end

      # Returns the method by which RSpec would ask other objects, had the matcher not taken its name.
      # @return [Symbol, nil]
      def predicate; end

      # @return [Array] of that method
      def arguments = []

      def asks?
        predicate && @subject.respond_to?(predicate) ? @subject.public_send(predicate, *arguments) : false
      end

      # @return [String] how the subject differs, the second half of a sentence
      def actual
        raise NotImplementedError
      end

      def result?
        Result === @subject || StepResult === @subject
      end

      def unfit(what)
        "expected the result of a run #{what}, but got #{TypeHints.describe(@subject)}#{"; call run" if Pipeline.from(@subject)}"
      end

      def subject_name
        Result === @subject ? "the run" : "step #{Name.show(@subject.name)}"
      end

      # @param name [Symbol]
      # @return [StepResult]
      # @raise [UnknownStepError]
      def step(name)
        Result === @subject ? @subject[name] : @subject
      end

      # @return [Array<Symbol>] the steps that a list of names is about; of a nested pipeline, those that produce its output
      def names(given)
        return [@subject.name] if StepResult === @subject

        given.flat_map { |name| @subject.dag.ends(@subject[name].name) }
      end

      # @return [String] how a step ended
      def ending(result)
        attempts = result.attempts > 1 ? " after #{result.attempts} attempts" : ""
        error = result.error ? ": #{result.error.message}" : ""
        "#{Name.show(result.name)} #{result.status}#{" (#{result.reason})" if result.reason}#{attempts}#{error}"
      end

      # @return [String] how the run ended: the block that reporters print of a failure, or a line for each step
      def account
        return "" if StepResult === @subject
        return "\n\n#{failure.join("\n")}\n" if @subject.failed?

        "\n\n#{@subject.steps.map { |step| "  #{ending(step)}" }.join("\n")}\n"
      end

      def failure
        Reporter::Failure.new(Ended.new(@subject, @subject.context, @subject.dag.steps)).rows
      end

      # @return [Boolean] whether a value is the expected one, or matches it
      def same?(expected, actual)
        return ::RSpec::Support::FuzzyMatcher.values_match?(expected, actual) if defined?(::RSpec::Support::FuzzyMatcher)

        expected == actual || expected === actual
      end

      # @return [String] an expected value, or the description of a matcher
      def show(value)
        return value.description if value.respond_to?(:matches?) && value.respond_to?(:description)

        Error.text(value.inspect)
      end
    end
  end
end
