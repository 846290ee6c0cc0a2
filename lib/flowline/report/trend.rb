# frozen_string_literal: true

module Flowline
  class Report
    # How long the last runs of the pipeline took, with this one as the last.
    # @api private
    class Trend
      include Markup

      # The most earlier runs.
      RUNS = 30
      # Pixels of the longest bar.
      HEIGHT = 72
      Run = Struct.new(:run_id, :status, :started_at, :duration, :whole)
      private_constant :HEIGHT, :Run

      # @param data [Data]
      def initialize(data)
        @data = data
      end

      # @return [String] HTML
      def to_s
        past = @data.runs.map { |run| Run.new(*run) }.select(&:duration).first(RUNS).reverse
        return "" if past.size < 2

        runs = [*past, Run.new(@data.run_id, @data.status, @data.started_at, @data.length)]
        section("Last runs", tag(:p, sentence(past.select(&:whole))),
                Bars.new(runs, height: HEIGHT, here: @data.run_id).to_s)
      end

      private

      # @param whole [Array<Run>] those that succeeded, and restored no outputs: others have other times
      def sentence(whole)
        took = "This one #{@data.status == :running ? "has taken #{seconds(@data.length)} so far" : "took #{seconds(@data.length)}"}"
        return "#{took}; none of those before has succeeded without resuming another." if whole.empty?

        sorted = whole.map(&:duration).sort
        usual = (sorted[sorted.size / 2] + sorted[(sorted.size - 1) / 2]) / 2
        "#{took}; the median of the #{whole.size} before that succeeded without resuming another is #{seconds(usual)}."
      end
    end
  end
end
