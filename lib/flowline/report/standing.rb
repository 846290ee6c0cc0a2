# frozen_string_literal: true

module Flowline
  class Report
    # Where the open steps of a run stand that goes on or has crashed: which of them run, since when, and what the others wait for.
    # @api private
    class Standing
      # @param run [History::Run]
      def initialize(run)
        @run = run
        @live = run.live if %i[running crashed].include?(run.status)
      end

      # Writes it into the steps.
      # @param steps [Array<Step>] in the order of the steps of the run
      # @return [void]
      def apply(steps)
        return unless @live

        open = @live.steps.to_h { |step| [step.name, step] }
        @run.steps.zip(steps) do |recorded, step|
          next unless recorded.status == :running

          known = open[recorded.name]
          known&.running? ? start(step, known) : wait(step, known)
        end
      end

      private

      def start(step, known)
        step.start = known.since - @run.started_at if known.since
        step.duration = [@live.updated_at - known.since, 0.0].max if known.since
        step.attempts = known.attempt
        step.items ||= known.items&.to_s&.delete_prefix("items: ")
      end

      # The row of a run names only the first of the steps that wait.
      def wait(step, known)
        step.status = :waiting
        step.reason = (known&.wait || "worker").to_sym
      end
    end
  end
end
