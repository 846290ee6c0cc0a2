# frozen_string_literal: true

RSpec.describe Flowline::Telemetry do
  describe Flowline::Telemetry::Settings do
    def settings(**variables)
      described_class.new(variables.transform_keys(&:to_s))
    end

    it "adds the path of the signal to the common endpoint, and takes that of a signal as it is" do
      expect(settings.endpoint("traces").to_s).to eq("http://localhost:4318/v1/traces")
      expect(settings(OTEL_EXPORTER_OTLP_ENDPOINT: "https://c.example/base/").endpoint("metrics").to_s).to eq("https://c.example/base/v1/metrics")
      both = settings(OTEL_EXPORTER_OTLP_ENDPOINT: "http://a.example", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://b.example/in")
      expect(%w[traces metrics].map { |signal| both.endpoint(signal).to_s }).to eq(%w[http://b.example/in http://a.example/v1/metrics])
    end

    it "refuses an endpoint that is no address, without repeating it" do
      ["ftp://user:pass@c.example", "localhost:4318", "http://[", "http://"].each do |text|
        expect { settings(OTEL_EXPORTER_OTLP_ENDPOINT: text).endpoint("traces") }
          .to raise_error(Flowline::Error, /\AOTEL_EXPORTER_OTLP_ENDPOINT is not an address/)
      end
    end

    it "takes empty variables, and numbers that are none, as not set" do
      odd = settings(OTEL_EXPORTER_OTLP_ENDPOINT: " ", OTEL_BSP_MAX_QUEUE_SIZE: "many", OTEL_EXPORTER_OTLP_TIMEOUT: "-5", OTEL_BSP_SCHEDULE_DELAY: "0x10")
      expect([odd.endpoint("traces").port, odd.queue, odd.timeout, odd.delay]).to eq([4318, 16_384, 10.0, 5.0])
    end

    it "reads times in milliseconds" do
      given = settings(OTEL_EXPORTER_OTLP_TIMEOUT: "2500", OTEL_METRIC_EXPORT_INTERVAL: "100")
      expect([given.timeout, given.interval]).to eq([2.5, 0.1])
    end

    it "reads percent-encoded pairs, and leaves out what is no pair" do
      given = settings(OTEL_EXPORTER_OTLP_HEADERS: "a=1%2C2, b = x+y ,c,=d,e=,f=%zz")
      expect(given.headers("traces")).to eq("a" => "1,2", "b" => "x+y", "e" => "")
    end

    it "prefers OTEL_SERVICE_NAME to the attributes of the resource" do
      named = { OTEL_RESOURCE_ATTRIBUTES: "service.name=one,team=data" }
      expect(settings(**named).resource).to include("service.name" => "one", "team" => "data")
      expect(settings(**named, OTEL_SERVICE_NAME: "two").resource).to include("service.name" => "two")
    end
  end

  describe Flowline::Telemetry::Sender do
    it "sends the user and the password of the endpoint, and does not name them" do
      collector = Collector.new
      variables = { "OTEL_EXPORTER_OTLP_ENDPOINT" => collector.url.sub("//", "//shop:s%3Cret@") }
      sender = described_class.new(Flowline::Telemetry::Settings.new(variables), "traces")
      expect(sender.post("{}").outcome).to eq(:sent)
      expect(collector.requests.first.headers["authorization"]).to eq("Basic #{["shop:s<ret"].pack("m0")}")
      expect(sender.address).to eq("#{collector.url}/v1/traces")
    ensure
      sender&.close
      collector.close
    end
  end

  describe Flowline::Telemetry::TraceParent do
    let(:ids) { %w[0af7651916cd43dd8448eb211c80319c b7ad6b7169203331] }

    it "reads both ids and whether the trace is sampled" do
      expect(described_class.parse("00-#{ids.join("-")}-01").to_a).to eq([*ids, true])
      expect(described_class.parse("00-#{ids.join("-").upcase}-00").to_a).to eq([*ids, false])
      expect(described_class.parse("cc-#{ids.join("-")}-01-later").to_a).to eq([*ids, true])
    end

    it "is none if the text is malformed" do
      texts = [nil, "", "x", "00-#{ids.first}", "ff-#{ids.join("-")}-01", "00-#{ids.join("-")}-01-more", "00-#{"0" * 32}-#{ids.last}-01",
               "00-#{ids.first}-#{"0" * 16}-01"]
      expect(texts.map { |text| described_class.parse(text) }).to all(be_nil)
    end
  end

  describe Flowline::Telemetry::Meter do
    it "adds up the values of further combinations of attributes as one beyond the most" do
      meter = described_class.new
      3000.times { |n| meter.count("flowline.attempts", 1, pipeline: "p", step: "s#{n}") }
      series = meter.read.first.series
      expect(series.size).to eq(described_class::MOST)
      expect(series[described_class::OVERFLOW]).to eq(3000 - described_class::MOST + 1)
    end

    it "counts a value that is a bound in the bucket below it" do
      meter = described_class.new
      [0.005, 0.006, 5000].each { |seconds| meter.record("flowline.run.duration", seconds, pipeline: "p") }
      expect(meter.read.first.series.each_value.first.buckets).to eq([1, 1, *Array.new(14, 0), 1])
    end
  end

  describe Flowline::Telemetry::Ids do
    it "gives each part of a run an id of its own, which is the same in any encoding" do
      ids = described_class.new("20260101T000000-0a1b2c3d")
      all = [ids.run, ids.step("run"), ids.step("a"), ids.attempt("a", nil, 1), ids.attempt("a", 1, 1), ids.attempt("a", nil, 2)]
      expect(all.uniq.size).to eq(6)
      expect(all).to all(match(/\A\h{16}\z/))
      expect(ids.step("é")).to eq(ids.step("é".encode("UTF-16LE")))
    end
  end
end
