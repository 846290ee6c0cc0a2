# frozen_string_literal: true

module Flowline
  class Report
    # How long the last runs of the pipeline took, with this one as the last.
    # @api private
    class Trend
      include Markup

      # The most earlier runs.
      RUNS = 30
      # The size of a bar.
      HEIGHT = 72
      STEP = 16
      private_constant :HEIGHT, :STEP

      # @param data [Data]
      def initialize(data)
        @data = data
      end

      # @return [String] HTML
      def to_s
        past = @data.runs.select(&:last).first(RUNS).reverse
        return "" if past.size < 2

        usual = past.map(&:last).sort[past.size / 2]
        section("Last runs", tag(:p, "This one took #{seconds(@data.length)}; the median of the #{past.size} before is #{seconds(usual)}."),
                chart([*past, [@data.run_id, @data.status, @data.started_at, @data.length]]))
      end

      private

      def chart(runs)
        longest = [runs.map(&:last).max, 1e-9].max
        bars = runs.each_with_index.map { |run, at| bar(run, at * STEP, [(run.last / longest * HEIGHT).round, 1].max) }
        width = runs.size * STEP
        tag(:svg, bars, class: "trend", viewBox: "0 0 #{width} #{HEIGHT}", width: width, height: HEIGHT, role: "img",
                        aria_label: "Durations of the last #{runs.size} runs")
      end

      def bar((id, status, time, duration), left, height)
        title = "#{time.strftime("%Y-%m-%d %H:%M")}  #{seconds(duration)}  #{word(status)}  #{id}"
        tag(:rect, tag(:title, text(title)), class: status, x: left, y: HEIGHT - height, width: STEP - 4, height: height)
      end
    end
  end
end
