# frozen_string_literal: true

module Flowline
  module Reporter
    # The lower rows of a terminal that are drawn again and again, and the lines that are added above them. Each frame is one
    # +write+: it erases the rows of the last frame, adds lines, and draws the new rows.
    #
    # Most terminals wrap rows again when their window gets narrower, so that the rows of the last frame take more lines than
    # before. Some don't, and there erasing more lines would erase what is above.
    # @api private
    class Screen
      HIDE = "\e[?25l"
      SHOW = "\e[?25h"
      private_constant :HIDE, :SHOW

      # @param terminal [Terminal]
      # @param io [IO] the terminal itself
      def initialize(terminal, io)
        @terminal = terminal
        @io = io
        @drawn = []
        @wraps = !ENV.key?("XTERM_VERSION") && !ENV.key?("STY") && ENV["TERM"] != "linux"
      end

      # @param added [String] whole lines to add above the rows
      # @param rows [Array<String>] at least one column narrower than the terminal
      # @param columns [Integer] of the terminal
      # @return [void]
      def frame(added, rows, columns)
        text = "".b
        text << HIDE unless @columns
        text << erase(columns) << added.b << @terminal.encode(rows.join("\n")).b
        @columns = columns
        @drawn = rows
        write(text)
      end

      # Removes the rows, adds lines, and shows the cursor again.
      # @param added [String]
      # @return [void]
      def close(added)
        text = erase(@terminal.size(@io).last).b << added.b
        text << SHOW if @columns
        @drawn = []
        @columns = nil
        write(text) unless text.empty?
      end

      private

      def erase(columns)
        return "" if @drawn.empty?

        above = @drawn.sum { |row| lines(row, columns) } - 1
        "\r#{"\e[#{above}A" if above.positive?}\e[J"
      end

      # Returns how many lines a row of the last frame takes now.
      def lines(row, columns)
        @wraps && columns < @columns ? [Text.width(row).fdiv(columns).ceil, 1].max : 1
      end

      def write(text)
        @io.write(text)
        @io.flush
      end
    end
  end
end
