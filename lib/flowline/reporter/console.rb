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
    # In a terminal, rows below these lines show what runs at the moment. Elsewhere lines are only appended; when nothing has
    # ended for a while, a line says what still runs. GitHub Actions gets a group of lines, and annotations.
    #
    # Lines fit a terminal: longer ones are wrapped or cut. Control characters in names and messages are shown, not obeyed.
    # Uses colours on a terminal only, and not if +NO_COLOR+ is set (https://no-color.org).
    class Console
      # Outcomes, as a character each.
      MARKS = { succeeded: "✓", cached: "✓", restored: "✓", skipped: "⏸", cancelled: "⏸", failed: "✗", timed_out: "✗" }.freeze
      # The values of +progress:+.
      PROGRESS = %i[auto live plain none].freeze
      OF_RUN = %i[run_started run_finished].freeze
      private_constant :OF_RUN

      # @param out [IO, Terminal] where to write
      # @param title [String, nil] the title, if not the name of the pipeline
      # @param verbose [Boolean] whether to write params, whole messages and the backtrace through the user's code, as well
      # @param progress [Symbol] +:auto+ (live rows in a terminal, unless standard output goes through a pipe), +:live+ (live rows in a
      #   terminal), +:plain+ (appended lines) or +:none+ (only warnings and failures)
      # @param resume [String, #call, nil] the command that resumes a failed run, or what returns it for a run's id; +nil+: there is none
      # @param advice [#call] returns a warning in the words of those who read it
      # @raise [ArgumentError] there is no such progress
      # @example
      #   pipeline.run(reporter: Flowline::Reporter::Console.new($stdout, progress: :plain))
      def initialize(out = $stderr, title: nil, verbose: false, progress: :auto, resume: "run(resume: true)", advice: :itself.to_proc)
        raise ArgumentError, "progress: must be one of #{PROGRESS.join(", ")}, not #{progress.inspect}" unless PROGRESS.include?(progress)

        @terminal = Terminal === out ? out : Terminal.new(out)
        @lines = Lines.new(@terminal, title: title, verbose: verbose, resume: resume, advice: advice)
        @steps = progress != :none
        @annotations = Annotations.for(@terminal) if @steps
        @redraws = @steps && progress != :plain && @terminal.redraws? && !(progress == :auto && piped?)
      end

      # @return [Array<Symbol>] the events that it receives
      def event_names
        @steps ? Event::ALWAYS : OF_RUN
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        return finish(event) if event.name == :run_finished

        @log = event.monitor if event.name == :run_started
        return unless @steps

        start(event) if event.name == :run_started
        @board.call(event)
        case event.name
        when :step_retried then append(@lines.retried(event)) unless @live
        when :step_finished then append(@lines.step(event))
        end
      end

      private

      # @return [Boolean] whether standard output goes through a pipe, which may end in the same terminal, as that of `tee` does
      def piped?
        STDOUT.stat.pipe? # rubocop:disable Style/GlobalStdStream -- what steps print goes there
      rescue SystemCallError, IOError
        false
      end

      def start(event)
        title = @lines.started(event)
        @board = Board.new(event)
        @live = Live.start(@terminal, @board, @lines.width) if @redraws
        @heartbeat = Heartbeat.new(@board) { |line| write([line]) } unless @live
        append(@annotations ? @annotations.open(title) : title)
      end

      def finish(event)
        @heartbeat&.stop
        lines = @lines.finished(event, @board, @log)
        lines = @annotations.close(event, lines) if @annotations
        live = @live
        @live = @heartbeat = nil
        live ? live.finish(lines) : write(lines)
      end

      def append(lines)
        lines = @annotations.shown(lines) if @annotations
        @live ? @live.append(lines) : write(lines)
        @heartbeat&.beat
      end

      def write(lines)
        @terminal.write("#{lines.join("\n")}\n") if lines.any?
      end
    end
  end
end
