# frozen_string_literal: true

module Flowline
  # Text for people: what a terminal would take as a command is shown instead of obeyed, and lines have a width.
  #
  # Names, messages and values come from anywhere. An escape sequence in one of them could move the cursor, set the title of
  # the window or hide what follows, and a mark for the direction of writing could reverse it.
  # @api private
  module Text
    # Control characters, line separators, marks for the direction of writing, and characters whose width terminals do not agree on:
    # the soft hyphen and the filler of Hangul.
    CONTROLS = /[\p{Cc}\u2028\u2029\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\u00AD\u3164]/
    private_constant :CONTROLS

    class << self
      # @param text [String]
      # @return [String] on one line, with its control characters shown as +\e+ or +\n+
      def line(text)
        CONTROLS.match?(text) ? text.gsub(CONTROLS) { |char| escape(char) } : text
      end

      # @param text [String]
      # @return [Array<String>] its lines that are not blank, each as {line}, tabs as spaces
      def lines(text)
        text.each_line(chomp: true).reject { |row| row.strip.empty? }.map { |row| line(row.delete_suffix("\r").gsub("\t", "    ")) }
      end

      # @param text [String]
      # @return [String] the same as a paragraph: its line breaks stay
      def plain(text)
        CONTROLS.match?(text) ? text.split("\n", -1).map { |row| line(row.delete_suffix("\r").gsub("\t", "    ")) }.join("\n") : text
      end

      # @param text [String] on one line
      # @return [Integer] the columns that it takes in a terminal
      def width(text)
        text.ascii_only? ? text.size : Native.text_width(text)
      end

      # @param text [String] on one line
      # @param columns [Integer]
      # @return [String] as much of it as fits, with an ellipsis if that is not all
      def cut(text, columns)
        text.ascii_only? && text.size <= columns ? text : Native.cut_text(text, columns)
      end

      # @param text [String] on one line
      # @param columns [Integer]
      # @return [String] cut or filled up to exactly that width
      def fit(text, columns)
        text = cut(text, columns)
        text + (" " * (columns - width(text)))
      end

      # @param text [String] on one line
      # @param columns [Integer]
      # @return [String] filled up to at least that width
      def pad(text, columns)
        text + (" " * [columns - width(text), 0].max)
      end

      # Wraps a line between its words, and within a word that is longer than a line.
      # @param text [String] on one line
      # @param columns [Integer]
      # @return [Array<String>]
      def wrap(text, columns)
        return [text] if width(text) <= columns

        text.scan(/\S+\s*/).flat_map { |word| pieces(word, columns) }.each_with_object([+""]) do |word, rows|
          rows << +"" if !rows.last.empty? && width(rows.last) + width(word.rstrip) > columns
          rows.last << word
        end.map(&:rstrip)
      end

      # @param rows [Array<String>]
      # @param most [Integer]
      # @param columns [Integer]
      # @return [Array<String>] so many at most, the last with an ellipsis if there were more
      def limit(rows, most, columns)
        rows.size <= most ? rows : [*rows.first(most - 1), "#{cut(rows[most - 1], columns - 2)} …"]
      end

      private

      def escape(char)
        char.ascii_only? ? char.inspect[1..-2] : format("\\u%04X", char.ord)
      end

      def pieces(word, columns)
        return [word] if width(word) <= columns

        word.each_char.with_object([+""]) do |char, rows|
          rows << +"" if width(rows.last) + width(char) > columns
          rows.last << char
        end
      end
    end
  end
end
