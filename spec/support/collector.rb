# frozen_string_literal: true

require "json"
require "socket"
require "zlib"

# A collector for OTLP over HTTP with JSON on a port of this machine. It accepts what the protocol allows and nothing else: each
# request that breaks a rule of the JSON encoding is an entry of `problems`.
class Collector
  # The members of messages: scalars by a pattern of their text or a class, messages by name, lists in an Array.
  HEX16 = /\A(?!0+\z)\h{16}\z/
  HEX32 = /\A(?!0+\z)\h{32}\z/
  NUMBER = /\A\d+\z/
  BOOLEAN = [true, false].freeze
  MESSAGES = {
    traces: { resourceSpans: [:resource_spans] },
    resource_spans: { resource: :resource, scopeSpans: [:scope_spans], schemaUrl: String },
    resource: { attributes: [:attribute], droppedAttributesCount: Integer },
    scope_spans: { scope: :scope, spans: [:span], schemaUrl: String },
    scope: { name: String, version: String, attributes: [:attribute] },
    span: { traceId: HEX32, spanId: HEX16, parentSpanId: HEX16, traceState: String, flags: Integer, name: String, kind: (0..5),
            startTimeUnixNano: NUMBER, endTimeUnixNano: NUMBER, attributes: [:attribute], events: [:event], links: [:link], status: :status },
    event: { timeUnixNano: NUMBER, name: String, attributes: [:attribute] },
    link: { traceId: HEX32, spanId: HEX16, attributes: [:attribute] },
    status: { code: (0..2), message: String },
    attribute: { key: String, value: :value },
    value: { stringValue: String, boolValue: BOOLEAN, intValue: NUMBER, doubleValue: Numeric },
    metrics: { resourceMetrics: [:resource_metrics] },
    resource_metrics: { resource: :resource, scopeMetrics: [:scope_metrics] },
    scope_metrics: { scope: :scope, metrics: [:metric] },
    metric: { name: String, unit: String, description: String, sum: :sum, histogram: :histogram, gauge: :gauge },
    gauge: { dataPoints: [:number] },
    sum: { dataPoints: [:number], aggregationTemporality: (1..2), isMonotonic: BOOLEAN },
    number: { attributes: [:attribute], startTimeUnixNano: NUMBER, timeUnixNano: NUMBER, asInt: /\A-?\d+\z/, asDouble: Numeric },
    histogram: { dataPoints: [:distribution], aggregationTemporality: (1..2) },
    distribution: { attributes: [:attribute], startTimeUnixNano: NUMBER, timeUnixNano: NUMBER, count: NUMBER, sum: Numeric, min: Numeric, max: Numeric,
                    bucketCounts: [NUMBER], explicitBounds: [Numeric] }
  }.freeze

  # A received request: the path, the headers in small letters, and the body as text.
  Request = Struct.new(:path, :headers, :body) do
    def json
      JSON.parse(body, symbolize_names: true)
    end
  end

  attr_reader :requests, :problems

  # @yieldparam number [Integer] of the request, from 1
  # @yieldreturn [Array(String, Hash), String, #call, nil] status line and body, or :hang; an object with +call+ writes to the socket
  #   itself; nil: success
  def initialize(&answer)
    @answer = answer || proc {}
    @requests = []
    @problems = []
    @server = TCPServer.new("127.0.0.1", 0)
    @threads = []
    @thread = Thread.new { loop { @threads << Thread.new(@server.accept) { |socket| serve(socket) } } }
    @thread.report_on_exception = false
  end

  def url
    "http://127.0.0.1:#{@server.addr[1]}"
  end

  def close
    @thread.kill
    @threads.each(&:kill)
    @server.close
  end

  # @return [Array<Hash>] the spans of all requests
  def spans
    bodies("/v1/traces").flat_map { |json| json[:resourceSpans].flat_map { |part| part[:scopeSpans].flat_map { |scope| scope[:spans] } } }
  end

  # @return [Hash{String => Hash}] the metrics of the last request that had some
  def metrics
    last = bodies("/v1/metrics").last or return {}
    last[:resourceMetrics].flat_map { |part| part[:scopeMetrics].flat_map { |scope| scope[:metrics] } }.to_h { |metric| [metric[:name], metric] }
  end

  # @return [Hash] attributes, of whatever has them
  def self.attributes(message)
    message.fetch(:attributes, []).to_h do |attribute|
      kind, value = attribute[:value].first
      [attribute[:key], kind == :intValue ? Integer(value) : value]
    end
  end

  private

  def bodies(path)
    requests.select { |request| request.path == path }.map(&:json)
  end

  def serve(socket)
    while (request = read(socket))
      requests << request
      check(request)
      answer = @answer.call(requests.size)
      return sleep if answer == :hang
      return answer.call(socket) if answer.respond_to?(:call)

      status, body = answer || ["200 OK", "{}"]
      socket.write("HTTP/1.1 #{status}\r\nContent-Type: application/json\r\nContent-Length: #{body.to_s.bytesize}\r\n\r\n#{body}")
    end
  rescue IOError, SystemCallError
    nil
  ensure
    socket.close
  end

  def read(socket)
    line = socket.gets("\r\n") or return
    headers = {}
    while (header = socket.gets("\r\n").chomp) != ""
      name, value = header.split(": ", 2)
      headers[name.downcase] = value
    end
    body = socket.read(Integer(headers.fetch("content-length")))
    body = Zlib.gunzip(body) if headers["content-encoding"] == "gzip"
    Request.new(line[/\APOST (\S+) HTTP/, 1], headers, body.force_encoding("UTF-8"))
  end

  def check(request)
    kind = { "/v1/traces" => :traces, "/v1/metrics" => :metrics }[request.path]
    @problems << "content type #{request.headers["content-type"]}" unless request.headers["content-type"] == "application/json"
    @problems << "path #{request.path}" unless kind
    message(kind, request.json, kind.to_s) if kind
  rescue JSON::ParserError => e
    @problems << e.message
  end

  def message(kind, object, path)
    known = MESSAGES.fetch(kind)
    object.each do |key, value|
      rule = known[key]
      next @problems << "#{path}.#{key} is unknown" unless rule

      Array === rule && rule.size == 1 ? value.each { |inner| member(rule.first, inner, "#{path}.#{key}") } : member(rule, value, "#{path}.#{key}")
    end
    @problems << "#{path} has #{object.size} values" if kind == :value && object.size != 1
  end

  def member(rule, value, path)
    return message(rule, value, path) if Symbol === rule

    fits = case rule
           when Regexp then String === value && rule.match?(value)
           when Array then rule.include?(value)
           when Range then Integer === value && rule.cover?(value)
           else rule === value
           end
    @problems << "#{path}: #{value.inspect}" unless fits
  end
end
