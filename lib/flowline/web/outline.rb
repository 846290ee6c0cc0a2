# frozen_string_literal: true

module Flowline
  class Web
    # A plan as HTML: what will happen to each step, and why.
    # @api private
    class Outline
      include Report::Markup

      # The most steps that are listed.
      ROWS = 100
      # The words for what happens, and the status that each looks like.
      ACTIONS = { run: ["runs", :running], restore: ["is restored", :restored], reuse: ["is reused from its cache", :cached],
                  skip: ["is skipped", :skipped], unknown: ["is decided by the run", :pending] }.freeze
      SUMS = { run: "%d to run", restore: "%d to restore", reuse: "%d to reuse from a cache", skip: "%d to skip",
               unknown: "%d that only the run can decide" }.freeze
      private_constant :ROWS, :ACTIONS, :SUMS

      # @param plan [Plan]
      def initialize(plan)
        @plan = plan
      end

      # @return [String]
      def to_s
        section("Plan", resumed, tag(:p, text(sums)), expected, warnings, steps, rest)
      end

      private

      def resumed
        tag(:p, text("#{caption(@plan.resumed.to_s, 600).sub(/\A./, &:upcase)}.")) if @plan.resumed
      end

      def sums
        counts = @plan.steps.map(&:action).tally
        "#{@plan.steps.size} steps: #{SUMS.filter_map { |action, words| format(words, counts[action]) if counts.key?(action) }.join(", ")}."
      end

      def expected
        tag(:p, "It is expected to take #{seconds(@plan.expected)}.") if @plan.expected&.positive?
      end

      def warnings
        list(@plan.warnings.map { |warning| text(caption(warning, 400)) }) if @plan.warnings.any?
      end

      def steps
        rows = @plan.steps.first(ROWS).map do |step|
          words, status = ACTIONS.fetch(step.action)
          reason = text(short(Text.line(step.reason.to_s), 300))
          line(text(caption(step.name)), tag(:span, words, class: "state #{status}"), [reason], seconds(step.expected))
        end
        table("Plan", %w[Step Action Reason Expected], rows, class: "runs")
      end

      def rest
        tag(:p, "The first #{ROWS} of #{@plan.steps.size} steps.", class: "quiet") if @plan.steps.size > ROWS
      end
    end
  end
end
