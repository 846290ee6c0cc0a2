# frozen_string_literal: true

# Measures the cost of the readers of telemetry a step, and of a collector that is down. OpenTelemetry is measured if its gem is there.
require "socket"
require_relative "support/graphs"
require_relative "support/measure"

MICRO = 1e6
SIZE = 1_000

# @return [Flowline::Telemetry::Exporter] to a port where nothing listens
def exporter(port = 1)
  Flowline::Telemetry::Exporter.new(Flowline::Telemetry::Settings.new("OTEL_EXPORTER_OTLP_ENDPOINT" => "http://127.0.0.1:#{port}"), StringIO.new)
end

def exported(exporter)
  Flowline::Telemetry.exporter = exporter
  yield
ensure
  Flowline::Telemetry.exporter = nil
end

# A server that takes every request at once.
def collector
  server = TCPServer.new("127.0.0.1", 0)
  Thread.new do
    loop do
      Thread.new(server.accept) do |socket|
        while socket.gets("\r\n")
          length = 0
          while (header = socket.gets("\r\n")) != "\r\n"
            length = Integer(header[/\d+/]) if header.start_with?("Content-Length")
          end
          socket.read(length)
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        end
      end
    end
  end
  server.addr[1]
end

require "flowline"
require "stringio"
pipeline = Graphs.define(Graphs.fan(SIZE))
plain = -> { pipeline.run }
silent = ->(_event) {}
down = exporter
up = exporter(collector)
blocks = { none: plain, reporter: -> { pipeline.run(reporter: silent) }, otlp_down: -> { exported(down, &plain) }, otlp: -> { exported(up, &plain) } }
labels = { reporter: "a reporter that does nothing", otlp: "OTLP, with a collector", otlp_down: "OTLP, with a collector that is down",
           notifications: "ActiveSupport::Notifications, a subscriber of all", opentelemetry: "OpenTelemetry, in memory" }

begin
  require "active_support"
  require "active_support/notifications"
  blocks[:notifications] = lambda do
    subscription = ActiveSupport::Notifications.subscribe(/\.flowline\z/) { |*| nil }
    plain.call
  ensure
    ActiveSupport::Notifications.unsubscribe(subscription)
  end
rescue LoadError
  puts "ActiveSupport::Notifications is not measured: needs activesupport"
end

begin
  require "opentelemetry-sdk"
  provider = OpenTelemetry::SDK::Trace::TracerProvider.new
  proxy = OpenTelemetry.tracer_provider
  blocks[:opentelemetry] = lambda do
    OpenTelemetry.tracer_provider = provider
    plain.call
  ensure
    OpenTelemetry.tracer_provider = proxy
  end
rescue LoadError
  puts "OpenTelemetry is not measured: needs opentelemetry-sdk"
end

Measure.heading "A step of #{SIZE} that do nothing, sequential, in memory"
times = Measure.times(blocks, per: SIZE)
Measure.row("no reader", times[:none] * MICRO, "µs")
labels.each do |name, label|
  next unless blocks.key?(name)

  Measure.row(label, times[name] * MICRO, "µs", than: ["no reader", times[:none] * MICRO], ratio: times.ratio(name, :none))
end

# The processor time of a run, in microseconds a step: other programs on the machine do not change it.
def processor(block, rounds = 7)
  Array.new(rounds) do
    GC.start
    start = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
    block.call
    (Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) - start) * MICRO / SIZE
  end.min
end

Measure.heading "Processor time that is added to a step; 1 % of a step of 10 ms is 100 µs"
least = processor(blocks[:none])
labels.each { |name, label| Measure.row(label, processor(blocks[name]) - least, "µs", most: 100) if blocks.key?(name) }
