# frozen_string_literal: true

module Flowline
  module CLI
    # Text and data about recorded runs, for commands that show them.
    module RunRecords
      # Lines of the error of a run: the items that it names.
      LINES = ItemsError::SHOWN + 3
      # The marks of steps that have not ended.
      OPEN = { running: "▶", pending: "·" }.freeze
      # Words for them if their process ended.
      LEFT = { running: "was running", pending: "not started" }.freeze
      private_constant :LINES, :OPEN, :LEFT

      private

      # @param run [History::Run]
      # @return [String] one line
      def headline(run)
        time = run.duration ? format("%.2fs", run.duration) : ""
        started = run.started_at.strftime("%Y-%m-%d %H:%M:%S")
        status = run.elsewhere? ? "#{run.status} elsewhere" : run.status.name
        [name_column(run.pipeline), status.ljust(9), started, time.rjust(8), run.run_id].join("  ")
      end

      # @return [String, nil] the params of a run, and the runs that it resumed or that resumed it
      def facts(run)
        failed = run.items&.failed if run.status == :succeeded
        items = "#{failed} item#{"s" if failed > 1} failed" if failed&.positive?
        parts = [params(run), items, ("resumed #{run.resumed}" if run.resumed), ("resumed by #{run.resumed_by}" if run.resumed_by)].compact
        parts.unshift("by #{started_by(run)}") unless [nil, :cli, :ruby].include?(run.trigger)
        parts.join(", ") unless parts.empty?
      end

      # @return [String, nil] the kind of caller that started a run, and its job
      def started_by(run)
        [*run.trigger, *run.job].map { |text| Name.show(text) }.join(" ") if run.trigger
      end

      def params(run)
        run.params.map { |name, value| "#{Name.show(name)}: #{value.nil? ? "nil" : Name.show(value)}" }.join(", ") unless run.params.empty?
      end

      # @return [String] a name, filled up by the columns that it takes
      def name_column(name)
        Text.pad(Name.show(name), 20)
      end

      # @param step [History::Step]
      # @param left [Boolean] whether its process ended before it did
      # @return [String] one line
      def step_line(step, left: false)
        time = step.duration ? format("%.2fs", step.duration) : step.reason.to_s
        mark = (OPEN[step.status] unless left) || Reporter::Console::MARKS.fetch(step.status, "⏸")
        word = (LEFT[step.status] if left) || step.status.name
        ["  #{mark} #{name_column(step.name)}  #{word.ljust(9)}  #{time.ljust(5)}", items(step.items), numbers(step)].compact.join("  ").rstrip
      end

      # @return [String, nil] the numbers that a step has reported
      def numbers(step)
        return if step.report.empty?

        step.report.map { |name, number| "#{Name.show(name)}: #{number ? Reporter::Lines.count(number) : "?"}" }.join(", ")
      end

      # @param step [History::Live::Step] one that has not ended
      # @param ended [Time, nil] when its process was seen last, if that has ended
      # @return [String] one line
      def open_line(step, ended: nil)
        time = step.since && format("%.1fs", (ended || Time.now) - step.since)
        wait = "#{ended ? "waited" : "waits"} for #{Name.show(step.wait)}" if step.wait
        about = [("attempt #{step.attempt}" if step.attempt > 1), wait, items(step.items)].compact
        word = step.running? ? "running" : "waiting"
        ["  #{step.running? && ended.nil? ? OPEN[:running] : "⏸"} #{name_column(step.name)}  #{"#{"was " if ended}#{word}".ljust(9)}",
         time.to_s.ljust(5), *(about.join(", ") if about.any?)].join("  ").rstrip
      end

      # @param run [History::Run]
      # @return [Array<String>] a line for each step
      def step_lines(run)
        left = run.status == :crashed
        live = run.live if run.alive? || left
        run.steps.map { |step| (open = live&.step(step.name)) ? open_line(open, ended: (live.updated_at if left)) : step_line(step, left: left) }
      end

      def items(counts)
        return unless counts
        return "#{counts.recorded} items recorded" if (counts.done + counts.restored + counts.failed).zero?

        counts.to_s.delete_prefix("items: ")
      end

      # @return [Array<String>] the errors of a run, each once
      def errors(run)
        steps = run.steps.map(&:error) - [run.error]
        lines = run.error.to_s.delete_suffix(CancelledError::ADVICE).lines(chomp: true).reject(&:empty?)
        lines = [*lines.first(LINES - 1), "… #{lines.size - LINES + 1} more"] if lines.size > LINES
        lines += steps.compact.map { |error| error.lines.first.chomp.sub(/\A(?=step )/, run.status == :succeeded ? "optional " : "") }
        lines.map { |line| Name.show(line) }
      end

      # @return [String, nil] what a resumed run would restore
      def restorable(run)
        steps = run.recorded
        items = run.steps.filter_map { |step| step.items&.recorded unless steps.include?(step.name) }.sum
        return if steps.empty? && items.zero?

        counts = [[steps.size, "step"], [items, "item"]].reject { |count, _| count.zero? }
        "resume restores #{counts.map { |count, word| "#{count} #{word}#{"s" if count > 1}" }.join(" and ")}"
      end
    end
  end
end
