# frozen_string_literal: true

module Flowline
  module Telemetry
    # The spans of a run of the history, whether it has ended or crashed. They have the ids that they had while it ran. Attempts of
    # items are not in the history.
    # @api private
    class Recorded
      # The class of an exception in the message of an error.
      TYPE = /(?<![\w:])([A-Z]\w*(?:::[A-Z]\w*)*)(?=: |\z)/
      # OpenTelemetry's name for errors of unknown classes.
      UNKNOWN = "_OTHER"
      private_constant :TYPE, :UNKNOWN

      # @param run [History::Run]
      def initialize(run)
        @run = run
        @began = Clock.nanoseconds(run.started_at)
      end

      # @return [Array<Span>] the run first
      def spans
        build = Spans.new(@run.run_id, @run.pipeline)
        called = @run.steps.select(&:started_at)
        steps = called.map { |step| build.step(step.name.name, times(step), facts(step)) }
        [build.run([@began, ended(steps)], run_facts), *steps, *called.flat_map { |step| attempts(build, step) }]
      end

      private

      # A run that crashed has no end: it ran at least as long as its steps.
      def ended(steps)
        @run.duration ? at(@run.duration) : [@began, *steps.map(&:ended)].max
      end

      def run_facts
        outcomes = @run.counts.empty? ? @run.steps.map(&:status).tally : @run.counts
        { status: @run.status, failure: failure(@run.error, @run.status), outcomes: outcomes, resumed: @run.resumed, trigger: @run.trigger&.name }
      end

      def facts(step)
        failed = step.retries
        { status: step.status, reason: step.reason, attempts: step.attempts, failure: failure(step.error, step.status),
          waits: ({ retry: failed.sum { |again| again[:wait].to_f } } unless failed.empty?),
          items: step.items&.to_h&.slice(:done, :failed, :restored),
          retries: failed.map { |again| [at(again[:ended]), again[:number], again[:wait], failure(again[:error], :failed)] } }
      end

      # The attempts of a step that is called once, and not for items.
      def attempts(build, step)
        return [] if step.items || step.retries.any? { |again| again[:item] } || !step.attempts.positive?

        began = times(step).first
        spans = step.retries.map do |again|
          times = [began, at(again[:ended])]
          began = at(again[:ended] + again[:wait].to_f)
          build.attempt(step.name.name, again[:number], times, { status: :failed, failure: failure(again[:error], :failed) })
        end
        spans << build.attempt(step.name.name, step.attempts, [began, [times(step).last, began].max], last(step))
      end

      def last(step)
        status = %i[succeeded failed].include?(step.status) ? step.status : :interrupted
        { status: status, failure: (failure(step.error, status) if status == :failed) }
      end

      def failure(text, status)
        return unless text

        Failure.new(status == :timed_out ? TimeoutError.name : text[TYPE, 1] || UNKNOWN, text)
      end

      def times(step)
        began = Clock.nanoseconds(step.started_at)
        [began, began + (step.duration.to_f * 1e9).round]
      end

      # @param seconds [Float] since the start of the run
      def at(seconds)
        @began + (seconds * 1e9).round
      end
    end
  end
end
