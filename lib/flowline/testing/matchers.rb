# frozen_string_literal: true

module Flowline
  module Testing
    # Matchers and helpers for RSpec, in every example after +require "flowline/rspec"+, also with rspec-rails. Examples run between
    # {Testing.setup} and {Testing.teardown}.
    #
    #   result = Import.run(date: "2024-01-31", given: { fetch: rows })
    #   expect(result).to succeed.with_output(:load, 3)
    #   expect(result).to have_run(:load).after(:transform)
    #   expect(result[:fetch]).to be_given
    module Matchers
      include Helpers

      # The run, or the step, succeeds: +succeed+, +succeed.with_output(3)+ (of the last step), +succeed.with_output(:load, 3)+. Outputs are
      # values or matchers.
      # @return [Checks::Succeed]
      def succeed
        Checks::Succeed.new
      end

      # The step fails: +fail_at(:load)+, +fail_at(:load).with(IOError, /down/)+. Its error is the one that the step raised, or a
      # {TimeoutError}.
      # @param name [Symbol, String]
      # @return [Checks::Fail]
      def fail_at(name)
        Checks::Fail.new(name)
      end

      # The run, or the step, fails with an error: +fail_with(IOError, /down/)+.
      # @param expected [Array] a class, a message as a String or Regexp, or both
      # @return [Checks::Fail]
      def fail_with(*expected)
        Checks::Fail.new.with(*expected)
      end

      # The steps were called: +have_run(:load)+, +have_run(:load).after(:transform)+, +have_run(:fetch).times(3)+, +.once+. How often
      # counts attempts.
      # @return [Checks::Run]
      def have_run(*names)
        Checks::Run.new(*names)
      end

      # The steps were skipped: +have_skipped(:notify)+, +have_skipped(:notify).because(:condition)+.
      # @return [Checks::End]
      def have_skipped(*names)
        Checks::End.new(:skipped, names)
      end

      # The outputs of the steps came from the cache.
      # @return [Checks::End]
      def have_cached(*names)
        Checks::End.new(:cached, names)
      end

      # The outputs of the steps were restored: from an earlier run, or because they were given.
      # @return [Checks::End]
      def have_restored(*names)
        Checks::End.new(:restored, names)
      end

      # The result of a step: its output came from the cache.
      # @return [Checks::End]
      def be_cached = have_cached

      # The result of a step: its output was restored.
      # @return [Checks::End]
      def be_restored = have_restored

      # The result of a step: it was skipped, +be_skipped.because(:condition)+.
      # @return [Checks::End]
      def be_skipped = have_skipped

      # The result of a step: its output was given.
      # @return [Checks::End]
      def be_given
        Checks::End.new(:restored, [], reason: :given)
      end
    end
  end
end
