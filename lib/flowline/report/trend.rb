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
      Run = Struct.new(:run_id, :status, :started_at, :duration)
      private_constant :HEIGHT, :Run

      # @param data [Data]
      def initialize(data)
        @data = data
      end

      # @return [String] HTML
      def to_s
        past = @data.runs.select(&:last).first(RUNS).reverse
        return "" if past.size < 2

        usual = past.map(&:last).sort[past.size / 2]
        runs = [*past, [@data.run_id, @data.status, @data.started_at, @data.length]].map { |run| Run.new(*run) }
        section("Last runs", tag(:p, "This one took #{seconds(@data.length)}; the median of the #{past.size} before is #{seconds(usual)}."),
                Bars.new(runs, height: HEIGHT, here: @data.run_id).to_s)
      end
    end
  end
end
