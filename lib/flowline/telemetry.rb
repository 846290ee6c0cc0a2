# frozen_string_literal: true

module Flowline
  # Traces, metrics and notifications of runs, for other programs: OpenTelemetry if its API is loaded, OTLP over HTTP after
  # +require "flowline/otlp"+, and ActiveSupport::Notifications if a subscriber listens. Runs that nobody reads cost nothing.
  #
  #     events of a run ───> an observer for each reader ──┬─> spans and metrics as data ──> Exporter ──> OTLP over HTTP
  #     attempts (middleware, in the worker) ──────────────┘   └─ the reader's own library: OpenTelemetry, ActiveSupport
  #     history ──> {Recorded} ──> spans as data ──> Exporter
  #
  # An observer has +call(event)+ and +entry+, the middleware around attempts or nil. No reader fails a run: an exception of
  # one becomes a warning.
  module Telemetry
    autoload :Attempts, "#{__dir__}/telemetry/attempts"
    autoload :Exporter, "#{__dir__}/telemetry/exporter"
    autoload :Failure, "#{__dir__}/telemetry/failure"
    autoload :Ids, "#{__dir__}/telemetry/ids"
    autoload :Meter, "#{__dir__}/telemetry/meter"
    autoload :Payload, "#{__dir__}/telemetry/payload"
    autoload :Recorded, "#{__dir__}/telemetry/recorded"
    autoload :Recorder, "#{__dir__}/telemetry/recorder"
    autoload :Sender, "#{__dir__}/telemetry/sender"
    autoload :Settings, "#{__dir__}/telemetry/settings"
    autoload :Span, "#{__dir__}/telemetry/span"
    autoload :Spans, "#{__dir__}/telemetry/spans"
    autoload :Waits, "#{__dir__}/telemetry/waits"
    autoload :TraceParent, "#{__dir__}/telemetry/trace_parent"

    NONE = [].freeze
    private_constant :NONE

    class << self
      # Sends what has not been sent, to the endpoint of +flowline/otlp+. A program does so by itself when it ends.
      # @param seconds [Numeric] how long at most
      # @return [Boolean] whether everything was sent
      # @example
      #   Flowline::Telemetry.flush(2) # => true
      def flush(seconds = 5)
        @exporter ? @exporter.flush(seconds) : true
      end

      # @return [Integer] how many spans could not be sent
      def dropped
        @exporter ? @exporter.dropped : 0
      end

      # Makes runs export spans and metrics, unless +OTEL_SDK_DISABLED+ is set.
      # @return [void]
      # @api private
      def export
        settings = Settings.new(ENV)
        @exporter ||= Exporter.new(settings) unless settings.disabled?
      end

      # The exporter of runs that start from now on, or nil.
      # @return [Exporter, nil]
      # @api private
      attr_writer :exporter

      # Returns the observers of a run that starts, in the thread that started it.
      # @param environment [Execution::Environment]
      # @return [Array<#call>] each with +entry+
      # @api private
      def observers(environment)
        return NONE unless @exporter || defined?(::ActiveSupport::Notifications) || defined?(::OpenTelemetry::Trace)

        traced = Integrations::OpenTelemetry.there?
        Executor::Isolation.carry(Integrations::ChildSpans) if traced
        [(Integrations::Notifications.new(environment) if Integrations::Notifications.there?),
         (Integrations::OpenTelemetry.new(environment) if traced),
         (Recorder.new(environment, @exporter, spans: !traced) if @exporter)].compact
      end
    end
  end
end
