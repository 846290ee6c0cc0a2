# frozen_string_literal: true

module Flowline
  module Reporter
    # Writes a run as text, one line a step when it ends:
    #
    #   Pipeline: data_import
    #   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    #   ✓ fetch_users      0.52s   1,234 records
    #   ✗ transform        1.24s
    #   ⏸ load             run_failed
    #   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    #   Elapsed: 1.76s | Steps: 1/3
    #
    # Uses colours on a terminal only, and not if +NO_COLOR+ is set (https://no-color.org).
    class Console
      # Outcomes, as a character each.
      MARKS = { succeeded: "✓", cached: "✓", restored: "✓", skipped: "⏸", cancelled: "⏸", failed: "✗", timed_out: "✗" }.freeze
      COLOURS = { "✓" => 32, "✗" => 31, "⏸" => 33, "⚠" => 33 }.freeze
      RULE = "━" * 40
      WIDTHS = (14..40)
      OWN = File.expand_path("..", __dir__)
      private_constant :COLOURS, :RULE, :WIDTHS, :OWN

      # @param out [IO] where to write
      # @param title [String, nil] the title, if not the name of the pipeline
      # @param verbose [Boolean] whether to write params, and the backtrace through the user's code, as well
      # @param steps [Boolean] whether to write more than failures
      # @param resume [String, nil] the command that resumes a failed run; +nil+: there is none
      def initialize(out = $stderr, title: nil, verbose: false, steps: true, resume: "run(resume: true)")
        @out = out
        @title = title
        @verbose = verbose
        @steps = steps
        @resume = resume
        @here = "#{Dir.pwd}/"
        @colour = out.respond_to?(:tty?) && out.tty? && ENV.fetch("NO_COLOR", "").empty? && ENV["TERM"] != "dumb"
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        case event.name
        when :run_started then started(event)
        when :step_retried then retried(event) if @steps
        when :step_finished then step(event) if @steps
        when :run_finished then finished(event)
        end
      end

      private

      def started(event)
        @width = (event.steps.map { |step| Name.show(step.name).size }.max || 0).clamp(WIDTHS)
        @done = 0
        return unless @steps

        line("Pipeline: #{@title || event.context.pipeline_name || "unnamed"}")
        event.context.public_params.each { |name, value| line("  #{Name.show(name)}: #{value}") } if @verbose
        line(RULE)
      end

      def step(event)
        result = event.result
        @done += 1 if result.output?
        columns = [Name.show(result.name).ljust(@width), timing(result), remark(result)]
        line("#{mark(MARKS.fetch(result.status))} #{columns.compact.join("   ").rstrip}")
      end

      def timing(result)
        result.duration ? format("%.2fs", result.duration) : (result.reason || result.status).to_s
      end

      def retried(event)
        error, attempt, wait, item = event.result.to_a
        text = event.context.mask("attempt #{attempt} failed: #{Error.account(error, Error.words(error).lines.first.to_s.chomp)}")
        again = wait.zero? ? "again at once" : format("again in %.2fs", wait)
        line("↻ #{Name.show(event.step.name).ljust(@width)}   #{"item #{item}, " if item}#{text}; #{again}")
      end

      def finished(event)
        result = event.result
        result.warnings.each { |warning| line("#{mark("⚠")} #{Name.show(warning)}") }
        failure(event) unless result.success?
        return unless @steps

        line(RULE)
        line("Elapsed: #{format("%.2fs", result.duration)} | Steps: #{@done}/#{event.steps.size}")
      end

      # Writes at most 12 lines, unless verbose: the error and its line, what was done and what was not, and how to resume.
      def failure(event)
        result = event.result
        error = result.error
        line("")
        describe(event, error) if error
        others(event)
        counts = result.steps.group_by(&:status).transform_values(&:size)
        line("  steps: #{counts.map { |status, count| "#{count} #{status}" }.join(", ")}")
        line("  Resume with: #{@resume}") if resumable?(event)
        backtrace(error) if @verbose && error
      end

      def describe(event, error)
        words = words(event, error).first(4)
        line("#{mark("✗")} #{words.join("\n  ")}")
        source = source(error.place) if error.respond_to?(:place) && error.place
        line("    #{source}") unless source.nil? || words.any? { |text| text.strip == source } # Ruby's message may show it already.
        line("  #{facts(error)}") if error.is_a?(StepError)
      end

      # Lists the other failures.
      def others(event)
        errors = event.result.failed_steps.map { |name| event.result[name].error }.reject { |error| error.equal?(event.result.error) }
        errors.first(errors.size > 3 ? 2 : 3).each { |error| line("  also: #{words(event, error).first}") }
        line("  also: #{errors.size - 2} more") if errors.size > 3
      end

      # @return [Array<String>] lines
      def words(event, error)
        text = event.context.mask(error.message).gsub(@here, "")
        text = text.delete_suffix(CancelledError::ADVICE) if @resume.nil? || resumable?(event) # There is none, or a line of its own.
        text.lines(chomp: true).reject(&:empty?)
      end

      def resumable?(event)
        @resume && event.context.pipeline_name
      end

      def facts(error)
        inputs = error.inputs.map { |name, kind| "#{Name.show(name)}: #{kind}" }
        ["attempts: #{error.attempts}", *("inputs: #{inputs.join(", ")}" if inputs.any?)].join(", ")
      end

      def backtrace(error)
        error.backtrace&.each { |frame| line("    #{frame}") unless frame.start_with?(OWN) }
      end

      # @return [String, nil] the user's line at that place
      def source(place)
        path, number = place.match(/\A(.+):(\d+)\z/)&.captures
        File.foreach(path).first(number.to_i).last.to_s.strip[0, 100] if path && File.file?(path)
      end

      def remark(result)
        words = [records(result.output), ("timed out" if result.status == :timed_out), ("#{result.attempts} attempts" if result.attempts > 1)].compact
        words.join(", ") unless words.empty?
      end

      # Returns the number of records of an output. Only an Array or a Hash is counted, because other objects may have no
      # methods.
      def records(output)
        return unless ::Array === output || ::Hash === output

        size = TypeHints.size(output)
        "#{size.to_s.gsub(/(?<=\d)(?=(\d{3})+\z)/, ",")} record#{"s" unless size == 1}"
      end

      def mark(mark)
        @colour ? "\e[#{COLOURS.fetch(mark)}m#{mark}\e[0m" : mark
      end

      def line(text)
        @out.puts(text)
      end
    end
  end
end
