# frozen_string_literal: true

module Flowline
  class Report
    # Runs as bars, as high as they took long.
    # @api private
    class Bars
      include Markup

      # The width of a bar with its gap.
      STEP = 16
      private_constant :STEP

      # @param runs [Array<#run_id, #status, #started_at, #duration>] the earliest first; a run without a duration has a low bar
      # @param height [Integer] of the longest one
      def initialize(runs, height: 24)
        @runs = runs
        @height = height
      end

      # @return [String] SVG
      def to_s
        return "" if @runs.empty?

        longest = [@runs.map { |run| run.duration.to_f }.max, 1e-9].max
        bars = @runs.each_with_index.map { |run, at| bar(run, at * STEP, [(run.duration.to_f / longest * @height).round, 1].max) }
        width = @runs.size * STEP
        tag(:svg, bars, class: "trend", viewBox: "0 0 #{width} #{@height}", width: width, height: @height, role: "img",
                        aria_label: "Durations of the last #{@runs.size} runs")
      end

      private

      def bar(run, left, height)
        title = "#{run.started_at.strftime("%Y-%m-%d %H:%M")}  #{seconds(run.duration)}  #{word(run.status)}  #{run.run_id}"
        tag(:rect, tag(:title, text(title)), class: run.status, x: left, y: @height - height, width: STEP - 4, height: height)
      end
    end
  end
end
