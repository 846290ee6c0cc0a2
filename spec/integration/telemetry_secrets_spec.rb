# frozen_string_literal: true

begin
  require "active_support"
  require "active_support/notifications"
rescue LoadError
  nil # That part of the example is left out.
end

RSpec.describe "Secrets in telemetry" do
  let(:secret) { "hunter2-and-more" }

  # Steps that put the value everywhere that they can.
  def pipeline
    Flowline.define(name: "leaky") do |p|
      p.param :password, secret: true
      p.param :login, type: :hash, secret: true
      p.step(:fetch) { |ctx| { password: ctx[:password], rows: [ctx[:password], 2] } }
      p.step(:items, depends_on: :fetch) { |fetched| fetched[:rows] }
      p.step(:each_item, each: :items, on_item_error: :collect, retries: 1, retry_delay: 0, label: :to_s.to_proc) { |item| raise "item #{item}" }
      p.step(:flaky, retries: 1, retry_delay: 0) { |ctx| raise ArgumentError, "#{ctx[:login][:token]} in #{ctx[:password].inspect}" }
      p.step(:late, depends_on: :fetch, timeout: 0.02) { |_| sleep }
      p.step(:child, isolate: :process, run_if: :always) { |ctx| raise IOError, ctx[:password] }
    end
  end

  def start(**options)
    pipeline.run(password: secret, login: { token: secret.reverse }, on_error: :continue, **options)
  end

  # Every byte of what the block returns, in several notations.
  def expect_no_secret(bytes)
    [secret, secret.reverse].each { |value| expect(bytes).not_to include(value) }
    expect(bytes).to include("[secret]")
  end

  it "are in no request to a collector, whether a run or its history is sent", executor: :in_process do
    collector = Collector.new
    settings = Flowline::Telemetry::Settings.new("OTEL_EXPORTER_OTLP_ENDPOINT" => collector.url)
    Flowline::Telemetry.exporter = Flowline::Telemetry::Exporter.new(settings)
    result = start(executor: :parallel)
    Flowline::Telemetry.flush
    expect_no_secret(collector.requests.map(&:body).join)
    expect(collector.spans.count { |span| span.dig(:status, :code) == 2 }).to be >= 8
    recorded = Flowline::Telemetry::Recorded.new(Flowline::History.run(result.run_id))
    expect_no_secret(Flowline::Telemetry::Payload.traces(recorded.spans, settings.resource))
  ensure
    Flowline::Telemetry.exporter = nil
    collector.close
  end

  it "are in no span of OpenTelemetry", executor: :in_process do
    tracing = Tracing::Recorder.new(self)
    start
    expect_no_secret(tracing.spans.inspect)
  end

  it "are in no payload of ActiveSupport::Notifications", executor: :in_process do
    skip("needs activesupport") unless defined?(ActiveSupport::Notifications)
    payloads = []
    subscription = ActiveSupport::Notifications.subscribe(/\.flowline\z/) { |*, payload| payloads << payload }
    start
    expect(payloads.size).to be > 15
    expect_no_secret(payloads.inspect + payloads.map { |payload| Marshal.dump(payload) }.join)
  ensure
    ActiveSupport::Notifications.unsubscribe(subscription) if subscription
  end
end
