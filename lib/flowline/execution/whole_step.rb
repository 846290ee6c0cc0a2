# frozen_string_literal: true

module Flowline
  module Execution
    # A step that is called once: makes its attempts, and decides by their outcomes what becomes of the step.
    # {MappedStep} does the same for a step that is called for each item.
    # @api private
    class WholeStep
      # @param id [Integer]
      # @param state [State]
      def initialize(id, state)
        @id = id
        @state = state
        @number = 0
      end

      # @return [Array] the number of the next attempt
      def start
        [@number += 1]
      end

      # Records an outcome, before anything else learns of it.
      # @param attempt [Attempt]
      # @param outcome [Outcome]
      # @return [void]
      # @raise [StoreError]
      def record(attempt, outcome)
        @state.called_at(@id, outcome.began) if outcome.began && !attempt.announced
        @state.record(@id, outcome.output, outcome.ended, outcome.report) if outcome.status == :succeeded
      end

      # @param outcome [Outcome] of an attempt
      # @return [void]
      def settle(_attempt, outcome)
        case outcome.status
        when :succeeded then @state.succeed(@id, outcome.ended)
        when :cached then @state.reuse(@id, outcome.output, :cached)
        when :skipped then @state.skip(@id)
        when :retry then try_again(outcome)
        when :failed, :timed_out then fail(outcome)
        when :withdrawn then @state.withdraw(@id)
        else @state.cancel(@id)
        end
      end

      # There is no source to close.
      def close_source; end

      private

      def try_again(outcome)
        error = error_of(outcome)
        @state.retry(@id, error, Event::Retry.new(outcome.limit ? error : outcome.error, @number, outcome.wait))
      end

      def fail(outcome)
        limit = outcome.limit
        @state.stop(:timed_out) if limit && limit[:scope] == :run
        @state.fail(@id, error_of(outcome), outcome.status, outcome.ended)
      end

      def error_of(outcome)
        outcome.limit ? @state.timeout_error(@id, outcome.limit) : @state.step_error(@id, outcome.error)
      end
    end
  end
end
