# frozen_string_literal: true

require "bigdecimal"
require "date"
require "delegate"
require "open3"
require "ostruct"
require "rbconfig"
require "set"

# Values of known classes, so that another process can be asked for their digests.
module Digested
  Pair = Struct.new(:left, :right)
  Liar = Struct.new(:a) do
    def to_a = [0]
    def to_h = {}
    def ==(other) = !other.nil?
    def hash = 0
    def class = String
  end
  List = Class.new(Array)
  Text = Class.new(String)
  Table = Class.new(Hash)
  Trouble = Class.new(StandardError)
  Fake = Class.new { def marshal_dump = raise(NotImplementedError) }

  class Plain
    attr_accessor :a, :b

    def initialize(a = nil, b = nil)
      @a = a
      @b = b
    end
  end

  # Two classes with nothing but their names to tell them apart.
  class Other < Plain
  end

  class Record
    attr_reader :cache_key_with_version, :cache_version

    def initialize(key, version, persisted: true, changed: false)
      @cache_key_with_version = key
      @cache_version = version
      @persisted = persisted
      @changed = changed
      @lock = Mutex.new # As much as there is in a record, and cannot be digested.
    end

    def persisted? = @persisted
    def changed? = @changed
  end

  # It defines methods of its own, and yet is data.
  OPEN = OpenStruct.new(a: 1).freeze # rubocop:disable Style/OpenStructUse

  # What two processes are asked for.
  ALL = {
    scalars: [nil, true, false, 0, -1, 2**62, 2**64, -(2**90), 1.5, -0.0, Float::NAN, Float::INFINITY, :a, :ö, "a", "ö"],
    containers: { a: [1, { "b" => 2 }, [], {}], "long" => "x" * 10_000, 3 => Array.new(2000) { |n| n } },
    others: [1r, 2i, 1..2, 1..., (..3), Set[1, 2], Pair.new(1, [2]), Plain.new(1, Other.new), Date.new(2024, 2, 29), DateTime.new(2024, 1, 1, 1, 2, 3),
             Time.at(1, 5, :nsec, in: "+02:00"), Time.at(0).utc, BigDecimal("1.50"), /a.c/mix, Trouble.new("no"), String, Kernel, OPEN,
             List[1, 2], Text.new("a"), Table[1, 2]]
  }.freeze
end

