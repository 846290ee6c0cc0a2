# frozen_string_literal: true

module Flowline
  module Telemetry
    # A parent span of another program, as the header and the environment variable +traceparent+ name it.
    # @see https://www.w3.org/TR/trace-context/#traceparent-header
    # @api private
    TraceParent = Struct.new(:trace_id, :span_id, :sampled) do
      # @param text [String, nil]
      # @return [TraceParent, nil] nil: there is none, or it is malformed
      def self.parse(text)
        version, trace, span, flags, more = *text.to_s.match(/\A(\h\h)-(\h{32})-(\h{16})-(\h\h)(-.*)?\z/)&.captures
        return if version.nil? || version.casecmp?("ff") || (version == "00" && more) || [trace, span].any? { |id| id.delete("0").empty? }

        new(trace.downcase, span.downcase, flags.hex.odd?)
      end

      # @return [TraceParent, nil] the one of the environment
      def self.current
        parse(ENV.fetch("TRACEPARENT", nil))
      end
    end
  end
end
