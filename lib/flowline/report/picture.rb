# frozen_string_literal: true

module Flowline
  class Report
    # A picture of a graph, drawn by the core.
    # @api private
    class Picture
      # The most steps on the sheets of a page that show what is folded.
      BUDGET = 4_000
      # The most pixels of a picture that can be read when it is made as wide as a page.
      WIDEST = 1_900
      private_constant :BUDGET, :WIDEST

      # @param nodes [Array<Array>] +[name, label, group, state, note, title, link, many]+, by position
      # @param edges [Array<Array>] +[from, to, label]+
      # @param groups [Array<Array>] +[label, parent]+
      def initialize(nodes, edges, groups)
        @parts = [nodes, edges, groups]
      end

      # @param folded [Boolean] whether to fold what is too large to be read
      # @return [String] a document of its own, with its stylesheet
      # @raise [Error] it is not folded, and has too many steps
      def svg(folded: true)
        Native.svg(*@parts, folded).sub(">", "><style>#{Page.asset("picture.css")}</style>")
      end

      # @param folded [Boolean] whether to fold what is too large to be read
      # @return [String] the graph and the geometry of its picture
      # @raise [Error] it is not folded, and has too many steps
      def json(folded: true)
        Native.diagram_json(*@parts, folded)
      end

      # @param title [String]
      # @return [String] a page, on which what is folded can be opened
      def html(title)
        Page.new(title, "<main><h1>#{Page.text(title)}</h1>#{sheets}</main>").to_s
      end

      # @param budget [Integer] the most steps on the sheets that show what is folded
      # @return [String] the picture and its sheets, as HTML. The whole stands last, so that a stylesheet can hide it while
      #   another one is shown
      def sheets(budget = BUDGET)
        sheets = Native.sheets(*@parts, budget)
        titles = sheets.map { |_, title| title.empty? ? "All steps" : title }
        parts = sheets.each_with_index.map do |(svg, _, parent), at|
          "<section class=\"sheet\" id=\"sheet-#{at}\" tabindex=\"-1\" aria-label=\"#{Page.text(titles[at])}\">#{way(sheets, titles, parent, at)}" \
            "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Graph\">#{fitting(svg)}</div></section>"
        end
        parts.rotate(1).join("\n")
      end

      private

      # A picture that is not much wider than a screen is made as wide as the page.
      def fitting(svg)
        svg[/ width="(\d+)"/, 1].to_i <= WIDEST ? svg.sub('class="picture"', 'class="picture fits"') : svg
      end

      # Returns the links from a sheet to those around it.
      def way(sheets, titles, parent, sheet)
        return "" if sheet.zero?

        around = [parent]
        around.unshift(sheets[around.first][2]) until around.first.zero?
        links = around.map { |outer| "<a href=\"#sheet-#{outer}\">#{Page.text(titles[outer])}</a>" }
        "<p class=\"way\">#{[*links, "<b>#{Page.text(titles[sheet])}</b>"].join(" › ")}</p>"
      end
    end
  end
end