RSpec.describe Flowline::Identity::Digest do
  def digest(value) = described_class.try(value)

  def refused(value)
    described_class.const_get(:Impossible).then { |error| expect(digest(value)).to(be_nil) && error }
  end

  # A copy that shares nothing.
  def apart(value)
    case value
    when Array then value.map { |item| apart(item) }
    when Hash then value.to_h { |key, item| [apart(key), apart(item)] }
    when String then value.dup
    when Struct then value.class.new(*value.to_a.map { |item| apart(item) })
    when Digested::Plain then Digested::Plain.new(apart(value.a), apart(value.b))
    else value
    end
  end

  describe "equal values" do
    it "have equal digests, 32 hexadecimal digits, in this process and in another" do
      code = "require 'flowline'; require #{__FILE__.inspect}; puts Digested::ALL.values.map { |value| Flowline::Identity::Digest.try(value) }"
      here = Digested::ALL.values.map { |value| digest(value) }
      preamble = "module RSpec; def self.describe(*) = nil; end;"
      output, = Open3.capture2e(RbConfig.ruby, "-I#{File.expand_path("../../lib", __dir__)}", "-e", preamble + code)
      expect(output.split).to eq(here)
      expect(here).to all(match(/\A\h{32}\z/))
    end

    it "have equal digests however they came about" do
      both = [["a" * 100, "a" * 100], [Date.new(2024, 1, 1), Date.parse("2024-01-01")], [BigDecimal("1.5"), BigDecimal("3") / 2], [2**70, (2**35)**2],
              [Digested::Plain.new(1, 2), Digested::Plain.allocate.tap { |o| [o.b = 2, o.a = 1] }], [1.0, Float("1")], [Set[1], Set.new([1])],
              [{ a: 1 }, [[:a, 1]].to_h], [Float::NAN, -Float::NAN], [:"a b", "a b".to_sym], [/a/i, Regexp.new("a", Regexp::IGNORECASE)]]
      both.each { |one, other| expect([one, digest(one)]).to eq([one, digest(other)]) }
    end

    it "have equal digests whatever they share: many shapes at random" do
      random = Random.new(seed = RSpec.configuration.seed)
      200.times do
        value = structure(random, 5)
        expect(digest(apart(value))).to eq(digest(value)), "with seed #{seed}: #{value.inspect}"
        expect(digest(Marshal.load(Marshal.dump(value)))).to eq(digest(value)), "with seed #{seed}: #{value.inspect}"
      end
    end

    it "differ as soon as one leaf does: many shapes at random" do
      random = Random.new(seed = RSpec.configuration.seed)
      200.times do
        value = [structure(random, 5), 0]
        changed = apart(value)
        what = change(changed, random)
        expect(digest(changed)).not_to eq(digest(value)), "with seed #{seed}: #{value.inspect}, #{what}"
      end
    end

    it "have the same digest if the garbage collector runs all the time, and after everything was moved", :gc do
      value = [{ a: ["x" * 5000, { b: Digested::Pair.new(2**70, :"c#{rand(9)}") }] }, Digested::Plain.new([1.5e300] * 3)]
      before = digest(value)
      GC.stress = true
      stressed = digest(value) # And nothing else: each allocation is a whole collection.
      GC.stress = false
      expect(stressed).to eq(before)
      GC.compact if GC.respond_to?(:compact)
      expect(digest(value)).to eq(before)
    ensure
      GC.stress = false
    end

    # Ruby before 3.3 may crash when it compacts on its own (https://github.com/ruby/ruby/pull/8940).
    it "have the same digest while the garbage collector moves objects", if: RUBY_VERSION >= "3.3" do
      value = Array.new(200) { |n| [Digested::Plain.new(n.to_s * 500, { n => [n] * 300 })] }
      before = digest(value)
      GC.auto_compact = true
      expect(Array.new(3) { GC.start.then { digest(value) } }).to all(eq(before))
    ensure
      GC.auto_compact = false
    end

    # Containers, some of them shared, some small and some large.
    def structure(random, depth)
      return random.rand(4).zero? ? "text #{random.rand(5)}" * random.rand(20) : random.rand(10) if depth.zero?

      part = structure(random, depth - 1)
      case random.rand(6)
      when 0 then Array.new(random.rand(1..4)) { random.rand(2).zero? ? part : structure(random, depth - 1) }
      when 1 then { a: part, "b" => structure(random, depth - 1), part => 1 }
      when 2 then Digested::Pair.new(part, part)
      when 3 then Digested::Plain.new(part, structure(random, depth - 1))
      when 4 then [part] * random.rand(1..3)
      else [part, *0..random.rand(300)]
      end
    end

    # Changes one leaf on a path at random.
    def change(value, random)
      case value
      when Hash
        key = value.keys.sample(random: random)
        leaf?(value[key]) ? value[key] = :changed : change(value[key], random)
      when Digested::Plain
        leaf?(value.a) ? value.a = :changed : change(value.a, random)
      else
        place = random.rand(value.size)
        leaf?(value[place]) ? value[place] = :changed : change(value[place], random)
      end
    end

    def leaf?(value) = value.is_a?(Integer) || value.is_a?(String)
  end

  describe "different values" do
    long = "x" * 70
    {
      "an Integer and a Float": [1, 1.0], "zeros": [0.0, -0.0], "a String and a Symbol": ["a", :a], "nil, false and nothing": [nil, false, [], {}, "", [nil]],
      "an Array and its only item": [1, [1], [[1]]], "where brackets are": [[1, [2]], [[1], 2], [1, 2], [[1, 2]]],
      "a Hash and its pairs": [{ 1 => 2 }, [1, 2], [[1, 2]]], "a Hash's order": [{ a: 1, b: 2 }, { b: 2, a: 1 }],
      "a Set's order": [Set[1, 2], Set[2, 1], [1, 2]], "encodings": ["a", "a".encode("US-ASCII"), "a".b, long, long.b, long.encode("UTF-16LE")],
      "a Hash's default": [{}, Hash.new(0), Hash.new(1), {}.compare_by_identity], "a Set by identity": [Set[1], Set[1].compare_by_identity],
      "ranges": [1..2, 1...2, (1..), (..1), 1.0..2.0], "classes": [Digested::Plain.new(1), Digested::Other.new(1)],
      "subclasses of Ruby's own": [[1], Digested::List[1]], "subclasses of String": ["a", Digested::Text.new("a")],
      "subclasses of Hash": [{ 1 => 2 }, Digested::Table[1, 2]], "bignums": [2**70, (2**70) + 1, -(2**70)], "an Integer and a Rational": [1, 1r, 1i, BigDecimal("1")],
      "a Date and a DateTime": [Date.new(2024, 1, 1), DateTime.new(2024, 1, 1)], "nanoseconds": [Time.at(0, 1, :nsec), Time.at(0, 2, :nsec), Time.at(0)],
      "offsets": [Time.at(0, in: "+01:00"), Time.at(0, in: "+02:00"), Time.at(0, in: "+00:00"), Time.at(0).utc], "regexps": [/a/, /a/i, /b/, "a"],
      "calendars": [Date.new(2024, 1, 1), Date.new(2024, 1, 1, Date::JULIAN), Date.new(2024, 1, 2)], "modules": [String, Symbol, Kernel, "String"],
      "exceptions": [Digested::Trouble.new("a"), Digested::Trouble.new("b"), StandardError.new("a")],
      "instance variables of containers": [[1], [1].tap { |list| list.instance_variable_set(:@a, 1) }],
      "instance variables of Strings": Array.new(2) { |n| (+"a").tap { |text| text.instance_variable_set(:@a, n) } },
      "what is nil and what is not there": [Digested::Plain.new, Digested::Plain.allocate], "structs": [Digested::Pair.new(1, 2), Digested::Pair.new(2, 1), [1, 2]],
      "what lies about its content": [Digested::Liar.new(1), Digested::Liar.new(2)],
      "long Strings and their parts": [long, "#{long}x", [long], [long, long]], "large lists": [[*1..500], [*1..499, 501], [[*1..500]]],
      "causes": [Digested::Trouble.new("a"), (begin; begin; raise "b"; rescue StandardError; raise Digested::Trouble, "a"; end; rescue StandardError => e; e; end)]
    }.each do |what, values|
      it("have different digests: #{what}") do
        digests = values.map { |value| digest(value) }
        expect(digests.compact.uniq.size).to eq(values.size)
      end
    end

    it "are told apart by the place of what is in them" do
      expect([[1, "2"], ["1", 2], [12], ["1", "2"], ["12"], [["1"], "2"]].map { |value| digest(value) }.uniq.size).to eq(6)
    end
  end

  describe "depth, sharing and cycles" do
    it "is not limited by the stack: 100,000 deep" do
      deep = ->(leaf) { 100_000.times.inject(leaf) { |inner, n| n.even? ? [inner] : { n => inner } } }
      expect(digest(deep[1])).to eq(digest(deep[1]))
      expect(digest(deep[1])).not_to eq(digest(deep[2]))
    end

    it "walks once what is there 2**60 times" do
      much = ->(leaf) { 60.times.inject([leaf]) { |inner, _| [inner, inner] } }
      expect(digest(much[1])).to eq(digest(much[1]))
      expect(digest(much[1])).not_to eq(digest(much[2]))
    end

    it "hashes a long String once" do
      long = "x" * 10_000_000
      expect(digest([long] * 10_000)).to eq(digest(Array.new(10_000) { |n| n.zero? ? long.dup : long }))
    end

    it "ends where a value holds itself" do
      ring = ->(leaf) { [leaf].tap { |list| list << { again: list } } }
      expect(digest(ring[1])).to eq(digest(ring[1]))
      expect([ring[1], ring[2], [ring[1]], [1, { again: nil }]].map { |value| digest(value) }.uniq.size).to eq(4)
      parent = ->(name) { Digested::Plain.new(name).tap { |object| object.b = Array.new(3) { |n| Digested::Plain.new(n, object) } } }
      expect([digest(parent[1]), digest(parent[1])].uniq.size).to eq(1)
      expect(digest(parent[2])).not_to eq(digest(parent[1]))
    end

    it "tells apart how far up it goes" do
      near = [[1, []]].tap { |list| list[0][1] << list[0] }
      far = [[1, []]].tap { |list| list[0][1] << list }
      expect(digest(near)).not_to eq(digest(far))
    end

    it "has the same digest for what is within a cycle, shared or not" do
      pair = -> { [1].tap { |one| one << [2, one] } }
      one = pair[]
      expect(digest([one, one, one[1]])).to eq(digest([pair[], pair[], pair[][1]]))
    end

    it "gives up where everything holds everything, rather than go on for ever" do
      nodes = Array.new(30) { |n| [n] }
      nodes.each { |node| node.concat(nodes) }
      expect(digest(nodes)).to be_nil
    end
  end

  describe "records" do
    it "have the digest of their key if they are saved and unchanged" do
      record = ->(*args, **state) { Digested::Record.new(*args, **state) }
      expect(digest(record["users/1-2024", "2024"])).to eq(digest(record["users/1-2024", "2024"]))
      expect(digest(record["users/1-2024", "2024"])).not_to eq(digest(record["users/1-2025", "2025"]))
    end

    it "have none if the key does not tell what is in them" do
      [{ persisted: false }, { changed: true }].each { |state| refused(Digested::Record.new("users/1-2024", "2024", **state)) }
      refused(Digested::Record.new("users/1", nil))
    end
  end

  describe "what cannot be digested" do
    {
      "a Proc": -> {}, "a Method": "".method(:size), "an IO": $stdin, "a Thread": Thread.current, "a Mutex": Mutex.new, "an Enumerator": [1].each,
      "an instance of an anonymous class": Class.new.new, "an anonymous class": Class.new, "a Hash with a block": Hash.new { 1 },
      "one with methods of its own": Object.new.tap { |object| def object.call = 1 }, "an Array with methods of its own": [1].tap { |list| def list.call = 1 },
      "a String with methods of its own": "a".dup.tap { |text| def text.call = 1 }, "a Binding": binding, "one whose marshal_dump raises": Digested::Fake.new,
      "a Queue": Queue.new, "a Class of its own": Struct.new(:a).new(1)
    }.each do |what, value|
      it("has no digest, wherever it is: #{what}") do
        expect([value, [value], { a: [value] }, { [value] => 1 }, Digested::Plain.new(value)].map { |holder| digest(holder) }).to all(be_nil)
      end
    end

    it "has no digest, with private methods of its own" do
      template = Digested::Plain.new(1).extend(Module.new { private def call = 1 })
      expect([digest(template), digest(Digested::Plain.new(1).tap(&:singleton_class))]).to eq([nil, digest(Digested::Plain.new(1))])
    end

    it "is named" do
      impossible = described_class.const_get(:Impossible)
      expect { described_class.parts(proc {}, false, false) }.to raise_error(impossible, "a Proc")
      expect { described_class.parts($stdout, false, false) }.to raise_error(impossible) { |error| expect(error.object_class).to eq("IO") }
    end

    it "does not harm the object" do
      value = [Digested::Liar.new([1]), { a: +"b" }]
      copy = Marshal.load(Marshal.dump(value))
      digest(value)
      expect([value.frozen?, value[1][:a].frozen?, value[1][:a] << "c"]).to eq([false, false, "bc"])
      expect(copy[1]).to eq(a: "b")
    end
  end

  it "looks through delegators at what they stand for, and takes them for themselves" do
    expect(digest(SimpleDelegator.new([1]))).to eq(digest(SimpleDelegator.new([1])))
    expect([SimpleDelegator.new([1]), SimpleDelegator.new([2]), [1]].map { |value| digest(value) }.uniq.size).to eq(3)
  end

  it "takes a time with a zone of ActiveSupport's for what it is" do
    code = <<~RUBY
      require "flowline"
      require "logger"
      require "active_support"
      require "active_support/time"
      times = ["America/New_York", "America/Detroit", "UTC", "UTC"].map { |name| Flowline::Identity::Digest.try(Time.at(0).in_time_zone(name)) }
      p times.compact.size, times.uniq.size
    RUBY
    output, = Open3.capture2e(RbConfig.ruby, "-I#{File.expand_path("../../lib", __dir__)}", "-e", code)
    expect(output).to eq("4\n3\n")
  end
end
