# frozen_string_literal: true

module Flowline
  module Reporter
    # The lower rows of a terminal that are drawn again and again, and the lines that are added above them. Each frame is one
    # +write+: it erases the rows of the last frame, adds lines, and draws the new rows.
    #
    # The cursor, which is hidden, stays at the beginning of the first row. When a window is resized, terminals wrap the rows again and
    # move the cursor with its row, some of them before they tell the new size; so everything from the cursor on is always what has to
    # be erased. Rows are drawn without automatic wrapping: each is one line, even if the terminal is narrower by now.
    # @api private
    class Screen
      HIDE = "\e[?25l"
      SHOW = "\e[?25h"
      # Erases what is from the cursor on: first its line, because tmux moves a screen into its history that is erased from the first
      # column of the first line on.
      ERASE = "\r\e[K\e[C\e[J\r"
      # Automatic wrapping.
      CUT = "\e[?7l"
      WRAP = "\e[?7h"
      # The next line. The kernel passes on at once what has no line feed in it, so that no resize comes between the rows of a frame
      # and the way back to the first of them.
      DOWN = "\r\eD"
      # Seconds without another size after which a terminal is no longer being resized.
      STEADY = 0.3
      private_constant :STEADY, :HIDE, :SHOW, :ERASE, :CUT, :WRAP, :DOWN

      # @param terminal [Terminal]
      # @param io [IO] the terminal itself
      def initialize(terminal, io)
        @terminal = terminal
        @io = io
      end

      # While an edge of a window is dragged nothing is drawn, because a frame that the terminal gets between two sizes may stay.
      # @param size [Array(Integer, Integer)] of the terminal
      # @return [Boolean] whether it has had this size for a while
      def steady?(size)
        now = ::Process.clock_gettime(::Process::CLOCK_MONOTONIC)
        @changed = now unless @size.nil? || @size == size
        @size = size
        @changed.nil? || now - @changed >= STEADY
      end

      # @param added [String] whole lines to add above the rows
      # @param rows [Array<String>] at least one column narrower than the terminal
      # @return [void]
      def frame(added, rows)
        text = (@open ? ERASE : HIDE).b << added.b << CUT << @terminal.encode(rows.join(DOWN)).b << WRAP << "\r"
        text << "\e[#{rows.size - 1}A" if rows.size > 1
        @open = true
        write(text)
      end

      # Removes the rows, adds lines, and shows the cursor again.
      # @param added [String]
      # @return [void]
      def close(added)
        text = (@open ? ERASE : "").b << added.b
        text << SHOW if @open
        @open = false
        write(text) unless text.empty?
      end

      private

      def write(text)
        @io.write(text)
        @io.flush
      end
    end
  end
end
