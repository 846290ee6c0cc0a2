# frozen_string_literal: true

# The contract of every cache, including custom ones. Needs `let(:cache)`: an empty one, wrapped by `Flowline::Cache.of` unless it
# includes Flowline::Cache.
RSpec.shared_examples "a cache" do
  # Advances the clocks of Ruby by some seconds.
  def later(seconds)
    time, monotonic = Time.now + seconds, Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
    allow(Time).to receive(:now).and_return(time)
    allow(Process).to receive(:clock_gettime).and_call_original
    allow(Process).to receive(:clock_gettime).with(Process::CLOCK_MONOTONIC).and_return(monotonic)
  end

  # Starts threads that fetch a key while a first one is in its block.
  # @return [Array] the value of each thread
  def together(count, ask)
    inside, go = Queue.new, Queue.new
    work = -> { (inside << true) && go.pop }
    threads = [Thread.new { ask.call(work) }]
    inside.pop
    threads += Array.new(count - 1) { Thread.new { ask.call(work) } }
    Thread.pass until threads.all?(&:stop?)
    count.times { go << true }
    threads.map { |thread| (thread.join(10) || raise("it waits and waits")).value }
  end

  describe "values" do
    {
      nil: nil, false: false, numbers: [1, 2**80, 1.5, -0.0, 3r], text: "schön", bytes: (0..255).to_a.pack("C*"),
      latin: "schön".encode("ISO-8859-1"), symbols: %i[a ö], nested: { "a" => [{ b: nil }] }, dates: Time.at(0, 5, :nsec),
      "a range": 1..3, "a class": String, empty: "", much: "x" * 100_000
    }.each do |what, value|
      it "are read as they were written: #{what}" do
        expect(cache.set("k", value)).to equal(value)
        expect([cache.get("k"), cache.exists?("k"), cache.lookup("k")]).to eq([value, true, [true, value]])
        expect(cache.get("k").encoding).to eq(value.encoding) if value.is_a?(String)
      end
    end

    it "are found by keys of any encoding" do
      keys = ["\xFF", "\xFE".b, "ö".encode("ISO-8859-1"), "ä".encode("UTF-16LE"), "a\0b"]
      keys.each { |key| cache.set(key, key.b) }
      expect(keys.map { |key| cache.fetch(key) { :none } }).to eq(keys.map(&:b))
      keys.each { |key| cache.delete(key) }
      expect(keys.map { |key| cache.exists?(key) }).to all(be(false))
    end

    it "are copied on writing and on reading" do
      value = { rows: [1] }
      cache.set("k", value)
      value[:rows] << 2
      cache.get("k")[:rows] << 3
      cache.fetch("k")[:rows] << 4
      cache.lookup("k").last[:rows] << 5
      expect(cache.get("k")).to eq(rows: [1])
    end

    it "are replaced when written again" do
      cache.set("k", 1)
      cache.set("k", 2)
      expect(cache.get("k")).to eq(2)
    end

    it "are nil when never written" do
      expect([cache.get("k"), cache.exists?("k"), cache.lookup("k")]).to eq([nil, false, [false, nil]])
    end

    it "that cannot be marshalled are refused, and the earlier value stays" do
      cache.set("k", 1)
      deep = 100_000.times.inject([]) { |inner, _| [inner] }
      [-> {}, Hash.new { 1 }, [$stdout], deep].each do |value|
        expect { cache.set("k", value) }.to raise_error(Flowline::CacheError, /(Proc|Hash|Array) could not be stored \(.+\); return plain data/)
      end
      expect(cache.get("k")).to eq(1)
    end

    it "are stored only if the check of their bytes agrees" do
      seen = []
      cache.store("yes", "secret") { |bytes| (seen << bytes.include?("secret")).any? }
      cache.store("no", "secret") { |bytes| !bytes.include?("secret") }
      expect([seen, cache.get("yes"), cache.exists?("no")]).to eq([[true], "secret", false])
    end
  end

  describe "keys" do
    it "may be any String" do
      keys = ["k", "K", "k ", "a/b", "../x", "ü*?\n%", "x" * 500, "#{"x" * 500}y"]
      keys.each_with_index { |key, index| cache.set(key, index) }
      expect(keys.map { |key| cache.get(key) }).to eq([*0...keys.size])
    end

    it "that are not Strings are converted by to_s" do
      cache.set(:k, 1)
      expect([cache.get("k"), cache.fetch(:k) { 2 }, cache.exists?(:k), cache.once(:k) { 3 }]).to eq([1, 1, true, 3])
      cache.delete(:k)
      expect(cache.exists?("k")).to be(false)
    end

    it "may be mutated after use" do
      key = +"k"
      cache.set(key, 1)
      key << "2"
      expect([cache.get("k"), cache.get(key)]).to eq([1, nil])
    end
  end

  describe "a time to live" do
    it "expires the value" do
      cache.set("short", 1, ttl: 10)
      cache.set("long", 2, ttl: 20r)
      cache.fetch("fetched", ttl: 10.5) { 3 }
      later(9)
      expect(%w[short long fetched].map { |key| cache.get(key) }).to eq([1, 2, 3])
      later(2)
      expect(%w[short long fetched].map { |key| cache.lookup(key) }).to eq([[false, nil], [true, 2], [false, nil]])
      expect([cache.exists?("short"), cache.fetch("short") { 4 }]).to eq([false, 4])
    end

    it "is that of the latest value" do
      cache.set("k", 1, ttl: 10)
      cache.set("k", 2)
      later(20)
      expect(cache.get("k")).to eq(2)
    end
  end

  describe "removal" do
    it "removes one key" do
      %w[a b].each { |key| cache.set(key, key) }
      cache.delete("a")
      cache.delete("never there")
      expect([cache.get("a"), cache.exists?("a"), cache.get("b")]).to eq([nil, false, "b"])
    end

    it "removes all keys" do
      cache.clear
      %w[a b].each { |key| cache.set(key, key) }
      cache.clear
      expect(%w[a b].map { |key| cache.exists?(key) }).to eq([false, false])
    end
  end

  describe "fetch" do
    it "computes and stores a missing value" do
      expect([cache.fetch("k") { 1 }, cache.fetch("k") { 2 }, cache.get("k")]).to eq([1, 1, 1])
    end

    it "treats nil and false as values" do
      [nil, false].each do |value|
        cache.set("k", value)
        expect(cache.fetch("k") { raise "must not be called" }).to be(value)
      end
    end

    it "stores nothing when its block raises or jumps" do
      expect { cache.fetch("k") { raise IOError } }.to raise_error(IOError)
      catch(:out) { cache.fetch("k") { throw :out } }
      expect([cache.exists?("k"), cache.fetch("k") { 1 }]).to eq([false, 1])
    end

    it "refuses a value that cannot be marshalled" do
      expect { cache.fetch("k") { -> {} } }.to raise_error(Flowline::CacheError)
      expect(cache.fetch("k") { 1 }).to eq(1)
    end
  end

  describe "an entry that cannot be read" do
    # Kinds of damage, and how to cause them.
    {
      garbage: ->(cache) { cache.write("k", "garbage", nil) },
      "a truncated one": ->(cache) { cache.write("k", Marshal.dump("x" * 50)[0..-10], nil) },
      "one of another version": ->(cache) { cache.write("k", "\x05\x01i\x06", nil) }
    }.each do |what, damage|
      it "is reported, removed and computed again: #{what}" do
        damage.call(cache)
        problems = []
        expect(cache.lookup("k") { |problem| problems << problem }).to eq([false, nil])
        expect(problems).to match([/\Acache entry "k" could not be read \(.+\) and is computed again\z/])

        expect { expect(cache.lookup("k")).to eq([false, nil]) }.not_to output.to_stderr
        expect(cache.fetch("k") { 1 }).to eq(1)
      end
    end

    it "is reported when its class is missing" do
      stub_const("Gone", Struct.new(:a))
      cache.set("k", Gone.new(1))
      hide_const("Gone")
      expect { expect([cache.get("k"), cache.exists?("k")]).to eq([nil, false]) }
        .to output(/\Aflowline: cache entry "k" could not be read \(.*Gone.*\) and is computed again\n\z/).to_stderr
    end

    it "is reported when its class fails to load it" do
      stub_const("Odd", Class.new do
        def marshal_dump = 1
        def marshal_load(_) = raise(NotImplementedError, "not today")
      end)
      cache.set("k", Odd.new)
      expect { expect(cache.fetch("k") { 1 }).to eq(1) }.to output(/not today/).to_stderr
    end
  end

  describe "many threads" do
    it "compute a key once" do
      computed = Queue.new
      values = together(8, ->(work) { cache.fetch("k") { work.call.then { computed << 1 }.then { { n: 1 } } } })
      expect([values, computed.size]).to eq([[{ n: 1 }] * 8, 1])
    end

    it "compute a key again one after the other when that failed" do
      tries = Queue.new
      values = together(4, lambda do |work|
        cache.fetch("k") do
          work.call
          (tries << 1) && tries.size < 3 ? raise(IOError, "no") : :done
        end
      rescue IOError
        :failed
      end)
      expect(values.tally).to eq(failed: 2, done: 2)
    end

    it "compute different keys at the same time" do
      inside = Queue.new
      meet = lambda do |key|
        cache.fetch(key) do
          inside << key
          Thread.pass until inside.size == 3
          key
        end
      end
      expect(%w[a b c].map { |key| Thread.new { meet.call(key) } }.map { |thread| thread.join(10)&.value }).to eq(%w[a b c])
    end

    it "never deadlock on each other's keys" do
      both = Queue.new
      cross = lambda do |mine, other|
        cache.once(mine) do
          both << mine
          Thread.pass until both.size == 2
          cache.fetch(other) { "#{other} for #{mine}" }
        end
      end
      threads = [%w[a b], %w[b a]].map { |keys| Thread.new { cross.call(*keys) } }
      expect(threads.map { |thread| thread.join(10)&.value }).to eq(["b for a", "a for b"])
    end

    it "lose no value of another thread" do
      threads = Array.new(4) { |n| Thread.new { 50.times { |i| cache.set("#{n}-#{i}", [n, i]) && cache.get("0-#{i}") } } }
      threads.each(&:join)
      expect(4.times.all? { |n| 50.times.all? { |i| cache.get("#{n}-#{i}") == [n, i] } }).to be(true)
    end
  end

  describe "once" do
    it "is reentrant for a thread, and excludes others until it is done" do
      log = Queue.new
      together(3, ->(work) { cache.once("k") { cache.once("k") { [log << :in, work.call, log << :out] } } })
      expect(Array.new(6) { log.pop }).to eq(%i[in out] * 3)
    end

    it "can be waited for with a limit, without an effect on others" do
      inside, go, log = Queue.new, Queue.new, Queue.new
      holder = Thread.new { cache.once("k") { [inside << 1, go.pop, log << :holder] } }
      inside.pop
      waiters = Array.new(2) { |n| Thread.new { cache.once("k") { log << n } } }
      Thread.pass until waiters.all?(&:stop?)
      waiters[0].kill
      expect(waiters[0].join(10)).to be(waiters[0])
      Thread.pass until waiters[1].stop?
      expect(log).to be_empty
      go << 1
      [holder, waiters[1]].each { |thread| thread.join(10) || raise("it waits and waits") }
      expect([log.pop, log.pop, log.size]).to eq([:holder, 1, 0])
    end
  end
end
