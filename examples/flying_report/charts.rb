# frozen_string_literal: true

# Charts as SVG, without a library. Each has a title and a description for screen readers, and follows the reader's colours.
module FlyingReport
  module Charts
    STYLE = <<~CSS
      .chart { --ink: #1f2328; --soft: #59636e; --line: #d5dae0; --a: #0a5fc4; --b: #8fb8ea; --c: #8a949e; --d: #e0a82e; --e: #c9d6e4;
               font: 13px system-ui, sans-serif; max-width: 100%; height: auto; }
      .chart text { fill: var(--ink); } .chart .soft { fill: var(--soft); } .chart .end { text-anchor: end; } .chart .middle { text-anchor: middle; }
      .chart line, .chart circle.ring { stroke: var(--line); fill: none; } .chart .head { font-weight: 600; font-size: 15px; }
      .chart .a { fill: var(--a); } .chart .b { fill: var(--b); } .chart .c { fill: var(--c); } .chart .d { fill: var(--d); } .chart .e { fill: var(--e); }
      @media (prefers-color-scheme: dark) {
        .chart { --ink: #e6edf3; --soft: #a3adb8; --line: #3a424b; --a: #6cb0ff; --b: #2f5e96; --c: #59636e; --d: #b8860b; --e: #33485f; }
      }
    CSS
    WIDTH = 640

    # A picture to which elements are added.
    class Chart
      attr_reader :height

      def initialize(title, description, height)
        @title = title
        @description = description
        @height = height
        @elements = [element(:text, title, class: "head", x: 8, y: 20)]
      end

      # @param title [String, nil] what a pointer that rests on it shows
      def add(name, text = nil, title: nil, **attributes)
        @elements << element(name, text, title, **attributes)
      end

      def to_s
        <<~SVG
          <svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 #{WIDTH} #{height}" width="#{WIDTH}" height="#{height}" role="img">
          <title>#{Charts.escape(@title)}</title><desc>#{Charts.escape(@description)}</desc><style>#{STYLE}</style>
          #{@elements.join("\n")}
          </svg>
        SVG
      end

      private

      def element(name, text, title = nil, **attributes)
        given = attributes.map { |key, value| %( #{key}="#{value.is_a?(Float) ? value.round(1) : value}") }.join
        "<#{name}#{given}>#{"<title>#{Charts.escape(title)}</title>" if title}#{Charts.escape(text)}</#{name}>"
      end
    end

    # Bars of parts that are stacked on each other.
    class Bars < Chart
      TOP = 62
      LEFT = 48
      STEPS = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500].freeze

      # @param columns [Hash{String => Hash{String => Numeric}}] by label of the column, the height of each part, by name
      # @param unit [String] of the heights
      # @param colours [Array<String>] classes of STYLE, one for each part
      def initialize(title, description, columns, unit:, colours: ["a"])
        super(title, description, 300)
        @unit = unit
        @colours = colours
        axis(columns.values.map { |parts| parts.values.sum.round }.max)
        width = (WIDTH - 8 - LEFT) / columns.size.to_f
        columns.each.with_index { |(label, parts), index| column(label, parts, LEFT + (index * width), width) }
        legend(columns.values.first.keys) if colours.size > 1
      end

      private

      def bottom = height - 30

      def axis(most)
        step = STEPS.find { |size| most / size <= 5 }
        ticks = (most / step.to_f).ceil
        @scale = (bottom - TOP) / (ticks * step).to_f
        (0..ticks).each do |tick|
          y = bottom - (tick * step * @scale)
          add(:line, x1: LEFT, x2: WIDTH - 8, y1: y, y2: y)
          add(:text, tick * step, class: "soft end", x: LEFT - 6, y: y + 4)
        end
        add(:text, @unit, class: "soft end", x: LEFT - 6, y: TOP - 14)
      end

      def column(label, parts, x, width)
        add(:text, label, class: "soft middle", x: x + (width / 2), y: bottom + 18)
        parts.zip(@colours).inject(bottom) do |y, ((name, value), colour)|
          top = y - (value * @scale)
          add(:rect, class: colour, x: x + (width * 0.15), y: top, width: width * 0.7, height: y - top, title: "#{label}: #{name} #{value} #{@unit}")
          top
        end
      end

      def legend(names)
        names.zip(@colours).each.with_index do |(name, colour), index|
          x = LEFT + (index * 110)
          add(:rect, class: colour, x: x, y: 32, width: 12, height: 12)
          add(:text, name, x: x + 18, y: 43)
        end
      end
    end

    # Places around the first one.
    class Map < Chart
      # @param places [Array<Hash>] with `east` and `north` of the first, in km, `label` and `title`
      # @param rings [Array<Integer>] distances in km
      def initialize(title, description, places, rings:)
        super(title, description, 560)
        @x = WIDTH / 2.0
        @y = (height + 30) / 2.0
        @scale = (height - 62) / 2.0 / rings.max
        @labels = []
        rings.each { |km| ring(km) }
        places.each { |place| dot(**place, home: place.equal?(places.first)) }
      end

      private

      def ring(km)
        add(:circle, class: "ring", cx: @x, cy: @y, r: km * @scale)
        at = km * @scale * Math.sqrt(0.5)
        label("#{km} km", @x + at + 4, @y + at + 12, class: "soft")
      end

      def dot(east:, north:, label:, title:, home:)
        x = @x + (east * @scale)
        y = @y - (north * @scale)
        add(:circle, class: home ? "d" : "a", cx: x, cy: y, r: home ? 7 : 5, title: title)
        label(label, x + 9, y + 4)
      end

      # Adds a label unless it would cover another one. A letter is about 8 wide.
      def label(text, x, y, **attributes)
        right = x + (8 * text.size)
        return if @labels.any? { |left, base, width| x < left + width && left < right && (base - y).abs < 15 }

        @labels << [x, y, right - x]
        add(:text, text, x: x, y: y, **attributes)
      end
    end

    def self.escape(text) = text.to_s.gsub(/[&<>"]/, "&" => "&amp;", "<" => "&lt;", ">" => "&gt;", '"' => "&quot;")
  end
end
