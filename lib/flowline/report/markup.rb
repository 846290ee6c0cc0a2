# frozen_string_literal: true

module Flowline
  class Report
    # Builds HTML. Content is HTML, which {#text} makes of anything; attributes are escaped.
    # @api private
    module Markup
      # A mark for each status, as well as a colour; the stylesheet has the same marks.
      MARKS = { succeeded: "✓", failed: "✗", timed_out: "◔", crashed: "†", cancelled: "⊘", running: "▸", waiting: "◌", cached: "◆", restored: "↺",
                skipped: "–", pending: "·" }.freeze

      private

      # @param name [Symbol]
      # @param content [String, Array<String, nil>] HTML
      # @param attributes [Hash{Symbol => Object}] nil and false are left out
      # @return [String]
      def tag(name, content = "", **attributes)
        written = attributes.filter_map do |key, value|
          next if value.nil? || value == false

          value == true ? " #{key}" : " #{key.name.tr("_", "-")}=\"#{text(value)}\""
        end
        "<#{name}#{written.join}>#{Array(content).join}</#{name}>"
      end

      def text(value)
        Page.text(value)
      end

      def code(value)
        tag(:code, text(value))
      end

      def section(title, *content, **attributes)
        tag(:section, [tag(:h2, text(title)), *content], **attributes)
      end

      def list(items)
        tag(:ul, items.map { |item| tag(:li, item) })
      end

      # A table that scrolls by itself, also by the keyboard.
      def table(label, heads, rows, **attributes)
        head = tag(:thead, tag(:tr, heads.map { |name| tag(:th, name, scope: "col") }))
        scroll(label, tag(:table, [head, tag(:tbody, rows.join("\n"))], **attributes))
      end

      # A field of a form.
      def input(**attributes)
        tag(:input, **attributes).delete_suffix("</input>")
      end

      # A row of a table. A cell in an Array is long, and may be broken into lines.
      def line(name, *cells, **attributes)
        rest = cells.map { |cell| cell.is_a?(Array) ? tag(:td, cell, class: "long") : tag(:td, cell.to_s) }
        tag(:tr, [tag(:th, name, scope: "row"), *rest], **attributes)
      end

      def scroll(label, content)
        tag(:div, content, class: "scroll", tabindex: 0, role: "group", aria_label: label)
      end

      # A status or a reason, for people.
      def word(status)
        status.to_s.tr("_", " ")
      end

      # @param error [String] the message of a run
      # @return [String] its first line, with the next one if that is announced: the first item that failed
      def first_line(error)
        first, second = error.lines(chomp: true)
        first.to_s.end_with?(":") && second ? "#{first} #{second.strip}" : first.to_s
      end

      def short(value, most)
        value.size > most ? "#{value[0, most]}…" : value
      end

      # A name on one line, as text, cut if it is long.
      def caption(name, most = 80)
        short(Name.show(name), most)
      end

      def seconds(time)
        return "" unless time
        return "#{(time / 60).floor}m #{format("%02d", time % 60)}s" if time >= 60

        format(time < 1 ? "%.3fs" : "%.2fs", time)
      end
    end
  end
end
