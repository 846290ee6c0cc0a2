# frozen_string_literal: true

module Flowline
  module Testing
    # Assertions and helpers for Minitest, in every test after +require "flowline/minitest"+, also with Rails. Tests run between
    # {Testing.setup} and {Testing.teardown}.
    #
    #   result = Import.run(date: "2024-01-31", given: { fetch: rows })
    #   assert_succeeded result
    #   assert_output_of result, :load, 3
    #   assert_ran result, :load, after: :transform
    module Assertions
      include Helpers

      # Prepares for the test; see {Testing.setup}.
      # @return [void]
      # @api private
      def before_setup
        Testing.setup
        super
      end

      # Restores what {#before_setup} has replaced.
      # @return [void]
      # @api private
      def after_teardown
        super
      ensure
        Testing.teardown
      end

      # The run, or the step, succeeded.
      # @param result [Result, StepResult]
      # @return [Result, StepResult] the same
      def assert_succeeded(result)
        assert_check(Checks::Succeed.new, result)
      end

      # The run, or the step, did not succeed.
      # @return [Result, StepResult] the same
      def refute_succeeded(result)
        refute_check(Checks::Succeed.new, result)
      end

      # The run succeeded, and a step has this output: +assert_output_of result, :load, 3+, or +assert_output_of result, 3+ for the last
      # step and for the result of a step.
      # @return [Result, StepResult] the same
      def assert_output_of(result, *expected)
        assert_check(Checks::Succeed.new.with_output(*expected), result)
      end

      # The step failed.
      # @param step [Symbol, String]
      # @param error [Array] a class, a message as a String or Regexp, or both
      # @return [Result] the same
      # @example
      #   assert_failed_at result, :load, IOError, /down/
      def assert_failed_at(result, step, *error)
        assert_check(Checks::Fail.new(step).with(*error), result)
      end

      # The run, or the step, failed with an error.
      # @return [Result, StepResult] the same
      def assert_failed_with(result, *error)
        assert_check(Checks::Fail.new.with(*error), result)
      end

      # The steps were called.
      # @param after [Symbol, Array<Symbol>] steps that ended before
      # @param times [Integer, nil] how often: counts attempts
      # @return [Result, StepResult] the same
      def assert_ran(result, *steps, after: [], times: nil)
        assert_check(Checks::Run.new(*steps).after(*after).times(times), result)
      end

      # The steps were not called.
      # @return [Result, StepResult] the same
      def refute_ran(result, *steps)
        steps.each { |step| refute_check(Checks::Run.new(step), result) }
        steps.empty? ? refute_check(Checks::Run.new, result) : result
      end

      # The steps were skipped.
      # @param because [Symbol, nil] the reason
      # @return [Result, StepResult] the same
      def assert_skipped(result, *steps, because: nil)
        assert_check(Checks::End.new(:skipped, steps, reason: because), result)
      end

      # The outputs of the steps came from the cache.
      # @return [Result, StepResult] the same
      def assert_cached(result, *steps)
        assert_check(Checks::End.new(:cached, steps), result)
      end

      # The outputs of the steps did not come from the cache.
      # @return [Result, StepResult] the same
      def refute_cached(result, *steps)
        refute_check(Checks::End.new(:cached, steps), result)
      end

      # The outputs of the steps were restored.
      # @return [Result, StepResult] the same
      def assert_restored(result, *steps)
        assert_check(Checks::End.new(:restored, steps), result)
      end

      private

      def assert_check(check, result)
        assert(check.matches?(result), -> { check.failure_message })
        result
      end

      def refute_check(check, result)
        assert(check.does_not_match?(result), -> { check.failure_message_when_negated })
        result
      end
    end
  end
end
