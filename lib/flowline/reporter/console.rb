# frozen_string_literal: true

module Flowline
  module Reporter
    # Writes a run as text for people, one line a step when it ends:
    #
    #   Pipeline: data_import
    #   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    #   ✓ fetch_users      0.52s   1,234 records
    #   ✗ transform        1.24s
    #   ⏸ load             run_failed
    #   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
    #   Elapsed: 1.76s | Steps: 1/3
    #
    # Lines fit a terminal: longer ones are wrapped or cut. Control characters in names and messages are shown, not obeyed.
    # Uses colours on a terminal only, and not if +NO_COLOR+ is set (https://no-color.org).
    class Console
      # Outcomes, as a character each.
      MARKS = { succeeded: "✓", cached: "✓", restored: "✓", skipped: "⏸", cancelled: "⏸", failed: "✗", timed_out: "✗" }.freeze

      # @param out [IO, Terminal] where to write
      # @param title [String, nil] the title, if not the name of the pipeline
      # @param verbose [Boolean] whether to write params, whole messages and the backtrace through the user's code, as well
      # @param steps [Boolean] whether to write more than failures
      # @param resume [String, #call, nil] the command that resumes a failed run, or what returns it for a run's id; +nil+: there is none
      # @example
      #   pipeline.run(reporter: Flowline::Reporter::Console.new($stdout, verbose: true))
      def initialize(out = $stderr, title: nil, verbose: false, steps: true, resume: "run(resume: true)")
        @terminal = Terminal === out ? out : Terminal.new(out)
        @lines = Lines.new(@terminal, title: title, verbose: verbose, resume: resume)
        @steps = steps
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        case event.name
        when :run_started then append(@lines.started(event)) if @steps
        when :step_retried then append(@lines.retried(event)) if @steps
        when :step_finished then append(@lines.step(event)) if @steps
        when :run_finished then append(@lines.finished(event, steps: @steps))
        end
      end

      private

      def append(lines)
        @terminal.write("#{lines.join("\n")}\n") if lines.any?
      end
    end
  end
end
