# frozen_string_literal: true

require "tmpdir"
require_relative "../contracts/executor"
Dir.glob(File.expand_path("../../examples/extending/*.rb", __dir__)).each { |file| require file }

RSpec.describe "examples/extending" do
  Dir.glob(File.expand_path("../../examples/extending/*.rb", __dir__)).each do |file|
    it "takes at most 20 lines: #{File.basename(file)}" do
      lines = File.readlines(file, chomp: true).map(&:strip).reject { |line| line.empty? || line.start_with?("#", "require ") }
      expect(lines.size).to be <= 20
    end
  end

  describe SharedLimit do
    let(:executor) { SharedLimit.new(4) }

    it_behaves_like "an executor"

    it "limits the steps of all runs together" do
      limit = SharedLimit.new(3)
      lock = Mutex.new
      running = 0
      most = []
      pipeline = Flowline.define do |p|
        p.step(:items) { (1..10).to_a }
        p.step(:work, each: :items) do
          lock.synchronize { most << (running += 1) }
          sleep(0.005)
          lock.synchronize { running -= 1 }
        end
      end
      results = Array.new(3) { pipeline.start(executor: limit) }.map(&:wait)
      expect(results.map(&:status)).to eq([:succeeded] * 3)
      expect(most.max).to eq(3)
      expect(most.size).to eq(30)
    end
  end

  describe Prometheus do
    around { |example| Dir.mktmpdir { |directory| @directory = directory and example.run } }

    def metrics(name)
      File.readlines(File.join(@directory, "flowline_#{name}.prom"), chomp: true).to_h { |line| line.match(/\A(\S.*) (\S+)\z/).captures }
          .transform_values { |value| Float(value) }
    end

    it "writes how the last run ended, and how long its steps took" do
      broken = true
      pipeline = Flowline.define(name: "daily \"import\"") do |p|
        p.step(:fetch) { sleep(0.01) }
        p.step(:skipped, when: ->(_) { false }) { 1 }
        p.step(:load, depends_on: :fetch) { |_| broken ? raise(IOError, "down") : 1 }
      end
      result = pipeline.run(reporter: described_class.new(@directory))
      run = "{pipeline=\"daily \\\"import\\\"\"}"
      step = ->(name) { "flowline_step_seconds{pipeline=\"daily \\\"import\\\"\",step=\"#{name}\"}" }
      expect(metrics("daily__import_")).to match(
        "flowline_run_succeeded#{run}" => 0, "flowline_run_seconds#{run}" => result.duration, "flowline_run_ended#{run}" => be_within(5).of(Time.now.to_f),
        step[:fetch] => result[:fetch].duration, step[:load] => result[:load].duration
      )

      broken = false
      pipeline.run(reporter: described_class.new(@directory), resume: true)
      expect(metrics("daily__import_")["flowline_run_succeeded#{run}"]).to eq(1)
      expect(Dir.children(@directory)).to eq(["flowline_daily__import_.prom"])
    end

    it "fails no run when its directory does not exist" do
      result = Flowline.define { step(:a) { 1 } }.run(reporter: described_class.new("#{@directory}/missing"))
      expect(result).to be_success
      expect(result.warnings.join).to include("No such file or directory")
    end
  end

  describe CircuitBreaker, executor: :sequential do
    let(:configuration) { Flowline::Configuration.new }
    let(:calls) { [] }

    before { allow(Flowline).to receive(:config).and_return(configuration) }

    # Maps five items that fail unless they are in the list, and runs a step without the tag.
    def shop(good, breaker)
      configuration.middleware.use(breaker)
      Flowline.define do |p|
        p.step(:items) { (1..5).to_a }
        p.step(:fetch, each: :items, tags: "shop", on_item_error: :collect) do |item|
          calls << item
          good.include?(item) ? item : raise(IOError, "down")
        end
        p.step(:other, depends_on: :fetch) { |_| 1 }
      end.run
    end

    it "stops calling after failures in a row, but only steps with the tag" do
      result = shop([], described_class.new("shop", failures: 2))
      expect(calls).to eq([1, 2])
      expect(result[:fetch].item_errors.map { |error| error.original.class }).to eq(([IOError] * 2) + ([CircuitBreaker::Open] * 3))
      expect(result[:fetch].item_errors.last.original.message).to eq("shop is not called: it has failed 2 times in a row")
      expect(result[:other].output).to eq(1)
    end

    it "goes on calling when a success is in between" do
      shop([2, 4], described_class.new("shop", failures: 2))
      expect(calls).to eq([1, 2, 3, 4, 5])
    end

    it "calls again after the pause, and starts the next pause if that fails" do
      breaker = described_class.new("shop", failures: 2, pause: 30)
      shop([], breaker)
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      allow(breaker).to receive(:now).and_return(now + 29, now + 31)
      calls.clear
      shop([], breaker)
      expect(calls).to eq([2])
    end

    it "counts a time limit as a failure" do
      configuration.middleware.use(described_class.new("shop", failures: 1))
      result = Flowline.define { step(:slow, tags: "shop", timeout: 0.05, retries: 1) { sleep } }.run
      expect(result.error.original).to be_a(CircuitBreaker::Open)
    end
  end
end
