# frozen_string_literal: true

require "delegate"

module Flowline
  module Integrations
    # Brings the OpenTelemetry spans that a forked child makes to its parent, because the child leaves by +exit!+, and because
    # exporters and their connections belong to the parent. In the child a collector takes the place of the span processors. It is
    # what {Executor::Isolation} calls a carrier.
    # @api private
    module ChildSpans
      # So many spans of one child are brought.
      MOST = 10_000
      PROCESSORS = :@span_processors
      private_constant :MOST, :PROCESSORS

      # The span processor of a child.
      class Collector
        # @return [Array<#to_span_data>] the spans that have ended
        attr_reader :spans

        def initialize
          @spans = []
        end

        # Does nothing.
        def on_start(_span, _context); end

        # @param span [#to_span_data]
        # @return [void]
        def on_finish(span)
          @spans << span if span.context.trace_flags.sampled? && @spans.size < MOST
        end

        # @return [Integer] success, as processors return it
        def force_flush(timeout: nil) # rubocop:disable Lint/UnusedMethodArgument -- the interface of processors
          0
        end
        alias shutdown force_flush
      end

      # A span of a child, as the processors of its parent get it.
      class Ended < SimpleDelegator
        # @return [Object] the data of the span
        def to_span_data
          __getobj__
        end

        # @return [OpenTelemetry::Trace::SpanContext]
        def context
          ::OpenTelemetry::Trace::SpanContext.new(trace_id: trace_id, span_id: span_id, trace_flags: trace_flags, tracestate: tracestate)
        end

        # @return [false]
        def recording?
          false
        end
      end
      private_constant :Collector, :Ended

      class << self
        # Begins, in the child.
        # @return [void]
        def enter
          @collector = nil
          return unless processors

          provider.instance_variable_set(PROCESSORS, [@collector = Collector.new])
        end

        # Ends, in the child.
        # @return [Array, nil] what +receive+ takes; nil: nothing
        def leave
          spans = @collector ? @collector.spans.map { |span| span.to_span_data.dup.tap { |data| data.resource = nil } } : []
          spans unless spans.empty?
        end

        # Passes the spans on, in the parent.
        # @param spans [Array]
        # @return [void]
        def receive(spans)
          spans.each do |data|
            data.resource = provider.resource
            processors&.each { |processor| processor.on_finish(Ended.new(data)) }
          end
        end

        private

        def provider
          ::OpenTelemetry.tracer_provider
        end

        # @return [Array, nil] nil: the implementation is not OpenTelemetry's own
        def processors
          found = provider.instance_variable_get(PROCESSORS)
          found if Array === found && provider.respond_to?(:resource)
        end
      end
    end
  end
end
