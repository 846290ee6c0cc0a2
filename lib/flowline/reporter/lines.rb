# frozen_string_literal: true

require_relative "failure"

module Flowline
  module Reporter
    # The lines that a run adds to a terminal or a log: a title, one when a step ends, warnings, a failure block, a summary.
    #
    #   Pipeline: data_import
    #   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    #   ✓ fetch_users      0.52s   1,234 records
    #   ✗ transform        1.24s
    #   ⏸ load             run_failed
    #   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    #   Elapsed: 1.76s | Steps: 1/3
    # @api private
    class Lines
      COLOURS = { "✓" => :green, "✗" => :red, "⏸" => :yellow, "⚠" => :yellow, "↻" => :yellow }.freeze
      # How wide the names of steps are shown.
      WIDTHS = (14..40)
      # The columns that a line needs beyond the name: mark, time, records.
      BESIDES = 26
      RULE = 40
      # Rows of a warning.
      WARNING = 3
      # The widest line of a log.
      WIDE = 500
      private_constant :COLOURS, :WIDTHS, :BESIDES, :RULE, :WARNING, :WIDE

      # @return [Integer] how wide the names of steps are shown, once the run has started
      attr_reader :width

      # @param number [Numeric]
      # @return [String] with a comma between thousands
      def self.count(number)
        whole, fraction = (number.is_a?(Float) ? number.round(2) : number).to_s.split(".", 2)
        [whole.gsub(/(?<=\d)(?=(\d{3})+\z)/, ","), fraction].compact.join(".")
      end

      # @param step [Step]
      # @return [Integer] how many pipelines it is nested in
      def self.depth(step)
        step.group ? step.group.name.count(".") + 1 : 0
      end

      # @param terminal [Terminal]
      # @param title [String, nil]
      # @param verbose [Boolean]
      # @param resume [String, nil]
      # @param advice [#call] returns a warning in the words of those who read it
      def initialize(terminal, title: nil, verbose: false, resume: nil, advice: :itself.to_proc)
        @advice = advice
        @terminal = terminal
        @title = title
        @verbose = verbose
        @resume = resume
      end

      # @param event [Event]
      # @return [Array<String>]
      def started(event)
        @width = event.steps.map { |step| Text.width(shown(step)) }.max.to_i.clamp(WIDTHS)
        @done = 0
        params = @verbose ? event.context.public_params.map { |name, value| cut("  #{Name.show(name)}: #{Text.line(Error.text(value))}") } : []
        [cut("Pipeline: #{Text.line(@title || event.context.pipeline_name || "unnamed")}"), *resumed(event), *params, rule]
      end

      # @param event [Event]
      # @return [Array<String>]
      def step(event)
        result = event.result
        @done += 1 if result.output?
        [line(Console::MARKS.fetch(result.status), event.step, timing(result), remark(result))]
      end

      # @param event [Event]
      # @return [Array<String>]
      def retried(event)
        error, attempt, wait, index, label = event.result.to_a
        item = "item #{index + 1} (#{label}), " if index
        text = event.context.mask("attempt #{attempt} failed: #{Error.account(error, Error.words(error).lines.first.to_s.chomp)}")
        again = wait.zero? ? "again at once" : format("again in %.2fs", wait)
        [line("↻", event.step, "#{item}#{Text.line(text)}; #{again}")]
      end

      # @param event [Event]
      # @param board [Board, nil] of the run; nil: nothing but failures is wanted
      # @param log [Execution::Monitor, nil] has the last lines of steps
      # @return [Array<String>]
      def finished(event, board, log = nil)
        result = event.result
        rows = result.warnings.flat_map { |warning| warning(warning) } + (result.success? ? [] : ["", *failure(event, log)])
        return rows unless board

        rows.concat(slow(board.slow(result)), superfluous(*board.superfluous(result)))
        [*rows, rule, "Elapsed: #{format("%.2fs", result.duration)} | Steps: #{@done}/#{event.steps.size}"]
      end

      private

      def slow(steps)
        steps.map do |step, duration, times|
          cut("#{Name.show(step.name)} took #{format("%.2fs", duration)}, #{times.round(1)}× its median")
        end
      end

      def superfluous(useful = nil, workers = nil)
        useful ? ["#{useful} worker#{"s" if useful > 1} would have been as fast as #{workers}"] : []
      end

      # Returns what the run resumes, or why it resumes nothing.
      def resumed(event)
        first, *others = event.resumed ? Text.wrap(Text.line(event.resumed.to_s), @terminal.columns || WIDE) : []
        [*first, *others.map { |row| "  #{row}" }]
      end

      def failure(event, log)
        rows = Failure.new(event, columns: @terminal.columns, resume: @resume, verbose: @verbose, log: log).rows
        rows.map { |row| row.start_with?("✗") ? "#{mark("✗")}#{row[1..]}" : row }
      end

      def warning(text)
        columns = (@terminal.columns || WIDE) - 2
        rows = Text.lines(@advice.call(text).gsub("#{Dir.pwd}/", "")).flat_map { |row| Text.wrap(Text.cut(row, WIDE - 2), columns) }
        first, *others = Text.limit(rows, WARNING, columns)
        ["#{mark("⚠")} #{first}", *others.map { |row| "  #{row}" }]
      end

      # The steps of nested pipelines are indented.
      def shown(step)
        name = Name.show(step.name)
        step.group ? ("  " * Lines.depth(step)) + name : name
      end

      def line(mark, step, *columns)
        limit = @terminal.columns
        most = [@width, (limit || WIDE) - BESIDES].min.clamp(1..)
        name = shown(step)
        name = limit ? Text.fit(name, most) : name + (" " * [most - Text.width(name), 0].max)
        "#{mark(mark)} #{Text.cut([name, *columns].compact.join("   ").rstrip, (limit || WIDE) - 2)}"
      end

      def timing(result)
        result.duration ? format("%.2fs", result.duration) : (result.reason || result.status).to_s
      end

      def remark(result)
        tried = result.items ? [*done(result), *of_items(result.items)] : [("#{result.attempts} attempts" if result.attempts > 1)]
        stopped = result.status == :timed_out ? "timed out" : (result.reason if result.status == :cancelled && result.duration)
        words = [*numbers(result), stopped, *tried].compact
        words.join(", ") unless words.empty?
      end

      # Returns how many items have a result, of a step that did not succeed.
      def done(result)
        counts = result.items
        "#{Lines.count(counts.done + counts.restored)}#{" of #{Lines.count(counts.total)}" if counts.total} done" unless result.output?
      end

      # Returns the facts about items that a count of records does not have.
      def of_items(items)
        { "retries" => items.retries, "failed" => items.failed, "restored" => items.restored }.filter_map do |word, count|
          "#{Lines.count(count)} #{word == "retries" && count == 1 ? "retry" : word}" if count.positive?
        end
      end

      # Returns what the step has reported, or else the number of records of its output.
      def numbers(result)
        return [records(result.output)] if result.report.empty?

        result.report.map { |name, number| "#{Name.show(name)}: #{Lines.count(number)}" }
      end

      # Returns the number of records of an Array. Other objects may count something else, or have no methods.
      def records(output)
        return unless ::Array === output

        size = TypeHints.size(output)
        "#{Lines.count(size)} record#{"s" unless size == 1}"
      end

      def rule
        "━" * [RULE, @terminal.columns || RULE].min
      end

      def cut(text, less = 0)
        Text.cut(text, (@terminal.columns || WIDE) - less)
      end

      def mark(mark)
        @terminal.paint(mark, COLOURS.fetch(mark))
      end
    end
  end
end
