# frozen_string_literal: true

module Flowline
  module Telemetry
    # A span as data. Ids are hexadecimal; times are nanoseconds since 1970; +failure+ is a {Failure} or nil; +events+ are
    # Arrays of a name, a time and attributes; +links+ are Arrays of a trace id and a span id.
    # @api private
    Span = Struct.new(:name, :trace_id, :span_id, :parent_id, :started, :ended, :attributes, :failure, :events, :links, keyword_init: true)
  end
end
