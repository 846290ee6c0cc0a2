# frozen_string_literal: true

module Flowline
  module Reporter
    # Where a reporter writes: whether it is a terminal, its size, colours and characters.
    # @api private
    class Terminal
      # The values of +color:+.
      COLOR = %i[auto always never].freeze
      COLOURS = { green: 32, red: 31, yellow: 33, blue: 34, dim: 2, bold: 1 }.freeze
      # The marks of a terminal that has no UTF-8, by what they stand for.
      ASCII = { "✓" => "+", "✗" => "x", "⏸" => "-", "⚠" => "!", "↻" => "~", "━" => "=", "…" => ">", "→" => ">", "·" => "|", "×" => "x" }.freeze
      # The size of a terminal that does not tell it.
      SIZE = [24, 80].freeze
      private_constant :COLOURS, :ASCII, :SIZE

      # @return [IO]
      attr_reader :io

      # @param io [IO]
      # @param color [Symbol] +:auto+ (on a terminal, unless +NO_COLOR+ is set), +:always+ or +:never+
      # @raise [ArgumentError] it is none of these
      def initialize(io, color: :auto)
        raise ArgumentError, "color: must be one of #{COLOR.join(", ")}, not #{color.inspect}" unless COLOR.include?(color)

        @io = io
        @tty = io.respond_to?(:tty?) && io.tty?
        require "io/console" if @tty
        @dumb = ENV["TERM"] == "dumb"
        @colour = color == :always || (color == :auto && @tty && !@dumb && ENV.fetch("NO_COLOR", "").empty?)
        @unicode = !@tty || Encoding.find("locale") == Encoding::UTF_8
      end

      # @return [Boolean] whether it is a terminal
      def tty? = @tty

      # @return [Boolean] whether rows that were written can be written again
      def redraws? = @tty && !@dumb

      # @return [Boolean] whether it shows more than ASCII
      def unicode? = @unicode

      # @param io [IO] the terminal, if {#io} is redirected
      # @return [Array(Integer, Integer)] rows and columns
      def size(io = @io)
        rows, columns = io.winsize if @tty && io.respond_to?(:winsize)
        rows&.positive? && columns.positive? ? [rows, columns] : SIZE
      rescue SystemCallError
        SIZE
      end

      # @return [Integer, nil] how wide a line may be; nil if it is not a terminal
      def columns
        size.last if @tty
      end

      # @param text [String]
      # @param colour [Symbol]
      # @return [String]
      def paint(text, colour)
        @colour ? "\e[#{COLOURS.fetch(colour)}m#{text}\e[0m" : text
      end

      # @param text [String]
      # @return [String] the text in characters that it can show
      def encode(text)
        return text if @unicode || text.ascii_only?

        text.gsub(/[^\x00-\x7F]/) { |char| ASCII.fetch(char, "?") }
      end

      # Writes text in one piece.
      # @param text [String]
      # @return [void]
      def write(text)
        @io.write(encode(text))
        @io.flush if @io.respond_to?(:flush)
      end
    end
  end
end
