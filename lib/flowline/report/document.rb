# frozen_string_literal: true

module Flowline
  class Report
    # The body of a report, and its parts: everything that can be read without a script. The script adds the timeline, and sorts
    # and filters the table.
    # @api private
    class Document
      include Markup

      # The most steps on the sheets for folds, and the most failed steps above the graph.
      BUDGET = 300
      FAILED = 5
      # Words for steps whose process ended before they did.
      LEFT = { running: "left running", waiting: "left waiting", pending: "not started" }.freeze
      private_constant :BUDGET, :FAILED, :LEFT

      # @param data [Data]
      def initialize(data)
        @data = data
      end

      # @return [String] HTML
      def to_s
        [header, tag(:main, [failures, *rest].join("\n")), island].join("\n")
      end

      # @param below [String] HTML
      # @return [String] its title, and what is known at a glance
      def header(below = exports)
        tag(:header, [tag(:h1, text(caption(@data.pipeline || "Pipeline"))), tag(:div, head, id: "head"), below])
      end

      # @return [String] where the script adds buttons
      def exports
        tag(:p, "", id: "exports")
      end

      # @return [String] how the run stands or ended, and its facts
      def head
        counts = @data.counts.map { |status, count| tag(:span, text("#{count} #{(LEFT[status] if @data.status == :crashed) || word(status)}")) }
        badges = [tag(:b, text(word(@data.status)), class: "badge #{@data.status}"), *counts]
        tag(:p, badges.join(" "), class: "badges") + tag(:p, facts.join(" · "), class: "quiet")
      end

      # @return [Array<String>] everything but the header, the failures and the data for the script
      def rest
        [graph, timeline, Table.new(@data, timing), params, warnings, Reasons.new(@data), Trend.new(@data), Comparison.new(@data)].map(&:to_s)
      end

      # @return [String] the data for the script
      def island
        tag(:script, Island.new(@data, timing).to_s, type: "application/json", id: "run")
      end

      # @return [String] the first steps that failed; and of a run that crashed, those that its process left
      def failures
        [crash, failed_steps].compact.join("\n")
      end

      private

      def crash
        return unless @data.status == :crashed

        left = @data.steps.each_index.select { |at| @data.steps[at].status == :running }
        items = left.first(FAILED).map { |at| tag(:a, text(caption(@data.steps[at].name)), href: @data.link(at)) + standing(@data.steps[at]) }
        items << "… #{left.size - FAILED} more" if left.size > FAILED
        words = left.empty? ? "No step was running when it was last seen." : "These steps were running when it was last seen:"
        section("The process ended before the run did", tag(:p, words), (list(items) if left.any?), class: "failures")
      end

      def standing(step)
        [(" for #{seconds(step.duration)}" if step.duration), (" #{code(step.location)}" if step.location)].join
      end

      def failed_steps
        failed = @data.steps.each_index.select { |at| %i[failed timed_out].include?(@data.steps[at].status) }
        optional, failed = failed.partition { |at| @data.steps[at].optional }
        error = section("Error", tag(:p, text(@data.error)), class: "failures") if @data.error && failed.empty?
        [error, failures_of(failed, "step", class: "failures"), failures_of(optional, "optional step")].compact.join("\n")
      end

      def failures_of(failed, what, **attributes)
        return if failed.empty?

        items = failed.first(FAILED).map { |at| failure(at, @data.steps[at]) }
        items << "… #{failed.size - FAILED} more, which the table has first" if failed.size > FAILED
        section("#{failed.size} #{what}#{"s" unless failed.one?} failed", list(items), **attributes)
      end

      def timing
        @timing ||= Timing.new(@data)
      end

      def facts
        [text(@data.started_at.strftime("%Y-%m-%d %H:%M:%S %z")), tag(:b, seconds(@data.length)), "run #{code(@data.run_id)}",
         ("started by #{text(@data.trigger)}" if @data.trigger), ("resumed #{code(@data.resumed)}" if @data.resumed),
         ("defined at #{code(@data.location)}" if @data.location)].compact
      end

      def failure(at, step)
        why = step.error&.sub(/\Astep .*? (?:failed|timed out)[^:]*: /m, "")
        location = step.location unless why&.include?("(#{step.location})")
        [tag(:a, text(caption(step.name)), href: @data.link(at)), word(step.status), ("after #{step.attempts} attempts" if step.attempts > 1),
         (": #{text(short(why, 600))}" if why), (code(location) if location)].compact.join(" ").sub(" : ", ": ")
      end

      def graph
        return if @data.steps.empty? || !@data.steps.all?(&:after)

        section("Graph", Graph.new(@data) { |_, at| @data.link(at) }.picture.sheets(BUDGET))
      end

      # Only what the script needs to draw it, which is hidden until then.
      def timeline
        return if @data.steps.none?(&:start) && @data.status != :running

        section("Timeline", critical, tag(:div, "", class: "tools"), tag(:div, "", class: "scroll chart"),
                tag(:p, "", id: "under", class: "quiet", role: "status"), tag(:h3, "Workers over time"), tag(:div, "", class: "workers"),
                id: "timeline", hidden: true)
      end

      def critical
        path = timing.critical.map { |at| text(caption(@data.steps[at].name)) }
        return if path.empty?

        path = [*path.first(4), "…", *path.last(3)] if path.size > 8
        waits = timing.critical_wait
        waited = ", and #{seconds(waits)} of waiting for a worker or a pool" if waits >= 0.001
        tag(:p, "Critical path: #{seconds(timing.critical_time)} of #{seconds(@data.length)}#{waited} — #{path.join(" → ")}")
      end

      def params
        return if @data.params.empty?

        section("Params", tag(:dl, @data.params.map { |name, value| tag(:dt, text(name)) + tag(:dd, code(value.nil? ? "nil" : value)) }))
      end

      def warnings
        section("Warnings", list(@data.warnings.map { |warning| text(warning) })) if @data.warnings.any?
      end
    end
  end
end
