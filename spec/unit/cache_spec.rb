# frozen_string_literal: true

require "logger" # ActiveSupport 6 and 7 forget it.
require "active_support"
require "active_support/cache"
require "open3"
require "rbconfig"
require "tmpdir"
require_relative "../contracts/cache"

# The least that the interface of others can be.
class HashCache
  def initialize
    @entries = {}
  end

  def get(key) = live(key)&.first
  def exists?(key) = !live(key).nil?
  def set(key, value, ttl: nil) = @entries[key] = [value, ttl && (Time.now + ttl)]
  def delete(key) = @entries.delete(key)
  def clear = @entries.clear

  private

  def live(key)
    entry = @entries[key]
    entry unless entry&.last&.<=(Time.now)
  end
end

# The least a cache of one's own can be.
class OwnCache
  include Flowline::Cache

  def initialize
    @entries = {}
  end

  def read(key)
    bytes, ends = @entries[key]
    bytes unless ends && ends <= Time.now
  end

  def write(key, bytes, ttl)
    @entries[key] = [bytes, ttl && (Time.now + ttl)]
  end

  def delete(key)
    @entries.delete(key.to_s)
  end

  def clear
    @entries.clear
  end
end

RSpec.describe Flowline::Cache do
  describe described_class::Memory do
    it_behaves_like("a cache") { let(:cache) { described_class.new } }
  end

  describe "an object with get, set and exists?" do
    it_behaves_like("a cache") { let(:cache) { Flowline::Cache.of(HashCache.new) } }
  end

  describe "a class with the primitives" do
    it_behaves_like("a cache") { let(:cache) { OwnCache.new } }

    it "may call a method flush that clears it: no run calls that" do
      cache = OwnCache.new.tap { |own| own.define_singleton_method(:flush) { clear } }
      pipeline = Flowline.define { step(:a, cache: true) { 1 } }
      expect(Array.new(2) { pipeline.run(cache: cache)[:a].status }).to eq(%i[succeeded cached])
    end
  end

  describe "ActiveSupport's MemoryStore" do
    it_behaves_like("a cache") { let(:cache) { Flowline::Cache.of(ActiveSupport::Cache::MemoryStore.new) } }
  end

  describe "ActiveSupport's FileStore" do
    around { |example| Dir.mktmpdir("flowline") { |directory| (@directory = directory) && example.run } }

    it_behaves_like("a cache") { let(:cache) { Flowline::Cache.of(ActiveSupport::Cache::FileStore.new(@directory)) } }
  end

  def keys_in(cache, keys)
    keys.select { |key| cache.read(key) }
  end

  # Calls the block in a child.
  # @return [String] what the block returned
  def in_child
    reader, writer = IO.pipe
    pid = fork do
      writer.write(yield.to_s)
      writer.flush
    ensure
      exit!(0)
    end
    writer.close
    Thread.new { reader.read }.join(10)&.value || Process.kill(:KILL, pid).then { "it waits and waits" }
  ensure
    Process.wait(pid) if pid
    reader.close
  end

  describe described_class::Memory do
    # With room for what is used most lately.
    def filled(**limits)
      described_class.new(**limits).tap { |cache| %w[a b c].each { |key| cache.set(key, key) } }
    end

    size = Marshal.dump("a").bytesize

    it "forgets what was used longest ago when there are too many" do
      cache = filled(max_entries: 3)
      cache.get("a")
      cache.set("b", "B")
      cache.set("d", "d")
      expect(keys_in(cache, %w[a b c d])).to eq(%w[a b d])
    end

    it "forgets what was used longest ago when it takes too much" do
      cache = filled(max_bytes: 3 * size)
      cache.exists?("a")
      cache.set("d", "d")
      expect(keys_in(cache, %w[a b c d])).to eq(%w[a c d])
      cache.set("e", "e" * size)
      expect(keys_in(cache, %w[a c d e])).to eq(%w[d e])
    end

    it "does not keep what is too large for it, nor what that would have replaced" do
      cache = filled(max_bytes: 3 * size)
      expect(cache.set("a", "a" * 3 * size).size).to eq(3 * size)
      expect(keys_in(cache, %w[a b c])).to eq(%w[b c])
    end

    it "has the room again of what was replaced, deleted, cleared or has ended" do
      cache = filled(max_bytes: 3 * size)
      100.times { cache.set("b", "B") }
      100.times { cache.delete("c") || cache.set("c", "C") }
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      allow(Process).to receive(:clock_gettime) { now += 2 }
      100.times { cache.set("c", "C", ttl: 1) && cache.get("c") }
      cache.set("c", "C")
      expect(keys_in(cache, %w[a b c])).to eq(%w[a b c])
      cache.clear
      %w[d e f].each { |key| cache.set(key, key) }
      expect(keys_in(cache, %w[d e f])).to eq(%w[d e f])
    end

    it "ends a time to live on the clock that nobody sets" do
      cache = described_class.new
      now = 1000.0
      allow(Process).to receive(:clock_gettime).with(Process::CLOCK_MONOTONIC) { now }
      allow(Time).to receive(:now).and_raise("must not be asked")
      cache.set("k", 1, ttl: 10)
      expect([now += 9.99, cache.get("k"), now += 0.01, cache.get("k")]).to eq([1009.99, 1, 1010.0, nil])
    end

    it "goes on in a forked child, whoever was using it", if: Process.respond_to?(:fork) do
      cache = described_class.new
      cache.set("k", 1)
      inside, go = Queue.new, Queue.new
      slow = Object.new.tap { |bytes| bytes.define_singleton_method(:bytesize) { (inside << 1) && go.pop } }
      holder = Thread.new { cache.write("slow", slow, nil) }
      inside.pop
      expect(in_child { [cache.get("k"), cache.set("l", 2), cache.get("l")] }).to eq("[1, 2, 2]")
      holder.kill.join
      expect([cache.get("k"), cache.get("l")]).to eq([1, nil])
    end
  end

  describe "a forked child", if: Process.respond_to?(:fork) do
    it "does not wait for what only its parent computes" do
      cache = Flowline::Cache::Memory.new
      inside, go = Queue.new, Queue.new
      threads = Array.new(2) { Thread.new { cache.fetch("k") { (inside << 1) && go.pop } } }
      inside.pop
      Thread.pass until threads.all?(&:stop?)
      child = in_child { [cache.fetch("k") { 1 }, Thread.new { cache.fetch("k") { 2 } }.value, Thread.new { cache.once("k") { 3 } }.value] }
      go << :parent
      expect([child, *threads.map(&:value)]).to eq(["[1, 1, 3]", :parent, :parent])
    end

    it "may be made by who computes" do
      cache = Flowline::Cache::Memory.new
      expect(cache.fetch("k") { in_child { cache.fetch("k") { 1 } } }).to eq("1")
    end
  end

  describe "one computation a key" do
    # Two objects that are the same cache, or not, asked for one key at the same time.
    def overlap?(first, second)
      inside, go = Queue.new, Queue.new
      threads = [first, second].map { |cache| Thread.new { cache.once("k") { (inside << 1) && go.pop } } }
      inside.pop
      Thread.pass until threads.all?(&:stop?)
      inside.size == 1
    ensure
      2.times { go << 1 }
      threads.each(&:join)
    end

    it "holds for all that wrap one object, and for nothing else" do
      object = HashCache.new
      expect(overlap?(described_class.of(object), described_class.of(object))).to be(false)
      expect(overlap?(described_class.of(object), described_class.of(HashCache.new))).to be(true)
      expect(overlap?(Flowline::Cache::Memory.new, Flowline::Cache::Memory.new)).to be(true)
    end

    it "is asked of the cache, too, for one key at a time" do
      locked = []
      cache = OwnCache.new
      cache.define_singleton_method(:lock) { |key, &block| (locked << key) && block.call }
      expect(cache.fetch(:a) { cache.fetch("b") { 1 } }).to eq(1)
      cache.fetch("a") { raise "must not be called" }
      expect(locked).to eq(["a"])
    end

    it "leaves nothing behind" do
      cache = Flowline::Cache::Memory.new
      100.times { |n| cache.fetch(n) { n } }
      expect(described_class.send(:const_get, :TURNS)).to be_empty
    end
  end

  describe ".of" do
    it "takes caches as they are, and wraps what can be one" do
      memory = Flowline::Cache::Memory.new
      expect(described_class.of(memory)).to be(memory)
      expect(described_class.of(HashCache.new)).to be_a(Flowline::Cache::Adapter)
      expect(described_class.of(Class.new(ActiveSupport::Cache::MemoryStore).new)).to be_a(Flowline::Cache::ActiveSupport)
    end

    it "knows what is none" do
      expect([nil, true, false, {}, :memory, "cache", Object.new, HashCache, Flowline::Cache].map { |object| described_class.of(object) }).to all(be_nil)
    end

    it "loads nothing of ActiveSupport's, nor a cache that isn't asked for" do
      code = <<~'RUBY'
        require "flowline"
        Flowline::Cache.of(Object.new)
        puts $LOADED_FEATURES.grep(%r{active_support|flowline/cache/})
      RUBY
      output, status = Open3.capture2e(RbConfig.ruby, "-w", "-I#{File.expand_path("../../lib", __dir__)}", "-e", code)
      expect([output, status.success?]).to eq(["", true])
    end
  end

  describe ".default" do
    it "is one Memory a process" do
      all = Array.new(8) { Thread.new { described_class.default } }.map(&:value)
      expect(all).to all(be(described_class.default).and(be_a(Flowline::Cache::Memory)))
    end
  end

  describe described_class::Adapter do
    # A cache whose `set` is declared like this.
    def with_set(parameters)
      Class.new(HashCache) { class_eval("def set(#{parameters}) = super(key, value)", __FILE__, __LINE__) }.new
    end

    {
      "key, value, ttl: nil" => true, "key, value, ttl:" => true, "key, value, **options" => true, "key, value, *options" => true,
      "key, value" => false, "key, value, ttl = nil" => false, "key, value, ex: nil" => false
    }.each do |parameters, takes|
      it "#{takes ? "hands on" : "refuses"} a time to live where set takes (#{parameters})" do
        store = -> { described_class.new(with_set(parameters)).set("k", 1, ttl: 5) }
        takes ? expect(store.call).to(eq(1)) : expect(&store).to(raise_error(Flowline::CacheError, /its `set` takes no ttl:; give it one/))
      end

      next if parameters.include?("ttl:,") || parameters.end_with?("ttl:")

      it "gives set two arguments without one: (#{parameters})" do
        cache = described_class.new(with_set(parameters))
        cache.set("k", nil)
        expect(cache.lookup("k")).to eq([true, nil])
      end
    end

    it "overwrites where nothing can be deleted, and says that nothing can be cleared" do
      object = HashCache.new
      object.singleton_class.class_eval { undef_method(:delete, :clear) }
      cache = described_class.new(object)
      cache.set("k", 1)
      cache.delete("k")
      expect(cache.lookup("k") { |problem| raise problem }).to eq([false, nil])
      expect { cache.clear }.to raise_error(Flowline::CacheError, /\Acache HashCache: clear: NoMethodError: .*; fix it, or run with cache: false/m)
    end

    it "takes values that others put there for damaged" do
      object = HashCache.new
      [1, :a, "text", true, { a: 1 }].each do |value|
        object.set("k", value)
        problems = []
        expect(described_class.new(object).lookup("k") { |problem| problems << problem }).to eq([false, nil])
        expect([problems.size, object.exists?("k")]).to eq([1, false])
      end
    end

    %i[get set delete].each do |name|
      it "tells what the object's #{name} raised" do
        object = HashCache.new
        object.define_singleton_method(name) { |*, **| raise IOError, "no line" }
        cache = described_class.new(object)
        expect { cache.public_send(name, "k", *(1 if name == :set)) }.to raise_error(Flowline::CacheError) { |error|
          expect(error).to have_attributes(cache: object, cause: IOError, message: "cache HashCache: #{name}: IOError: no line; fix it, or run with cache: false")
        }
      end
    end

    it "does not take for its own what the block of fetch raises" do
      expect { described_class.new(HashCache.new).fetch("k") { raise IOError } }.to raise_error(IOError)
    end
  end

  describe described_class::ActiveSupport do
    it "leaves the store's own time to live where none is given" do
      store = ActiveSupport::Cache::MemoryStore.new(expires_in: 10)
      cache = described_class.new(store)
      cache.set("default", 1)
      cache.set("given", 2, ttl: 100)
      now = Time.now + 20
      allow(Time).to receive(:now).and_return(now)
      expect([cache.get("default"), cache.get("given")]).to eq([nil, 2])
    end

    it "takes durations" do
      require "active_support/core_ext/numeric/time"
      cache = described_class.new(ActiveSupport::Cache::MemoryStore.new)
      cache.set("k", 1, ttl: 1.minute)
      expect(cache.get("k")).to eq(1)
    end
  end

  it "says what a value is that cannot be stored" do
    cache = Flowline::Cache::Memory.new
    expect { cache.set("k", [-> {}]) }.to raise_error(Flowline::CacheError) { |error|
      expect(error).to have_attributes(cache: cache, cause: TypeError)
      expect(error.message).to eq("cache Flowline::Cache::Memory: Array could not be stored (no _dump_data is defined for class Proc); return plain data, or don't cache it")
    }
  end

  it "takes only seconds for a time to live" do
    expect { Flowline::Cache::Memory.new.set("k", 1, ttl: "soon") }.to raise_error(ArgumentError, /soon/)
  end
end
