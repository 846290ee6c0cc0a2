# frozen_string_literal: true

module Flowline
  module Reporter
    # The block that describes why a run failed, in at most twelve rows: the error with the user's own line, the attempt and
    # its time, other failures, what was done and what was not, and how to resume. The last lines of the step's log follow.
    # @api private
    class Failure
      # Rows of the error's message.
      MESSAGE = 4
      # Other failures that are listed.
      OTHERS = 3
      # Rows of the message if the reporter is verbose.
      VERBOSE = 200
      # Columns of a row where the width of the terminal is not known: a message may be endless.
      WIDE = 500
      # Steps that were not done and are named.
      NAMED = 3
      # The statuses of steps in the order in which they are counted.
      ORDER = %i[succeeded cached restored skipped failed timed_out cancelled].freeze
      private_constant :MESSAGE, :OTHERS, :VERBOSE, :WIDE, :NAMED, :ORDER

      # @param event [Event] the end of the run
      # @param columns [Integer, nil] how wide a row may be
      # @param resume [String, nil] the command that resumes the run
      # @param verbose [Boolean] whether the whole message and the backtrace are wanted
      # @param log [Execution::Monitor, nil] has the last lines of steps
      def initialize(event, columns: nil, resume: nil, verbose: false, log: nil)
        @event = event
        @log = log
        @result = event.result
        @columns = columns
        @resume = resume.respond_to?(:call) ? resume.call(event.context.run_id) : resume if event.context.pipeline_name
        @verbose = verbose
        @here = "#{Dir.pwd}/"
      end

      # @return [Array<String>] the rows; the first is the error's
      def rows
        error = @result.error
        [*(describe(error) if error), *others(error), steps, *("  Resume with: #{@resume}" if @resume), *(backtrace(error) if @verbose && error),
         *log(error)]
      end

      private

      def describe(error)
        first, *more = words(error)
        safety = more.pop(last_rows(error)).flat_map { |line| wrap("    #{line}", "    ") }
        rows = wrap("✗ #{first}", "  ") + more.flat_map { |line| wrap("    #{line}", "    ") }
        source = source(error.location) if error.respond_to?(:location) && error.location
        rows = Text.limit(rows, @verbose ? VERBOSE : most(error), @columns || WIDE)
        rows.concat(safety)
        rows << cut("    #{source}") if source && more.none? { |line| line.strip == source } # Ruby's message may show it already.
        error.is_a?(StepError) ? rows.concat(details(error)) : rows
      end

      # Returns how many of the last lines of the message are never cut off: the one that says what resume does with items.
      def last_rows(error)
        error.is_a?(ItemsError) && error.counts.safety ? 1 : 0
      end

      # A failed item, or each of the first ones, has a row.
      def most(error)
        error.is_a?(ItemsError) ? ItemsError::SHOWN + 3 : MESSAGE
      end

      def details(error)
        return [] if error.is_a?(ItemsError) # They are in its message.

        safety = @result[error.step_name]&.items&.safety if error.step_name
        [cut("  #{circumstances(error)}"), *(wrap("  #{safety}", "    ") if safety)]
      end

      # @return [Array<String>] the lines of its message
      def words(error)
        text = @event.context.mask(Error.words(error)).gsub(@here, "").delete_suffix(CancelledError::ADVICE)
        Text.lines(text)
      end

      def circumstances(error)
        allowed = 1 + (@event.steps.find { |step| step.name == error.step_name }&.options&.fetch(:retries, nil) || 0)
        duration = @result[error.step_name]&.duration if error.step_name
        inputs = error.inputs.map { |name, kind| "#{Name.show(name)}: #{kind}" }
        ["attempt #{error.attempts} of #{[allowed, error.attempts].max}", *("after #{format("%.2fs", duration)}" if duration),
         *("inputs: #{inputs.join(", ")}" if inputs.any?)].join(", ")
      end

      def others(shown)
        errors = @result.failed_steps.map { |name| @result[name].error }.reject { |error| error.equal?(shown) }
        listed = errors.first(errors.size > OTHERS ? OTHERS - 1 : OTHERS).map { |error| cut("  also: #{words(error).first}") }
        listed << "  also: #{errors.size - listed.size} more" if errors.size > listed.size
        listed
      end

      def steps
        counts = @result.steps.group_by(&:status)
        left = [*counts[:cancelled], *counts[:skipped]].map { |step| Name.show(step.name) }
        named = "; not done: #{left.first(NAMED).join(", ")}#{" and #{left.size - NAMED} more" if left.size > NAMED}" if left.any?
        counted = ORDER.filter_map { |status| "#{counts[status].size} #{status.name.tr("_", " ")}" if counts.key?(status) }
        cut("  steps: #{counted.join(", ")}#{named}")
      end

      # @return [Array<String>] the last lines that the step has logged, or printed if that was captured
      def log(error)
        step = @event.steps.find { |known| known.name == error.step_name } if @log && error.respond_to?(:step_name) && error.step_name
        lines = step ? @log.last_lines(@log.id(step)) : []
        return [] if lines.empty?

        title = lines.one? ? "the last line" : "the last #{lines.size} lines"
        [cut("  #{title} of its log:"), *lines.map { |line| cut("    #{"[#{line.item + 1}] " if line.item}#{Text.line(line.text)}") }]
      end

      # The place of the error is in its message.
      def backtrace(error)
        Backtrace.clean(Backtrace.of(error)).to_a.map { |frame| "    #{Text.line(frame.delete_prefix(@here))}" }
      end

      # @return [String, nil] the user's line at that place
      def source(location)
        path, number = location.match(/\A(.+):(\d+)\z/)&.captures
        Text.line(Error.text(File.foreach(path).first(number.to_i).last.to_s).strip) if path && File.file?(path)
      end

      def cut(row)
        Text.cut(row, @columns || WIDE)
      end

      def wrap(row, indent)
        return [cut(row)] unless @columns
        return [row] if Text.width(row) <= @columns

        first, *others = Text.wrap(row.lstrip, [@columns - indent.size, 1].max)
        ["#{row[/\A */]}#{first}", *others.map { |other| "#{indent}#{other}" }]
      end
    end
  end
end
