# frozen_string_literal: true

module Flowline
  module CLI
    # The live rows of a run in another process, below the lines that are added. They are drawn in the thread that calls {#draw}.
    # @api private
    class WatchedScreen
      # @param out [IO]
      # @param run [History::Run]
      # @param timings [Hash{String => Float}]
      # @return [WatchedScreen, nil] nil: it is no terminal that can be redrawn
      def self.for(out, run, timings)
        terminal = Reporter::Terminal.new(out)
        new(terminal, out, WatchedBoard.new(run, timings)) if terminal.redraws?
      end

      def initialize(terminal, out, board)
        @terminal = terminal
        @board = board
        @screen = Reporter::Screen.new(terminal, out)
        @suspension = Reporter::Suspension.new
        @added = []
        @tick = 0
      end

      # Adds a line above the rows, when they are drawn the next time.
      # @param line [String]
      # @return [void]
      def puts(line)
        @added << @terminal.encode("#{line}\n")
      end

      # @param run [History::Run]
      # @return [void]
      def update(run)
        @board.update(run)
      end

      # @return [void]
      def draw
        @suspension.take { @screen.close("") }
        lines, columns = size = @terminal.size
        view = Reporter::View.new(columns, lines, width: @board.width, unicode: @terminal.unicode?)
        rows = @screen.steady?(size) ? view.rows(@board.state, @tick += 1) : []
        @screen.frame(@added.shift(@added.size).map(&:b).join, rows)
      end

      # Removes the rows, and shows the cursor again.
      # @return [void]
      def close
        @suspension.close
        @screen.close(@added.shift(@added.size).map(&:b).join)
      end
    end
  end
end
