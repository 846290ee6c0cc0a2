# frozen_string_literal: true

module Flowline
  class Report
    # The table of the steps, those first that deserve attention.
    # @api private
    class Table
      include Markup

      # The most rows, to which the script adds the others.
      ROWS = 100
      HEADS = %w[Step Status Start Duration Waited Slack Attempts].freeze
      private_constant :ROWS, :HEADS

      # @param data [Data]
      # @param timing [Timing]
      def initialize(data, timing)
        @data = data
        @timing = timing
      end

      # @return [String] HTML
      def to_s
        steps = @data.steps
        order = steps.each_index.sort_by { |at| [Data::ORDER.index(steps[at].status) || 0, at] }
        rows = order.first(ROWS).map { |at| row(steps[at], at) }
        rest = tag(:p, "The first #{ROWS} of #{steps.size} steps.", id: "rest", class: "quiet") if steps.size > ROWS
        section("Steps", tag(:div, "", id: "filters"), table("Steps", HEADS, rows, id: "steps"), rest)
      end

      private

      def row(step, at)
        times = [step.start, step.duration, waited(step, at), @timing.slack[at]].map { |time| seconds(time) }
        name = @data.address ? tag(:a, text(caption(step.name)), href: @data.link(at)) : text(caption(step.name))
        cells = [text(word(step.status)), *times, (step.attempts if step.attempts.positive?)].map { |cell| tag(:td, cell.to_s) }
        tag(:tr, [tag(:th, name + details(step, at), scope: "row"), *cells], id: "s#{at}", class: step.status)
      end

      def waited(step, at)
        time = step.start && (step.start - @timing.ready[at])
        time if time && time >= 0.001
      end

      def details(step, at)
        lines = [step.error, *named(step, at).map { |name, value| "#{name}: #{value}" }].compact
        return "" if lines.empty?

        summary = tag(:summary, step.error ? "error" : "more")
        tag(:details, [summary, tag(:pre, text(short(lines.join("\n"), 4000)), tabindex: 0)], open: !step.error.nil?)
      end

      def named(step, at)
        retried = step.retries.map { |_, wait, error| "#{error} (next attempt after #{seconds(wait)})" }
        waited_for = step.wait || "worker" if waited(step, at)
        { "line" => (step.location if step.error), "because" => Reasons.why(step.reason) || step.why, "waited for" => waited_for,
          "items" => step.items, "output" => step.output, "retried" => (retried.join("\n") if retried.any?),
          "log" => step.log && "\n#{step.log}" }.compact
      end
    end
  end
end
