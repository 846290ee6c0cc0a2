# frozen_string_literal: true

module Flowline
  module History
    # How long the latest runs of a pipeline, and their steps, took.
    class Stats
      # The number of runs that are looked at, unless another one is asked for.
      LAST = 20

      # The times of one step, or of whole runs: in how many runs, their median and 95th percentile in seconds, the latest one, and
      # +trend+, the median of the later half over that of the earlier half (1.0: no change; nil: fewer than four).
      Times = Struct.new(:name, :runs, :median, :p95, :last, :trend, keyword_init: true) do
        # @param name [Symbol, nil] the step
        # @param seconds [Array<Float>] the latest first
        # @return [Times]
        # @api private
        def self.of(name, seconds)
          sorted = seconds.sort
          new(name: name, runs: seconds.size, median: middle(sorted), p95: sorted[(0.95 * (sorted.size - 1)).ceil], last: seconds.first,
              trend: trend(seconds)).freeze
        end

        # @return [Float, nil]
        # @api private
        def self.middle(sorted)
          return if sorted.empty?

          half = sorted.size / 2
          sorted.size.odd? ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
        end

        # @return [Float, nil]
        # @api private
        def self.trend(seconds)
          return if seconds.size < 4

          later, earlier = seconds.each_slice((seconds.size / 2.0).ceil).map { |half| middle(half.sort) }
          (later / earlier).round(3) if earlier.positive?
        end
      end

      # @return [String]
      attr_reader :pipeline
      # @return [Times] of the runs that succeeded and resumed no other run: those have the times of all steps
      attr_reader :runs
      # @return [Array<Times>] of the steps when they succeeded, in the order of the definition
      attr_reader :steps
      # @return [Hash{Symbol => Integer}] how many of the runs ended in which way
      attr_reader :statuses
      # @return [Array<Float>] the durations of these runs, the earliest first
      attr_reader :durations

      # @param pipeline [String]
      # @param runs [Array<Run>] the latest first
      # @param steps [Array<Array(String, Array<Float>)>]
      # @api private
      def initialize(pipeline, runs, steps)
        @pipeline = pipeline
        @statuses = runs.map(&:status).tally
        seconds = runs.select(&:whole?).map(&:duration)
        @durations = seconds.reverse
        @runs = Times.of(nil, seconds)
        @steps = steps.map { |name, list| Times.of(name.to_sym, list) }
        freeze
      end

      # @return [Hash{Symbol => Object}]
      def to_h
        { pipeline: pipeline, statuses: statuses, runs: runs.to_h.except(:name), durations: durations, steps: steps.map(&:to_h) }
      end

      # @return [String]
      def inspect
        "#<#{self.class} #{Name.show(pipeline)} #{runs.runs} runs>"
      end
    end
  end
end
