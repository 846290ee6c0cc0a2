# frozen_string_literal: true

module Flowline
  module Telemetry
    # The metrics of this process, added up from its start. Any thread may change them.
    #
    # Attributes have few values: pipelines, steps, statuses and reasons. Beyond {MOST} combinations of an instrument, further ones
    # are added up as one, as the specification of OpenTelemetry says.
    # @api private
    class Meter
      # The instruments: kind, unit and description.
      INSTRUMENTS = {
        "flowline.run.duration" => [:histogram, "s", "Duration of runs"],
        "flowline.step.duration" => [:histogram, "s", "Duration of steps, from the first attempt to the end of the last"],
        "flowline.wait.duration" => [:histogram, "s", "Time that steps wait, by reason"],
        "flowline.attempts" => [:counter, "{attempt}", "Calls of steps"],
        "flowline.cache.lookups" => [:counter, "{lookup}", "Steps that were looked up in a cache"],
        "flowline.runs.running" => [:level, "{run}", "Runs under way"],
        "flowline.steps.running" => [:level, "{step}", "Steps under way"]
      }.freeze
      # The names of attributes.
      KEYS = { pipeline: "flowline.pipeline", step: "flowline.step", status: "flowline.status", reason: "flowline.wait.reason",
               result: "flowline.cache.result" }.freeze
      # The upper bounds of the buckets of a histogram, in seconds.
      BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0].freeze
      # So many combinations of attributes has an instrument.
      MOST = 2000
      # The attributes of all further combinations.
      OVERFLOW = { "otel.metric.overflow" => true }.freeze

      # The recorded values of one combination of attributes.
      Histogram = Struct.new(:number, :total, :buckets, :least, :most)
      # An instrument with its series: values by attributes.
      Metric = Struct.new(:name, :kind, :unit, :description, :series, keyword_init: true)

      # @return [Integer] since when, in nanoseconds since 1970
      attr_reader :started

      def initialize
        @lock = Mutex.new
        @started = Clock.time
        @values = INSTRUMENTS.transform_values { {} }
        @runs = {}.compare_by_identity
      end

      # Counts a run, and its steps under way, as running until {#unwatch}.
      # @param run [#pipeline, #running]
      # @return [void]
      def watch(run)
        @lock.synchronize { @runs[run] = true }
      end

      # @return [void]
      def unwatch(run)
        @lock.synchronize do
          @runs.delete(run)
          level(run.pipeline, [0, 0])
        end
      end

      # Adds to a counter.
      # @return [void]
      def count(name, number, **attributes)
        @lock.synchronize do
          series, key = find(name, attributes)
          series[key] = (series[key] || 0) + number
        end
      end

      # Records a value in a histogram.
      # @param seconds [Numeric]
      # @return [void]
      def record(name, seconds, **attributes)
        @lock.synchronize do
          series, key = find(name, attributes)
          histogram = series[key] ||= Histogram.new(0, 0.0, Array.new(BOUNDS.size + 1, 0), seconds, seconds)
          histogram.number += 1
          histogram.total += seconds
          histogram.buckets[BOUNDS.index { |bound| seconds <= bound } || BOUNDS.size] += 1
          histogram.least = seconds if seconds < histogram.least
          histogram.most = seconds if seconds > histogram.most
        end
      end

      # @return [Array<Metric>] a copy of the instruments that have values
      def read
        @lock.synchronize do
          @runs.keys.group_by(&:pipeline).each { |pipeline, runs| level(pipeline, [runs.size, runs.sum(&:running)]) }
          @values.filter_map do |name, series|
            kind, unit, description = INSTRUMENTS.fetch(name)
            copies = series.to_h { |key, value| [named(key), copy(value)] }
            Metric.new(name: name, kind: kind, unit: unit, description: description, series: copies) unless series.empty?
          end
        end
      end

      private

      def find(name, attributes)
        series = @values.fetch(name)
        [series, series.key?(attributes) || series.size < MOST - 1 ? attributes : OVERFLOW]
      end

      def level(pipeline, numbers)
        %w[flowline.runs.running flowline.steps.running].zip(numbers) do |name, number|
          series, key = find(name, { pipeline: pipeline })
          series[key] = number
        end
      end

      def copy(value)
        Histogram === value ? value.dup.tap { |copy| copy.buckets = value.buckets.dup } : value
      end

      def named(attributes)
        attributes.equal?(OVERFLOW) ? OVERFLOW : attributes.to_h { |key, value| [KEYS.fetch(key), value.to_s] }
      end
    end
  end
end
