# frozen_string_literal: true

RSpec.describe "A cache and the clock" do
  let(:path) { "#{ENV.fetch("FLOWLINE_ROOT")}.cache" }
  let(:cache) { Flowline::Cache::File.new(path) }

  after { FileUtils.rm_rf(path) }

  # Lets the wall clock be ahead in the block.
  def ahead(seconds)
    time = Time.now + seconds
    allow(Time).to receive(:now).and_return(time)
    yield
  ensure
    allow(Time).to receive(:now).and_call_original
  end

  def self.active_support
    require "active_support"
    require "active_support/cache"
    true
  rescue LoadError
    false
  end

  simple = Class.new do
    def initialize = @all = {}
    def get(key) = @all[key]
    def set(key, value) = @all[key] = value
    def exists?(key) = @all.key?(key)
  end

  caches = {
    Memory: -> { Flowline::Cache::Memory.new },
    File: -> { cache },
    Foreign: -> { Flowline::Cache.of(simple.new) }
  }
  caches[:ActiveSupport] = -> { Flowline::Cache.of(ActiveSupport::Cache::MemoryStore.new(expires_in: 1)) } if active_support
  caches[:ActiveSupportFiles] = -> { Flowline::Cache.of(ActiveSupport::Cache::FileStore.new(path, expires_in: 1)) } if active_support

  caches.each do |name, make|
    it "keeps a value with ttl: Float::INFINITY (#{name})" do
      cache = instance_exec(&make)
      cache.set("k", 1, ttl: Float::INFINITY)
      expect(cache.fetch("l", ttl: Float::INFINITY) { 2 }).to eq(2)
      ahead(10 * 365 * 86_400) { expect([cache.get("k"), cache.fetch("l") { 3 }]).to eq([1, 2]) }
    end

    it "caches a step with ttl: Float::INFINITY without a warning (#{name})" do
      cache = instance_exec(&make)
      p = Flowline.define(name: "infinite", checkpoint: false) { |d| d.step(:a, cache: { ttl: Float::INFINITY }) { 1 } }
      expect(Array.new(2) { p.run(cache: cache).then { |result| [result[:a].status, result.warnings] } }).to eq([[:succeeded, []], [:cached, []]])
    end
  end

  it "shows an entry with ttl: Float::INFINITY as one that does not expire" do
    cache.set("k", 1, ttl: Float::INFINITY)
    expect(cache.entries).to match([include(key: "k", expires_at: nil)])
    expect(flowline("cache", "--dir", path).first).to eq(0)
  end

  it "takes an entry that was written while the clock was ahead for stale, and replaces it" do
    ahead(3600) { cache.set("k", :future, ttl: 10) }
    expect([cache.exists?("k"), cache.peek("k"), cache.entries]).to eq([false, [false, nil], []])
    expect([cache.fetch("k") { :now }, cache.get("k")]).to eq(%i[now now])
  end

  it "does not serve entries of a directory that another process has removed" do
    cache.set("k", 1)
    cache.set("large", "x" * 300_000)
    elsewhere { FileUtils.rm_rf(path) && nil }
    expect([cache.get("k"), cache.peek("large").first, cache.fetch("large") { 2 }]).to eq([nil, false, 2])
  end

  it "does not serve entries that another process has cleared or deleted" do
    %w[a b large].each { |key| cache.set(key, key * 100_000) }
    elsewhere { Flowline::Cache::File.new(path).delete("a") && nil }
    expect([cache.get("a"), cache.exists?("b")]).to eq([nil, true])
    elsewhere { Flowline::Cache::File.new(path).clear && nil }
    expect(%w[a b large].map { |key| cache.lookup(key) }).to eq([[false, nil]] * 3)
    cache.set("b", 2)
    expect(elsewhere { Flowline::Cache::File.new(path).get("b") }).to eq(2)
  end

  it "does not serve entries of a directory that another process has replaced" do
    cache.set("k", 1)
    elsewhere do
      Flowline::Cache::File.new("#{path}.new").set("k", 2)
      File.rename(path, "#{path}.old")
      File.rename("#{path}.new", path)
    end
    expect(cache.get("k")).to eq(2)
  ensure
    FileUtils.rm_rf("#{path}.old")
  end

  it "of a process that is ahead deletes no file that another process is writing" do
    elsewhere { Flowline::Cache::File.new(path).set("first", 1) } # This process has not looked for files yet.
    goes, go = IO.pipe
    came, come = IO.pipe
    writer = child do
      cache = Flowline::Cache::File.new(path).tap { |opened| opened.get("first") }
      come.write(".") && goes.read(1)
      cache.set("k", "x" * 300_000) && :done
    end
    came.read(1)
    holding_store(path) do
      go.write(".")
      eventually { Dir.glob("#{path}/flowline.blobs/*.part").any? { |file| File.size(file) > 300_000 } }
      Process.kill(:STOP, writer.pid) # It waits for the store, and holds nothing but its file.
    end
    File.write(orphan = "#{path}/flowline.blobs/00000000000000ff.part", "nobody writes it")
    ahead(10 * 86_400) { elsewhere { Flowline::Cache::File.new(path).set("large", "y" * 300_000) && nil } }
    expect(File.exist?(orphan)).to be(false)
    Process.kill(:CONT, writer.pid)
    expect([writer.value, cache.get("k"), cache.exists?("large")]).to eq([:done, "x" * 300_000, false])
  end

  it "has its own value for a step called page[0] beside a step for each item", executor: :in_process do
    broken = [1]
    calls = []
    p = Flowline.define(name: "pages") do |d|
      d.step(:pages) { %w[one two] }
      d.step(:page, each: :pages) { |page| (calls << page) && page == "two" && broken.any? ? raise("down") : page }
      d.step(:"page[0]") { (calls << :own) && :own }
      d.step(:"page[1]", depends_on: :"page[0]") { |own| [own, 1] }
    end
    p.run(on_error: :continue)
    broken.clear
    calls.clear
    result = p.run(resume: true)
    expect(result.outputs).to eq(pages: %w[one two], page: %w[one two], "page[0]": :own, "page[1]": [:own, 1])
    expect(calls).to eq(["two"])
  end
end
