# frozen_string_literal: true

module Flowline
  class Web
    # Lines of a log as HTML.
    # @api private
    class Lines
      include Report::Markup

      # Characters of a line.
      LONGEST = 2_000
      private_constant :LONGEST

      # @param lines [Array<Flowline::History::Line>]
      # @param steps [Boolean] whether each line names its step
      def initialize(lines, steps: true)
        @lines = lines
        @steps = steps
      end

      # @return [Array<String>] a list item for each line
      def items
        @lines.map { |line| tag(:li, "#{about(line)} #{words(line)}", class: ("bad" if bad?(line))) }
      end

      # @param label [String] for those who do not see the page
      # @return [String] the list, which scrolls by itself
      def list(label, **attributes)
        tag(:ol, items.join("\n"), class: "log", tabindex: 0, aria_label: label, **attributes)
      end

      private

      def about(line)
        source = [("#{Name.show(line.step || "run")}#{"[#{line.item + 1}]" if line.item}" if @steps || line.item),
                  ("attempt #{line.attempt}" if line.attempt.to_i > 1), (line.level || line.stream unless line.level == :info)].compact
        tag(:time, line.time.strftime("%H:%M:%S.%L"), datetime: line.time.getutc.strftime("%Y-%m-%dT%H:%M:%S.%LZ")) +
          (source.any? ? " #{tag(:b, text(short(source.join(" "), 120)))}" : "")
      end

      def words(line)
        text(short(Text.line(line.text), LONGEST))
      end

      def bad?(line)
        line.stream == :err || %i[error fatal].include?(line.level)
      end
    end
  end
end
