# frozen_string_literal: true

module Flowline
  class Report
    # Why steps were not called.
    # @api private
    class Reasons
      include Markup

      WHY = { condition: "its condition was not met", upstream_skipped: "a step before it was skipped", not_selected: "not selected",
              upstream_failed: "a step before it failed", run_failed: "another step failed", interrupted: "the run was cancelled",
              run_timed_out: "the run's time was over", cached: "its inputs were the same as before", pending: "it has not started" }.freeze
      # The most names for each reason.
      NAMES = 6
      private_constant :WHY, :NAMES

      # @param reason [Symbol, nil]
      # @return [String, nil] in words
      def self.why(reason)
        WHY.fetch(reason, reason)&.to_s
      end

      # @param data [Data]
      def initialize(data)
        @data = data
      end

      # @return [String] HTML
      def to_s
        groups = @data.steps.reject(&:start).group_by { |step| [step.status, step.reason] }
        return "" if groups.empty?

        section("Steps that were not called", list(groups.map { |(status, reason), steps| group(status, reason, steps) }))
      end

      private

      def group(status, reason, steps)
        why = reason || WHY.key?(status) ? Reasons.why(reason || status) : restored(status)
        names = steps.first(NAMES).map { |step| text(caption(step.name)) }
        names << "… #{steps.size - NAMES} more" if steps.size > NAMES
        "#{word(status)}#{": #{text(why)}" if why} — #{names.join(", ")}"
      end

      def restored(status)
        "its output is that of #{@data.resumed ? "run #{@data.resumed}" : "an earlier run"}" if status == :restored
      end
    end
  end
end
