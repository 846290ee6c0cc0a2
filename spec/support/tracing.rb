# frozen_string_literal: true

# A recorder with the interface of the OpenTelemetry API for Ruby (1.x), as its documentation describes it, as far as Flowline uses
# it: contexts of a fiber, span contexts, spans, tracers. Names, keywords and return values are those of the gem, and wrong ones
# raise, so that the examples mean the same with the gem and without it. `Tracing::Recorder` takes the place of `::OpenTelemetry`.
module Tracing
  # Provides `::OpenTelemetry`, and reads spans as Hashes of a name, ids, attributes, events, links and an error.
  class Recorder
    def initialize(example)
      @recorded = API::TracerProvider.new
      recorded = @recorded
      api = API.dup
      api.define_singleton_method(:tracer_provider) { recorded }
      example.stub_const("OpenTelemetry", api)
    end

    def tracer
      @recorded.tracer("spec")
    end

    def spans
      @recorded.ended.map { |data| Tracing.read(data) }
    end

    def restore; end
  end

  # The same with the gems opentelemetry-api and opentelemetry-sdk.
  class Gem
    def self.there?
      require "opentelemetry-sdk"
      true
    rescue LoadError
      false
    end

    def initialize(_example)
      @exporter = ::OpenTelemetry::SDK::Trace::Export::InMemorySpanExporter.new
      provider = ::OpenTelemetry::SDK::Trace::TracerProvider.new
      provider.add_span_processor(::OpenTelemetry::SDK::Trace::Export::SimpleSpanProcessor.new(@exporter))
      ::OpenTelemetry.logger.level = :fatal
      ::OpenTelemetry.tracer_provider = provider
    end

    def tracer
      ::OpenTelemetry.tracer_provider.tracer("spec")
    end

    def spans
      @exporter.finished_spans.map { |data| Tracing.read(data) }
    end

    def restore
      ::OpenTelemetry.tracer_provider = ::OpenTelemetry::Internal::ProxyTracerProvider.new
    end
  end

  def self.read(data)
    { name: data.name, trace: data.trace_id, id: data.span_id, parent: data.parent_span_id, attributes: data.attributes || {},
      events: (data.events || []).map { |event| [event.name, event.attributes] },
      links: (data.links || []).map { |link| link.span_context.span_id }, error: (data.status.description if data.status.code == 2),
      seconds: (data.end_timestamp - data.start_timestamp) / 1e9 }
  end

  # The parts of the API.
  module API
    # Values that belong to a fiber.
    class Context
      class << self
        def current
          (Thread.current[:tracing_contexts] || []).last || ROOT
        end

        def with_current(context)
          raise ArgumentError, "no context: #{context.inspect}" unless context.is_a?(Context)

          (Thread.current[:tracing_contexts] ||= []).push(context)
          yield context
        ensure
          Thread.current[:tracing_contexts].pop
        end
      end

      def initialize(values)
        @values = values.freeze
      end

      def value(key)
        @values[key]
      end

      def set_value(key, value)
        Context.new(@values.merge(key => value))
      end

      ROOT = new({})
    end

    # The ids of spans, and spans themselves.
    module Trace
      # The ids of a span.
      class SpanContext
        attr_reader :trace_id, :span_id, :trace_flags, :tracestate

        def initialize(trace_id: Random.urandom(16), span_id: Random.urandom(8), trace_flags: TraceFlags.from_byte(1), tracestate: nil, remote: false)
          raise ArgumentError, "ids are bytes" unless trace_id.bytesize == 16 && span_id.bytesize == 8

          @trace_id = trace_id
          @span_id = span_id
          @trace_flags = trace_flags
          @tracestate = tracestate
          @remote = remote
        end

        def valid?
          @trace_id != "\0" * 16
        end

        def remote?
          @remote
        end
      end

      # Whether a trace is sampled.
      TraceFlags = Struct.new(:flags) do
        def self.from_byte(byte)
          new(byte)
        end

        def sampled?
          flags.odd?
        end
      end

      # A reference to another span.
      class Link
        attr_reader :span_context

        def initialize(span_context, _attributes = nil)
          raise ArgumentError, "no span context" unless span_context.is_a?(SpanContext)

          @span_context = span_context
        end
      end

      # The status of a span.
      Status = Struct.new(:code, :description) do
        def self.error(description = "")
          new(2, description)
        end
      end

      # A span that records nothing.
      class Span
        attr_reader :context

        def initialize(span_context: nil)
          @context = span_context || SpanContext.new
        end

        INVALID = new(span_context: SpanContext.new(trace_id: "\0" * 16, span_id: "\0" * 8))
      end

      class << self
        def current_span(context = nil)
          (context || Context.current).value(:span) || Span::INVALID
        end

        def context_with_span(span, parent_context: Context.current)
          parent_context.set_value(:span, span)
        end

        def non_recording_span(span_context)
          Span.new(span_context: span_context)
        end
      end
    end

    # A span as data.
    SpanData = Struct.new(:name, :trace_id, :span_id, :parent_span_id, :trace_flags, :tracestate, :attributes, :events, :links, :status,
                          :start_timestamp, :end_timestamp, :resource, keyword_init: true)
    Event = Struct.new(:name, :attributes, :timestamp)

    # A span that is recorded when it ends.
    class RecordedSpan < Trace::Span
      def initialize(processors, parent, **facts)
        valid = parent.context.valid?
        super(span_context: valid ? Trace::SpanContext.new(trace_id: parent.context.trace_id) : Trace::SpanContext.new)
        @processors = processors
        @data = SpanData.new(trace_id: context.trace_id, span_id: context.span_id, parent_span_id: valid ? parent.context.span_id : "\0" * 8,
                             trace_flags: context.trace_flags, events: [], status: Trace::Status.new(1, ""), **facts)
      end

      def add_attributes(attributes)
        raise ArgumentError, "an attribute is of no type: #{attributes}" unless attributes.each_value.all? { |value| plain?(value) }

        @data.attributes = @data.attributes.merge(attributes)
        self
      end

      def add_event(name, attributes: nil, timestamp: nil)
        @data.events << Event.new(name, attributes, timestamp)
        self
      end

      def status=(status)
        @data.status = status
      end

      def finish(end_timestamp: nil)
        raise "it has ended" if @data.end_timestamp

        @data.end_timestamp = API.nanoseconds(end_timestamp || Time.now)
        @processors.each { |processor| processor.on_finish(self) }
        self
      end

      def to_span_data
        @data
      end

      private

      def plain?(value)
        [String, Integer, Float, true, false].any? { |type| type === value }
      end
    end

    # Makes spans.
    class Tracer
      def initialize(provider)
        @provider = provider
      end

      def start_span(name, with_parent: nil, attributes: nil, links: nil, start_timestamp: nil, kind: nil) # rubocop:disable Lint/UnusedMethodArgument
        parent = Trace.current_span(with_parent || Context.current)
        RecordedSpan.new(@provider.span_processors, parent, name: name, attributes: attributes || {}, links: links || [],
                                                            start_timestamp: API.nanoseconds(start_timestamp || Time.now))
      end

      def in_span(name)
        span = start_span(name)
        Context.with_current(Trace.context_with_span(span)) { yield span }
      ensure
        span.finish
      end
    end

    # Holds what has ended.
    class TracerProvider
      attr_reader :ended, :resource, :span_processors

      def initialize
        @ended = []
        @resource = "of the parent"
        @span_processors = [self]
      end

      def tracer(_name = nil, _version = nil)
        Tracer.new(self)
      end

      def on_finish(span)
        raise "a span of another process" if span.to_span_data.resource && span.to_span_data.resource != @resource

        @ended << span.to_span_data
      end
    end

    def self.nanoseconds(time)
      (time.to_r * 1_000_000_000).to_i
    end
  end
end
