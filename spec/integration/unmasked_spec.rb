# frozen_string_literal: true

require "timeout"

# User code is called without a mask of ours: what it starts can be stopped, and what it uses works, wherever it is called.
RSpec.describe "User code within a run" do
  # A cache of the user's, whose client does what the block says.
  def cache(&body)
    Class.new do
      define_method(:get) { |_key| body.call && nil }
      def set(_key, value, **) = value
      def exists?(_key) = false
    end.new
  end

  # Everything that a run calls, with something in it that does what the block says.
  def pipelines(&body)
    { step: Flowline.define { |p| p.step(:a) { body.call } },
      "before_step hook": Flowline.define { |p| p.before_step { body.call } && p.step(:a) { 1 } },
      "after_step hook": Flowline.define { |p| p.after_step { body.call } && p.step(:a) { 1 } },
      "before_run hook": Flowline.define { |p| p.before_run { body.call } && p.step(:a) { 1 } },
      "after_run hook": Flowline.define { |p| p.after_run { body.call } && p.step(:a) { 1 } },
      "on_failure hook": Flowline.define { |p| p.on_failure { body.call } && p.step(:a) { raise "no" } },
      condition: Flowline.define { |p| p.step(:a, when: -> { body.call || true }) { 1 } },
      retry_if: Flowline.define { |p| p.step(:a, retries: 1, retry_if: ->(_) { body.call && false }) { raise "no" } },
      cache: Flowline.define(cache: cache(&body)) { |p| p.step(:a, cache: true) { 1 } },
      "cache key": Flowline.define(cache: Flowline::Cache::Memory.new) { |p| p.step(:a, cache: { key: -> { body.call || 1 } }) { 1 } },
      source: Flowline.define { |p| p.step(:rows) { Enumerator.new { |items| (items << 1) && body.call } } && p.step(:map, each: :rows) { |n| n } } }
  end

  %i[sequential parallel].each do |executor|
    describe "under :#{executor}", executor: :in_process do
      it "may start threads that can be stopped" do
        pipelines do
          thread = Thread.new { sleep }
          Thread.pass until thread.stop?
          STARTED << thread
        end.each do |place, pipeline|
          stub_const("STARTED", started = [])
          pipeline.run(executor: executor, cache: pipeline.settings.fetch(:cache, true))
          expect(started).not_to be_empty, place.to_s
          expect(started.each(&:kill).map { |thread| thread.join(5) }.all?).to be(true), place.to_s
        end
      end

      it "may use Timeout" do
        pipelines do
          Timeout.timeout(0.02) { sleep }
        rescue Timeout::Error
          ENDED << true
        end.each do |place, pipeline|
          stub_const("ENDED", ended = [])
          Timeout.timeout(20) { pipeline.run(executor: executor) }
          expect(ended).not_to be_empty, place.to_s
        end
      end
    end
  end

  it "may use Timeout when the end of a failed run is recorded, although it digests outputs of cached steps" do
    stub_const("Slow", Class.new do
      def marshal_dump
        Timeout.timeout(0.02) { sleep }
      rescue Timeout::Error
        1
      end

      def marshal_load(_) = nil
    end)
    [nil, "digested"].each do |name|
      pipeline = Flowline.define(name: name, on_error: :continue, cache: Flowline::Cache::Memory.new) do |p|
        p.step(:a, cache: true) { Slow.new }
        p.step(:bad) { raise "no" }
      end
      2.times { expect(Timeout.timeout(20) { pipeline.run }.status).to eq(:failed) }
    end
  end

  it "is stopped when the run is cancelled now, although it never returns" do
    reached = Queue.new
    pipelines { (reached << true) && sleep }.each do |place, pipeline|
      %i[sequential parallel].each do |executor|
        run = pipeline.start(executor: executor)
        Timeout.timeout(10) { reached.pop }
        run.cancel(now: true)
        expect(run.wait(10)).not_to be_nil, "#{place} under #{executor}"
        reached.clear
      end
    end
  end

  it "is stopped when the run's time is up, although a cache client never returns" do
    %i[sequential parallel].each do |executor|
      result = Flowline.define(cache: cache { sleep }) { |p| p.step(:a, cache: true) { 1 } }.run(executor: executor, timeout: 0.1)
      expect(result[:a].status).to eq(:timed_out)
    end
  end

  it "that always runs is not hit by the first cancel(now: true), wherever it blocks" do
    %i[sequential parallel].each do |executor|
      reader, writer = IO.pipe
      reached = Queue.new
      items = Enumerator.new { |e| (reached << true) && (e << reader.sysread(1)) }
      run = Flowline.define { |p| p.step(:clean, run_if: :always) { items.next } }.start(executor: executor)
      reached.pop
      sleep 0.02
      run.cancel(now: true)
      expect(run.wait(0.1)).to be_nil
      writer.write("x")
      expect(run.wait(10)[:clean]).to have_attributes(status: :succeeded, output: "x")
      [reader, writer].each(&:close)
    end
  end

  it "of one step is never hit by an interruption of another" do
    100.times do
      seen = Queue.new
      pipeline = Flowline.define do |p|
        2.times { |i| p.step(:"quick#{i}") { i } }
        p.step(:clean, run_if: :always, depends_on: %i[quick0 quick1]) do |_, _|
          500.times { Thread.pass }
          seen << true
        end
      end
      run = pipeline.start(executor: :parallel, max_threads: 2)
      run.cancel(now: true)
      expect(run.wait(10)[:clean].status).to eq(:succeeded)
      expect(seen.size).to eq(1)
    end
  end
end
