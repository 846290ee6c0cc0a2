# frozen_string_literal: true

require "flowline/cli"
require "json"
require "flowline/cache"
require_relative "../contracts/cache"

RSpec.describe "Caching" do
  let(:calls) { [] }
  let!(:folder) { Dir.mktmpdir }

  after { FileUtils.rm_rf(folder) }

  def cached(name: nil, **options, &block)
    calls = self.calls
    block ||= ->(n) { [calls << n, n * 2].last }
    Flowline.define(name: name) do |p|
      p.param :n, type: :integer, default: 1
      p.step(:source) { |n:| n }
      p.step(:double, depends_on: :source, cache: true, **options, &block)
    end
  end

  def statuses(pipeline, *runs)
    runs.map { |options| pipeline.run(**options)[:double].status }
  end

  it "reuses the output for the same inputs, a nil as well" do
    expect(statuses(cached, {}, {}, { n: 2 }, { n: 1 })).to eq(%i[succeeded cached succeeded cached])
    expect(calls).to eq([1, 2])
    nothing = Flowline.define { |p| p.step(:a, cache: true) { [calls << :a, nil].last } }
    2.times { nothing.run }
    expect(calls.count(:a)).to eq(1)
  end

  it "gives copies: what is done to an output never reaches the cache" do
    pipeline = Flowline.define { |p| p.step(:a, cache: true) { [1] } }
    3.times { pipeline.run[:a].output << 2 }
    expect(pipeline.run[:a].output).to eq([1])
  end

  it "is skipped in reading, or altogether" do
    pipeline = cached
    expect(statuses(pipeline, {}, { skip_cache: true }, {}, { cache: false }, {})).to eq(%i[succeeded succeeded cached succeeded cached])
    expect(statuses(cached(skip_cache: true), {}, {})).to eq(%i[succeeded succeeded])
  end

  it "tells hooks: the step is skipped, since it is cached" do
    seen = []
    pipeline = Flowline.define do |p|
      p.before_step { seen << :called }
      p.on_step_skip { |step, reason| seen << [step.name, reason] }
      p.step(:a, cache: true) { 1 }
    end
    2.times { pipeline.run }
    expect(seen).to eq([:called, %i[a cached]])
  end

  it "is by all that a context gives" do
    pipeline = Flowline.define do |p|
      p.param :n, default: 1
      p.param :other, default: 1
      p.step(:double, cache: true) { |ctx| ctx[:n] * 2 }
    end
    expect(statuses(pipeline, {}, {}, { other: 2 }, { context: { x: 1 } }, { context: { x: 1 } }))
      .to eq(%i[succeeded cached succeeded succeeded cached])
  end

  it "is by a key of the user's instead, but never beyond the step" do
    pipeline = cached(cache: { key: ->(n) { n % 2 } })
    expect(statuses(pipeline, { n: 1 }, { n: 3 }, { n: 2 })).to eq(%i[succeeded cached succeeded])
    pipeline = cached(cache: { key: ->(source:, ctx:) { [source, ctx[:n]] } })
    expect(statuses(pipeline, {}, {})).to eq(%i[succeeded cached])
    result = cached(cache: { key: ->(_) { raise "no key" } }).run
    expect(result.error.message).to include("step double failed: RuntimeError: no key")
    expect { cached(cache: { key: ->(a, b, c, d) {} }) }.to refuse(/takes 4 values/)
  end

  it "tells apart steps whose blocks captured different values" do
    cache = Flowline::Cache::Memory.new
    outputs = [10, 20].map do |factor|
      Flowline.define(name: "same", cache: cache) { |p| p.step(:a, cache: true) { factor } }.run[:a].output
    end
    expect(outputs).to eq([10, 20])
  end

  it "tells apart pipelines, the nameless ones from each other" do
    cache = Flowline::Cache::Memory.new
    runs = [nil, nil, "a", "b", "a"].map { |name| Flowline.define(name: name, cache: cache) { |p| p.step(:x, cache: true) { 1 } }.run[:x].status }
    expect(runs).to eq(%i[succeeded succeeded succeeded succeeded cached])
  end

  it "sees another version and another value of a captured variable, not one changed in place" do
    cache = Flowline::Cache::Memory.new
    by_version = ->(version) { Flowline.define(name: "v", cache: cache) { |p| p.step(:a, cache: true, version: version) { 1 } }.run[:a].status }
    expect([1, 1, 2].map(&by_version)).to eq(%i[succeeded cached succeeded])
    factor = [1]
    pipeline = Flowline.define { |p| p.step(:double, cache: true) { factor.first } }
    expect(statuses(pipeline, {})).to eq([:succeeded])
    factor << 2
    expect(statuses(pipeline, {})).to eq([:cached])
    factor = [3]
    expect(statuses(pipeline, {})).to eq([:succeeded])
  end

  it "leaves out what cannot be told apart, and says how to mend that" do
    io = $stdin
    result = Flowline.define { |p| p.step(:a, cache: true) { io.fileno } }.run
    expect(result.warnings).to contain_exactly(/\Astep a is not cached: it captures io \(a IO\), which cannot be digested; give cache: \{ key: \}/)
    result = Flowline.define do |p|
      p.step(:proc) { -> { 1 } }
      p.step(:a, depends_on: :proc, cache: true) { |callable| callable.call }
    end.run
    expect(result.warnings).to contain_exactly(/step a is not cached: it gets something that cannot be digested \(a Proc\)/)
    keyed = Flowline.define { |p| p.step(:a, cache: { key: -> { 1 } }) { io.fileno } }
    expect([keyed.run, keyed.run].map { |run| run[:a].status }).to eq(%i[succeeded cached])
  end

  it "says when an output cannot be kept" do
    result = Flowline.define { |p| p.step(:a, cache: true) { -> { 1 } } }.run
    expect(result).to be_success
    expect(result.warnings).to contain_exactly(/\Athe output of step a is not cached: .*Proc/)
  end

  it "forgets after the time to live" do
    time = 0.0
    clock = Process.method(:clock_gettime).unbind.bind(Process)
    allow(Process).to(receive(:clock_gettime) { |*args| clock.call(*args) + (args.first == Process::CLOCK_MONOTONIC ? time : 0) })
    pipeline = cached(cache: { ttl: 60 })
    expect(statuses(pipeline, {}, {})).to eq(%i[succeeded cached])
    time = 61.0
    expect(statuses(pipeline, {}, {})).to eq(%i[succeeded cached])
  end

  it "is where the run, the step, the pipeline or the process say" do
    mine, yours = Array.new(2) { Flowline::Cache::Memory.new }
    pipeline = cached
    expect(statuses(pipeline, { cache: mine }, { cache: mine }, { cache: yours }, {})).to eq(%i[succeeded cached succeeded succeeded])
    expect(statuses(cached(cache: { store: mine }), {}, { cache: yours })).to eq(%i[succeeded cached])
    plain = Module.new do
      def get(key) = self[key]
      def set(key, value) = self[key] = value
      def exists?(key) = key?(key)
    end
    Flowline.configure { |config| config.cache = {}.extend(plain) }
    expect(statuses(cached, {}, {})).to eq(%i[succeeded cached])
    expect(Flowline.config.cache.size).to eq(1)
  ensure
    Flowline.config.cache = nil
  end

  it "fails no step when the cache fails" do
    broken = Class.new do
      def get(_) = raise("down")
      def set(_, _) = raise("down")
      def exists?(_) = true
    end.new
    result = cached.run(cache: broken)
    expect([result[:double].output, result.warnings.uniq]).to match([2, all(match(/down/))])
  end

  it "refuses what makes no cache" do
    expect { cached(cache: 5) }.to refuse(/cache: must be true, false, or a Hash of ttl:, key: and store:/)
    expect { cached(cache: { tll: 5 }) }.to refuse(/cache:/)
    expect { cached.run(cache: 5) }.to raise_error(Flowline::ParamError, /cache: must be true, false or a cache/)
  end

  it "computes once when several threads ask at once" do
    started = Queue.new
    go = Queue.new
    pipeline = Flowline.define { |p| p.step(:double, cache: { key: -> { 1 } }) { [started.push(1), go.pop, :value].last } }
    threads = Array.new(4) { Thread.new { pipeline.run[:double] } }
    started.pop
    go.push(1)
    expect(threads.map { |thread| thread.value.output }).to eq([:value] * 4)
    expect(started).to be_empty
  end

  describe Flowline::Cache::File do
    it_behaves_like("a cache") { let(:cache) { described_class.new("#{folder}/cache") } }

    it "outlives the process, and is shared" do
      calls
      pipeline = ->(cache) { cached(name: "shared").run(cache: cache)[:double].status }
      pid = fork { exit!(pipeline.call(described_class.new(folder)) == :succeeded) }
      expect(Process.wait2(pid).last).to be_success
      expect(pipeline.call(described_class.new(folder))).to eq(:cached)
    end

    it "lets one process compute, and the others wait" do
      count = "#{folder}/count"
      pids = Array.new(4) do
        fork do
          described_class.new("#{folder}/cache").fetch("k") { File.write(count, "x", mode: "a") && sleep(0.1) && 5 }
          exit!(0)
        end
      end
      pids.each { |pid| Process.wait(pid) }
      expect(File.read(count)).to eq("x")
    end

    it "takes damaged entries for missing ones" do
      cache = described_class.new(folder)
      cache.set("large", "x" * 300_000)
      cache.set("gone", "y" * 300_001)
      cache.set("short", "z" * 300_002)
      large, gone, short = Dir.glob("#{folder}/blobs/*").sort_by { |file| File.size(file) }
      File.binwrite(large, File.binread(large).tap { |bytes| bytes.setbyte(500, 0) })
      File.delete(gone)
      File.truncate(short, 10)
      problems = []
      expect(%w[large gone short].map { |key| cache.lookup(key) { |problem| problems << problem } }).to eq([[false, nil]] * 3)
      expect(problems.size).to eq(3)
      expect(cache.entries).to be_empty
      expect(cache.fetch("large") { 1 }).to eq(1)
    end

    it "begins anew when its database is damaged" do
      described_class.new(folder).set("k", 1)
      Dir.glob("#{folder}/flowline.db*").each { |file| File.delete(file) }
      File.binwrite("#{folder}/flowline.db", "garbage" * 1000)
      cache = described_class.new(folder)
      expect { expect(cache.get("k")).to be_nil }.to output(/is damaged and begins anew/).to_stderr
      cache.set("k", 2)
      expect(cache.get("k")).to eq(2)
      expect(File.exist?("#{folder}/flowline.db.damaged")).to be(true)
    end

    it "keeps to its size, and to what was used last" do
      cache = described_class.new(folder, max_bytes: 100_000)
      210.times { |n| cache.set("k#{n}", "x" * 900) }
      expect(cache.entries.sum { |entry| entry[:size] }).to be <= 110_000
      expect(cache.get("k209")).to eq("x" * 900)
      expect(cache.get("k0")).to be_nil
    end

    it "raises nothing but CacheErrors, which fail no step" do
      File.write("#{folder}/file", "")
      cache = described_class.new("#{folder}/file")
      expect { cache.get("k") }.to raise_error(Flowline::CacheError)
      result = cached.run(cache: cache)
      expect([result[:double].status, result.warnings]).to match([:succeeded, [/file/, /file/]])
    end

    it "is shown and cleared on the command line, by pipeline and step" do
      described_class.new(folder)
      { "a/x/1" => 1, "a/x/2" => 2, "a/y/1" => 3, "b/x/1" => 4 }.each { |key, value| described_class.new(folder).set(key, value) }
      out = StringIO.new
      flowline = ->(*arguments) { out.truncate(0) && out.rewind && Flowline::CLI.start(["cache", "--dir", folder, *arguments], out: out, err: StringIO.new) && out.string }
      expect(flowline.call).to match(%r{\Aa/x +2 entries  \d+ bytes\na/y +1 entry  \d+ bytes\nb/x +1 entry})
      expect(flowline.call("--clear", "a/x")).not_to include("a/x")
      expect(flowline.call("--clear", "a")).to match(%r{\Ab/x})
      expect(JSON.parse(flowline.call("--clear", "all", "--json"))).to eq([])
    end
  end
end
