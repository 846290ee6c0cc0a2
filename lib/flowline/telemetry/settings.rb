# frozen_string_literal: true

require "uri"

module Flowline
  module Telemetry
    # The settings in the environment variables of OpenTelemetry. A value that makes no sense counts as not set.
    # @see https://opentelemetry.io/docs/specs/otel/protocol/exporter/
    # @api private
    class Settings
      ENDPOINT = "http://localhost:4318"
      # Environment variables, and what they are if they are not set, in their own units.
      NUMBERS = { "OTEL_EXPORTER_OTLP_TIMEOUT" => 10_000, "OTEL_BSP_SCHEDULE_DELAY" => 5_000, "OTEL_BSP_MAX_QUEUE_SIZE" => 16_384,
                  "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" => 512, "OTEL_METRIC_EXPORT_INTERVAL" => 60_000 }.freeze
      private_constant :ENDPOINT, :NUMBERS

      # @param variables [#[]] the environment
      def initialize(variables)
        @variables = variables
      end

      # @return [Boolean] whether nothing is exported at all
      def disabled?
        get("OTEL_SDK_DISABLED")&.casecmp?("true") == true
      end

      # @param signal [String] +"traces"+ or +"metrics"+
      # @return [Boolean] whether it is exported
      def exports?(signal)
        get("OTEL_#{signal.upcase}_EXPORTER") != "none"
      end

      # @param signal [String] +"traces"+ or +"metrics"+
      # @return [URI::HTTP] where it is sent
      # @raise [Error] the variable has no address
      def endpoint(signal)
        name, exact = of_signal(signal, "ENDPOINT")
        uri = URI.parse(exact || get(name) || ENDPOINT)
        raise Error, "#{name} is not an address of http or https" unless URI::HTTP === uri && uri.host && !uri.host.empty?

        uri.path = "#{uri.path.chomp("/")}/v1/#{signal}" unless exact
        uri
      rescue URI::InvalidURIError
        raise Error, "#{name} is not an address"
      end

      # @param signal [String]
      # @return [Hash{String => String}] the headers of requests
      def headers(signal)
        name, exact = of_signal(signal, "HEADERS")
        pairs(exact || get(name))
      end

      # @return [Boolean] whether requests are compressed
      def gzip?(signal)
        name, exact = of_signal(signal, "COMPRESSION")
        (exact || get(name)) == "gzip"
      end

      # @return [String, nil] a file with certificates of authorities
      def certificate
        get("OTEL_EXPORTER_OTLP_CERTIFICATE")
      end

      # @return [Float] seconds that a request takes at most
      def timeout
        number("OTEL_EXPORTER_OTLP_TIMEOUT") / 1000.0
      end

      # @return [Float] seconds that a span waits for others at most
      def delay
        number("OTEL_BSP_SCHEDULE_DELAY") / 1000.0
      end

      # @return [Float] seconds between two exports of metrics
      def interval
        number("OTEL_METRIC_EXPORT_INTERVAL") / 1000.0
      end

      # @return [Integer] so many spans wait to be sent at most
      def queue
        number("OTEL_BSP_MAX_QUEUE_SIZE")
      end

      # @return [Integer] so many spans are sent at once
      def batch
        [number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"), queue].min
      end

      # @return [Hash{String => Object}] what describes this process
      def resource
        given = pairs(get("OTEL_RESOURCE_ATTRIBUTES"))
        { "service.name" => get("OTEL_SERVICE_NAME") || given["service.name"] || "unknown_service:ruby",
          "process.pid" => Process.pid, "process.runtime.name" => RUBY_ENGINE, "process.runtime.version" => RUBY_VERSION,
          "telemetry.sdk.name" => "flowline", "telemetry.sdk.language" => "ruby", "telemetry.sdk.version" => VERSION }
          .merge(given.except("service.name"))
      end

      private

      # The variable of one signal comes before that of all of them.
      def of_signal(signal, name)
        own = "OTEL_EXPORTER_OTLP_#{signal.upcase}_#{name}"
        get(own) ? [own, get(own)] : ["OTEL_EXPORTER_OTLP_#{name}", nil]
      end

      # An empty variable counts as not set.
      def get(name)
        value = @variables[name]
        value unless value.nil? || value.strip.empty?
      end

      def number(name)
        value = Integer(get(name) || "", 10, exception: false)
        value&.positive? ? value : NUMBERS.fetch(name)
      end

      # Parses the format of W3C Baggage: `key=value,key=value`, with percent-encoded values.
      def pairs(text)
        text.to_s.split(",").filter_map do |pair|
          key, value = pair.split("=", 2).map(&:strip)
          [key, URI.decode_www_form_component(value.gsub("+", "%2B"))] unless value.nil? || key.empty?
        rescue ArgumentError
          nil
        end.to_h
      end
    end
  end
end
