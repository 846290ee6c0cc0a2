# frozen_string_literal: true

module Flowline
  class Report
    # Runs as bars, as high as they took long. Below those that did not succeed there is the mark of their status.
    # @api private
    class Bars
      include Markup

      # The width of a bar with its gap.
      STEP = 16
      # The height of a mark.
      MARK = 12
      private_constant :STEP, :MARK

      # @param runs [Array<#run_id, #status, #started_at, #duration>] the earliest first; a run without a duration has a low bar
      # @param height [Integer] of the longest one
      # @param here [String, nil] the id of the run to point out
      def initialize(runs, height: 24, here: nil)
        @runs = runs
        @height = height
        @here = here
      end

      # @return [String] SVG
      def to_s
        longest = @runs.map { |run| run.duration.to_f }.max.to_f
        return "" unless longest.positive?

        bars = @runs.each_with_index.map { |run, at| bar(run, at * STEP, [(run.duration.to_f / longest * @height).round, 1].max) }
        width = @runs.size * STEP
        height = @height + (@runs.all? { |run| run.status == :succeeded } ? 0 : MARK)
        tag(:svg, bars, class: "trend", viewBox: "0 0 #{width} #{height}", width: width, height: height, role: "img",
                        aria_label: "Durations of the last #{@runs.size} runs")
      end

      private

      def bar(run, left, height)
        title = "#{run.started_at.strftime("%Y-%m-%d %H:%M")}  #{seconds(run.duration)}  #{word(run.status)}  #{run.run_id}"
        mark = tag(:text, MARKS[run.status], class: run.status, x: left + ((STEP - 4) / 2), y: @height + MARK - 2) unless run.status == :succeeded
        here = " here" if @here == run.run_id
        tag(:rect, tag(:title, text(title)), class: "#{run.status}#{here}", x: left, y: @height - height, width: STEP - 4, height: height) + mark.to_s
      end
    end
  end
end
