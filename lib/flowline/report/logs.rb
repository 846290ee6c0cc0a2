# frozen_string_literal: true

module Flowline
  class Report
    # The last lines of the logs of a recorded run, as far as a page has room for them: those of the steps first that deserve attention.
    # @api private
    class Logs
      # The most steps, lines of a step, characters of a line, and characters of all.
      STEPS = 200
      LINES = 20
      WIDE = 500
      MOST = 60_000
      private_constant :STEPS, :LINES, :WIDE, :MOST

      # @param run [History::Run]
      def initialize(run)
        @run = run
      end

      # Writes them into the steps.
      # @param steps [Array<Step>] in the order of the steps of the run
      # @return [void]
      def apply(steps)
        left = MOST
        called.each do |step, at|
          break if left <= 0

          lines = @run.last_lines(step.name, LINES)
          next if lines.empty?

          steps[at].log = lines.map { |line| text(line) }.join("\n")[0, left]
          left -= steps[at].log.size
        end
      end

      private

      def called
        steps = @run.steps.each_with_index.select { |step, _| step.started_at || step.status == :running }
        steps.min_by(STEPS) { |step, at| [Data::ORDER.index(step.status) || 0, at] }
      end

      def text(line)
        item = "[#{line.item + 1}] " if line.item
        "#{line.time.strftime("%H:%M:%S.%L")} #{item}#{Text.line(line.text)[0, WIDE]}"
      end
    end
  end
end
