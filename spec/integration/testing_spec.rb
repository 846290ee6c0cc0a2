# frozen_string_literal: true

require "flowline/testing"
require "fileutils"
require "open3"
require "rbconfig"
require "tmpdir"

RSpec.describe "Flowline::Testing" do
  let(:testing) { Flowline::Testing }

  # @return [Float] how many seconds the block took
  def seconds
    began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    yield
    Process.clock_gettime(Process::CLOCK_MONOTONIC) - began
  end

  describe ".run_step" do
    let(:log) { [] }
    let(:pipeline) do
      log = self.log
      Flowline.define(name: "orders") do
        param :least, type: :integer, default: 10
        param :date, type: :date, required: true
        before_run { |_| log << :hook }
        step(:fetch) { log << :fetch }
        step(:select, depends_on: :fetch) { |fetch:, least:| fetch.select { |n| n >= least } }
        step(:day, depends_on: :fetch) { |rows, date:| "#{date}: #{rows.size}" }
        step(:load, depends_on: %i[select day], retries: 1) { |rows, _| rows.empty? ? raise(IOError, "nothing") : rows.sum }
        step(:notify, depends_on: :load, when: ->(_, total) { total > 100 }) { |total| "total #{total}" }
        step(:clean, depends_on: :load, run_if: :always) { |ctx| ctx[:date].inspect }
        step(:each, each: :fetch, depends_on: :day) { |n, day| [n, day] }
      end
    end

    it "calls one step with the outputs and params that are given, without hooks" do
      expect(testing.run_step(pipeline, :select, fetch: [1, 20], least: "2").output).to eq([20])
      expect(testing.run_step(pipeline, "select", fetch: [1, 20]).status).to eq(:succeeded)
      expect(testing.run_step(pipeline, :each, fetch: [1, 2], day: "x").output).to eq([[1, "x"], [2, "x"]])
      expect(log).to be_empty
      expect(File.exist?(ENV.fetch("FLOWLINE_ROOT"))).to be(false)
    end

    it "asks conditions, and retries" do
      expect(testing.run_step(pipeline, :notify, load: 5)).to have_attributes(status: :skipped, reason: :condition)
      expect(testing.run_step(pipeline, :notify, load: 500).output).to eq("total 500")
      result = testing.run_step(pipeline, :load, select: [], day: nil)
      expect(result).to have_attributes(status: :failed, attempts: 2)
      expect(result.error.original).to be_a(IOError)
    end

    it "requires the params that the step takes by name, and no others" do
      expect(testing.run_step(pipeline, :clean, load: 1).output).to eq("nil")
      expect(testing.run_step(pipeline, :clean).output).to eq("nil")
      expect(testing.run_step(pipeline, :day, fetch: [], date: "2024-01-31").output).to eq("2024-01-31: 0")
      expect { testing.run_step(pipeline, :day, fetch: []) }.to raise_error(Flowline::ParamError, "param date is required")
      expect { testing.run_step(pipeline, :select, fetch: [], least: "many") }.to raise_error(Flowline::ParamError, /least must be/)
    end

    it "names what is missing or unknown, in one error, with a suggestion" do
      expect { testing.run_step(pipeline, :load) }
        .to raise_error(Flowline::ParamError, "run_step: load needs the output of select and day; give select: …, day: …")
      expect { testing.run_step(pipeline, :select, fetc: [], leest: 1) }.to raise_error(Flowline::ParamError) { |error|
        expect(error.problems).to eq(["run_step: select takes no fetc:; did you mean fetch?", "run_step: select takes no leest:; did you mean least?",
                                      "run_step: select needs the output of fetch; give fetch: …"])
        expect(error.backtrace.first).to start_with(__FILE__)
      }
      expect { testing.run_step(pipeline, :select, fetch: [], xyzzy: 1) }.to raise_error(/it depends on fetch, params are least, date/)
      expect { testing.run_step(pipeline, :selct) }.to raise_error(Flowline::UnknownStepError, "there is no step selct; did you mean select?")
      expect { testing.run_step(Object, :a) }.to raise_error(ArgumentError, /is no pipeline/)
    end

    it "returns the output, or raises the error, with a bang" do
      expect(testing.run_step!(pipeline, :load, select: [3], day: nil)).to eq(3)
      expect { testing.run_step!(pipeline, :load, select: [], day: nil) }.to raise_error(Flowline::StepError, /IOError: nothing/)
    end

    it "calls a nested pipeline" do
      inner = Flowline.define do
        step(:parse) { |text| text.split(",") }
        step(:count, depends_on: :parse) { |rows| rows.size }
      end
      pipeline = Flowline.define do
        step(:fetch) { raise "called" }
        step :clean, inner, depends_on: :fetch
      end
      expect(testing.run_step!(pipeline, :clean, fetch: "a,b")).to eq(2)
      expect(testing.run_step!(pipeline, :"clean.count", parse: [1])).to eq(1)
    end

    it "leaves nothing that a later run would resume" do
      pipeline = Flowline.define { step(:a) { 1 } }
      testing.run_step(pipeline, :a)
      expect(pipeline.run(resume: true).resumed.run_id).to be_nil
    end
  end

  describe ".virtual_time" do
    let(:flaky) do
      calls = 0
      Flowline.define do
        step(:flaky, retries: 3, retry_strategy: :exponential, retry_delay: 100, retry_max_delay: 1_000, retry_jitter: 0) do |ctx|
          (calls += 1) % 4 == 0 ? ctx.elapsed : raise("no")
        end
      end
    end

    %i[sequential parallel].each do |executor|
      it "skips waits for retries, with the durations that they would have, when #{executor}" do
        result = nil
        expect(seconds { result = testing.virtual_time { flaky.run(executor: executor) } }).to be < 20
        expect(result[:flaky]).to have_attributes(status: :succeeded, attempts: 4, output: be_within(20).of(700))
        expect(result.duration).to be_within(20).of(700)
      end

      it "skips waits for rates when #{executor}" do
        pipeline = Flowline.define do
          step(:list) { (1..4).to_a }
          step(:page, each: :list, rate: "1/h") { |_, ctx| (ctx.elapsed / 3600).round }
        end
        expect(testing.virtual_time { pipeline.run(executor: executor) }[:page].output).to eq([0, 1, 2, 3])
      end

      it "ends a run whose time limit comes before the next attempt when #{executor}" do
        result = testing.virtual_time { flaky.run(executor: executor, timeout: 150) }
        expect(result).to have_attributes(status: :timed_out, duration: be_within(20).of(150))
        expect(result[:flaky].attempts).to eq(2)
      end
    end

    it "does not skip time while the items of a lazy source are being read" do
      failed = false
      pipeline = Flowline.define do
        step(:list) { Enumerator.new { |items| 3.times { |n| items << (sleep(0.05) && n) } } }
        step(:page, each: :list, retries: 1, retry_strategy: :linear, retry_delay: 50) { |n| n == 1 && !failed ? raise((failed = true) && "no") : n }
      end
      %i[sequential parallel].each do |executor|
        failed = false
        result = testing.virtual_time { pipeline.run(executor: executor, timeout: 100) }
        expect(result).to have_attributes(status: :succeeded, duration: be_between(50, 80))
        expect(result[:page].output).to eq([0, 1, 2])
      end
    end

    it "holds for runs that the block starts, and not after it" do
      expect(testing.virtual_time { flaky.start }.wait[:flaky].attempts).to eq(4)
      expect(Flowline::Execution::VirtualTime.on?).to be(false)
      testing.virtual_time { testing.real_time { expect(Flowline::Execution::VirtualTime.on?).to be(false) } }
      run = flaky.start
      run.cancel
      expect(run.wait.duration).to be < 50
    end

    it "leaves the time limit of a call real" do
      pipeline = Flowline.define { step(:slow, timeout: 0.05) { sleep(20) } }
      expect(seconds { expect(testing.virtual_time { pipeline.run }[:slow].status).to eq(:timed_out) }).to be < 15
    end
  end

  describe ".setup" do
    around do |example|
      testing.setup
      example.run
    ensure
      testing.teardown
    end

    it "disables the store, and empties the cache and the memory of pipelines" do
      broken = true
      pipeline = Flowline.define(name: "kit") do
        step(:fetch, cache: true) { Object.new.object_id }
        step(:load, depends_on: :fetch) { |_| raise "down" if broken }
      end
      first = pipeline.run
      broken = false
      expect(pipeline.run[:fetch]).to have_attributes(status: :cached, output: first[:fetch].output)
      broken = true
      pipeline.run
      testing.teardown
      testing.setup
      broken = false
      result = pipeline.run(resume: true)
      expect(outcomes(result)).to eq(fetch: :succeeded, load: :succeeded)
      expect(File.exist?(ENV.fetch("FLOWLINE_ROOT"))).to be(false)
    end

    it "is undone when the last of several tests has ended" do
      testing.setup
      testing.teardown
      expect(Flowline.config.store).to be(false)
      testing.teardown
      expect([Flowline.config.store, Flowline.config.cache, Flowline::Execution::VirtualTime.everywhere]).to match([true, nil, nil])
      testing.setup
    end

    it "costs a test next to nothing" do
      pipeline = Flowline.define { 5.times { |n| step(:"s#{n}", **(n.zero? ? {} : { depends_on: :"s#{n - 1}" })) { 1 } } }
      check = Flowline::Testing::Checks
      pipeline.run
      test = lambda do
        testing.setup
        check::Succeed.new.with_output(:s4, 1).matches?(pipeline.run)
        testing.teardown
      end
      kit, plain = [test, -> { pipeline.run }].map { |work| Array.new(50) { seconds(&work) }.min }
      expect(kit - plain).to be < 0.001
    end

    it "gives a block a store that is removed" do
      pipeline = Flowline.define(name: "kit") { step(:a) { 1 } }
      root = testing.with_store do |directory|
        pipeline.run
        expect(Flowline::History.runs.size).to eq(1)
        directory
      end
      expect(File.exist?(root)).to be(false)
      expect(Flowline.config.store).to be(false)
    end
  end

  describe ".crash_everywhere" do
    it "kills a run at every moment, and finds that outputs are the same" do
      pipeline = Flowline.define(name: "good") do
        param :count, type: :integer
        step(:list) { |count:| (1..count).to_a }
        step(:double, each: :list) { |n| n * 2 }
        step(:sum, depends_on: :double) { |rows| rows.sum }
      end
      expect(testing.crash_everywhere(pipeline, count: 2)).to eq(12)
      expect(testing.crash_everywhere(pipeline, count: 50, limit: 3)).to eq(3)
      expect(File.exist?(ENV.fetch("FLOWLINE_ROOT"))).to be(false)
    end

    it "kills runs of other executors, too" do
      pipeline = Flowline.define(name: "apart") do
        step(:list) { [1, 2] }
        step(:double, each: :list, concurrency: 2) { |n| n * 2 }
        step(:sum, depends_on: :double) { |rows| rows.sum }
      end
      %i[parallel process].each { |executor| expect(testing.crash_everywhere(pipeline, executor: executor)).to eq(12) }
    end

    it "reports a step that is not idempotent, with the moment" do
      Dir.mktmpdir do |folder|
        pipeline = Flowline.define(name: "appends") do
          step(:append) { File.write("#{folder}/rows", "row\n", mode: "a") }
          step(:count, depends_on: :append) { |_| File.readlines("#{folder}/rows").size }
        end
        expect { testing.crash_everywhere(pipeline, before: -> { FileUtils.rm_f("#{folder}/rows") }) }
          .to raise_error(Flowline::Testing::CrashError) { |error|
            expect(error.problems).to eq(["killed before step append was recorded: the output of step count is 2, not 1"])
            expect(error.message).to start_with("the run was killed at 6 of 6 moments, and 1 times it did not end as without that:")
          }
      end
    end

    it "reports a step that runs again because it cannot be recorded, unless it says so" do
      define = lambda do |**options|
        Flowline.define(name: "unrecorded") do
          step(:open, **options) { $stderr }
          step(:use, depends_on: :open) { |io| io.fileno }
        end
      end
      expect { testing.crash_everywhere(define.call) { |result| result[:use].output } }
        .to raise_error(/killed after step open was recorded: step open was called again, because its output could not be recorded/)
      expect(testing.crash_everywhere(define.call(checkpoint: false)) { |result| result[:use].output }).to eq(6)
    end

    it "refuses a pipeline that fails anyway, or has no name" do
      failing = Flowline.define(name: "failing") { step(:a) { raise "down" } }
      expect { testing.crash_everywhere(failing) }.to raise_error(Flowline::Error, /fails without being killed: step a failed: RuntimeError: down/)
      expect { testing.crash_everywhere(Flowline.define { step(:a) { 1 } }) }.to raise_error(Flowline::Error, /needs a pipeline with a name/)
    end

    it "says where there is no fork" do
      allow(Process).to receive(:respond_to?).and_call_original
      allow(Process).to receive(:respond_to?).with(:fork).and_return(false)
      expect { testing.crash_everywhere(Flowline.define(name: "a") { step(:a) { 1 } }) }.to raise_error(Flowline::Error, /needs fork, which this Ruby/)
    end
  end
end
