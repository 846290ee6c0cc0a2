# frozen_string_literal: true

require "json"

module Flowline
  module Telemetry
    # Spans and metrics in the JSON encoding of OTLP: ids as hexadecimal text, 64-bit integers as text, enumerations as numbers.
    # @see https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
    # @api private
    module Payload
      SCOPE = { name: "flowline", version: VERSION }.freeze
      # Numbers of the protocol: a span within a process, an error, values since the start.
      INTERNAL = 1
      ERROR = 2
      CUMULATIVE = 2
      private_constant :SCOPE, :INTERNAL, :ERROR, :CUMULATIVE

      class << self
        # @param spans [Array<Span>]
        # @param resource [Hash{String => Object}] attributes of the process
        # @return [String] the body of a request
        def traces(spans, resource)
          list = spans.map { |span| span(span) }
          generate(resourceSpans: [{ resource: { attributes: attributes(resource) }, scopeSpans: [{ scope: SCOPE, spans: list }] }])
        end

        # @param metrics [Array<Meter::Metric>]
        # @param resource [Hash{String => Object}]
        # @param times [Array(Integer, Integer)] since when the values are added up, and now, in nanoseconds
        # @return [String] the body of a request
        def metrics(metrics, resource, times)
          list = metrics.map { |metric| { name: metric.name, unit: metric.unit, description: metric.description, **data(metric, times) } }
          generate(resourceMetrics: [{ resource: { attributes: attributes(resource) }, scopeMetrics: [{ scope: SCOPE, metrics: list }] }])
        end

        private

        def generate(**object)
          ::JSON.generate(object)
        end

        def span(span)
          { traceId: span.trace_id, spanId: span.span_id, parentSpanId: span.parent_id, name: text(span.name), kind: INTERNAL,
            startTimeUnixNano: span.started.to_s, endTimeUnixNano: span.ended.to_s, attributes: attributes(span.attributes),
            events: span.events.map { |name, time, facts| { timeUnixNano: time.to_s, name: name, attributes: attributes(facts) } },
            links: span.links.map { |trace, id| { traceId: trace, spanId: id } },
            status: span.failure ? { code: ERROR, message: text(span.failure.message) } : nil }
            .reject { |_, value| value.nil? || value == [] }
        end

        def data(metric, times)
          points = metric.series.map do |facts, value|
            { attributes: attributes(facts), startTimeUnixNano: times.first.to_s, timeUnixNano: times.last.to_s, **value_of(value) }
          end
          return { histogram: { dataPoints: points, aggregationTemporality: CUMULATIVE } } if metric.kind == :histogram

          { sum: { dataPoints: points, aggregationTemporality: CUMULATIVE, isMonotonic: metric.kind == :counter } }
        end

        def value_of(value)
          return { asInt: value.to_s } if Integer === value

          { count: value.number.to_s, sum: value.total, min: value.least, max: value.most, bucketCounts: value.buckets.map(&:to_s),
            explicitBounds: Meter::BOUNDS }
        end

        def attributes(facts)
          facts.map { |key, value| { key: text(key), value: any(value) } }
        end

        def any(value)
          case value
          when true, false then { boolValue: value }
          when Integer then { intValue: value.to_s }
          when Float then value.finite? ? { doubleValue: value } : { stringValue: value.to_s }
          else { stringValue: text(value) }
          end
        end

        def text(value)
          String === value && (value.ascii_only? || (value.encoding == Encoding::UTF_8 && value.valid_encoding?)) ? value : Error.text(value)
        end
      end
    end
  end
end
