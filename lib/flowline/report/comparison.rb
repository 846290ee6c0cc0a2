# frozen_string_literal: true

module Flowline
  class Report
    # The differences from another run: its params, and the steps that ended otherwise or took another time.
    # @api private
    class Comparison
      include Markup

      # The most steps.
      ROWS = 30
      # Seconds that are no difference.
      LEAST = 0.005
      HEADS = %w[Step Then Now Difference Changes].freeze
      private_constant :ROWS, :LEAST, :HEADS

      # @param data [Data]
      def initialize(data)
        @data = data
        @other = data.other
      end

      # @return [String] HTML
      def to_s
        return "" unless @other

        rows = changes.first(ROWS).map { |name, now, before| row(name, now, before) }
        began = @other.started_at.strftime("%Y-%m-%d %H:%M:%S")
        sentence = "#{began}, #{word(@other.status)}: #{seconds(@other.length)} then, #{seconds(@data.length)} now."
        section("Compared with run #{@other.run_id}", tag(:p, text(sentence)), params,
                rows.empty? ? tag(:p, "No step differs.") : table("Differences", HEADS, rows))
      end

      private

      def params
        names = (@data.params.keys | @other.params.keys).reject { |name| @data.params[name] == @other.params[name] }
        list(names.map { |name| "#{code(name)}: #{text(@other.params[name] || "nil")} → #{text(@data.params[name] || "nil")}" }) if names.any?
      end

      # Steps that ended otherwise come first, then those whose times differ most.
      def changes
        names = @data.by_name.keys | @other.by_name.keys
        steps = names.map { |name| [name, @data.by_name[name], @other.by_name[name]] }
        changed = steps.reject { |_, now, before| now&.status == before&.status && change(now, before).abs < LEAST }
        changed.sort_by.with_index { |(_, now, before), at| [now&.status == before&.status ? 1 : 0, -change(now, before).abs, at] }
      end

      # Without a time there is nothing to compare.
      def change(now, before)
        now&.duration && before&.duration ? now.duration - before.duration : 0.0
      end

      def row(name, now, before)
        cells = [before, now].map { |step| step ? "#{word(step.status)} #{seconds(step.duration)}" : "—" }
        changed = @data.changes&.call(name).to_a.join("; ")
        cells.push(difference(now, before), short(changed, 400))
        tag(:tr, [tag(:th, text(caption(name)), scope: "row"), *cells.map { |cell| tag(:td, text(cell)) }])
      end

      def difference(now, before)
        return now ? "new" : "gone" unless now && before
        return "" unless now.duration && before.duration

        change = change(now, before)
        "#{change.negative? ? "−" : "+"}#{seconds(change.abs)}"
      end
    end
  end
end
