# frozen_string_literal: true

require "bigdecimal"
require "date"
require "open3"
require "rbconfig"
require "set"

RSpec.describe Flowline::Digest do
  def digest(value)
    Flowline.const_get(:Native).digest(value)
  end

  # A random structure, and the number of its leaves.
  random_structure = Class.new do
    leaves = [nil, true, false, 0, 1, -1, 2**70, 1.5, -0.0, 0.0, "", "a", "ä", :a, "x" * 100, Time.at(1, 5, :nsec), 1..2, 3r].freeze

    define_method(:initialize) { |seed| @random = Random.new(seed) }

    define_method(:make) do |depth = 4|
      next leaves.sample(random: @random) if depth.zero? || @random.rand < 0.2

      items = Array.new(@random.rand(4)) { make(depth - 1) }
      next items if @random.rand < 0.5

      items.each_with_index.to_h { |item, n| [@random.rand < 0.5 ? "k#{n}" : n, item] }
    end

    # The same with one leaf changed, or nil if there is none.
    def change(value)
      case value
      when Array
        return if value.empty?

        at = @random.rand(value.size)
        changed = change(value[at])
        changed && value.dup.tap { |copy| copy[at] = changed }
      when Hash
        return if value.empty?

        key = value.keys.sample(random: @random)
        changed = change(value[key])
        changed && value.merge(key => changed)
      else "changed #{value.inspect}"
      end
    end
  end

  it "is the same for equal structures, and another when a leaf is" do
    changed = 0
    500.times do |seed|
      random = random_structure.new(seed)
      value = random.make
      expect(digest(Marshal.load(Marshal.dump(value)))).to eq(digest(value)), "seed #{seed}"
      other = random.change(value) or next
      changed += 1
      expect(digest(other)).not_to eq(digest(value)), "seed #{seed}"
    end
    expect(changed).to be > 200
  end

  it "does not depend on what is shared" do
    shared = ["x", { a: 1 }]
    expect(digest([shared, shared, "x"])).to eq(digest([["x", { a: 1 }], ["x", { a: 1 }], "x"]))
  end

  it "is the same in another process" do
    value = '[1, "ä", :b, { c: [nil, 2.5] }, Time.at(0).utc, 1..3, Comparable]'
    there, = Open3.capture2(RbConfig.ruby, *$LOAD_PATH.map { |path| "-I#{path}" }, "-e", "require 'flowline'; print Flowline.const_get(:Native).digest(#{value})")
    expect(there).to eq(digest(eval(value))) # rubocop:disable Security/Eval
  end

  it "tells these apart" do
    point = Struct.new(:x)
    stub_const("Point", point)
    stub_const("Words", Class.new(Array))
    stub_const("Plain", Class.new { def initialize(a) = @a = a })
    stub_const("Other", Class.new { def initialize(a) = @a = a })
    values = [
      nil, true, false, 0, 1, -1, 1.0, 2**64, -(2**64), 0.0, -0.0, 1r, Complex(1, 0), BigDecimal("1"), "", "a", :a, "a".b, "a".encode("UTF-16LE"), "b", :b,
      [], [nil], [[]], [1, 2], [2, 1], {}, { a: 1 }, { "a" => 1 }, { a: 1, b: 2 }, { b: 2, a: 1 }, Hash.new(0), {}.compare_by_identity, [:a, 1], "x" * 64, "x" * 65,
      1..2, 1...2, (1..), Set[1], Set[1, 2], Time.at(0), Time.at(0).utc, Time.at(0, 1, :nsec), Date.new(2024, 1, 1), DateTime.new(2024, 1, 1),
      Point.new(1), Point.new(2), Words.new([1]), [1], Plain.new(1), Plain.new(2), Other.new(1), ArgumentError.new("a"), KeyError.new("a"), ArgumentError.new("b"),
      String, Integer, Comparable, /a/, /a/i, Float::NAN, Float::INFINITY
    ]
    digests = values.map { |value| digest(value) }
    twins = digests.each_with_index.group_by(&:first).values.select { |found| found.size > 1 }.map { |found| found.map { |_, n| values[n] } }
    expect(twins).to be_empty
    expect(digests).to all(match(/\A\h{32}\z/))
  end

  it "sees the instance variables of an object, in whatever order they came" do
    stub_const("Plain", Class.new)
    one, two = Array.new(2) { Plain.new }
    one.instance_variable_set(:@a, 1)
    one.instance_variable_set(:@b, 2)
    two.instance_variable_set(:@b, 2)
    two.instance_variable_set(:@a, 1)
    expect(digest(one)).to eq(digest(two))
    two.instance_variable_set(:@b, 3)
    expect(digest(one)).not_to eq(digest(two))
  end

  it "goes around in circles and comes back" do
    ring = -> { [1].tap { |array| array << array << { array => array } } }
    expect(digest(ring.call)).to eq(digest(ring.call))
    stub_const("Node", Struct.new(:value, :parent, :children))
    tree = lambda do |value|
      root = Node.new(1, nil, [])
      root.children << Node.new(value, root, []) << Node.new(3, root, [])
      root
    end
    expect(digest(tree.call(2))).to eq(digest(tree.call(2)))
    expect(digest(tree.call(2))).not_to eq(digest(tree.call(4)))
  end

  it "goes as deep as there is memory, and unfolds nothing" do
    deep = (1..100_000).inject([]) { |inner, _| [inner] }
    wide = (1..60).inject([]) { |inner, _| [inner, inner] }
    expect(digest(deep)).not_to eq(digest([deep]))
    expect(digest(wide)).not_to eq(digest([wide]))
  end

  it "is not fooled by objects that lie" do
    stub_const("Liar", Class.new do
      def initialize(value) = @value = value
      def class = String
      def ==(other) = other || true
      def hash = 1
      def instance_variables = []
      def is_a?(_) = true
    end)
    expect(digest(Liar.new(1))).not_to eq(digest(Liar.new(2)))
  end

  it "asks records for their keys, unless they have changed" do
    stub_const("Record", Class.new do
      attr_accessor :changed, :version

      def initialize(version) = @version = version
      def cache_key_with_version = "records/1-#{version}"
      def persisted? = true
      def changed? = changed
    end)
    record = Record.new(1)
    clean = digest(record)
    record.instance_variable_set(:@noise, rand)
    expect(digest(record)).to eq(clean)
    expect(digest(Record.new(2))).not_to eq(clean)
    record.changed = true
    expect(digest(record)).not_to eq(clean)
  end

  it "is impossible for what is no data, and says of which class" do
    { -> {} => "Proc", $stdin => "IO", Thread.current => "Thread", Mutex.new => "Mutex", 1.method(:+) => "Method" }.each do |value, name|
      expect { digest([1, { a: value }]) }.to raise_error(described_class::Impossible) { |error| expect(error.object_class).to end_with(name) }
    end
    expect { digest(Class.new.new) }.to raise_error(described_class::Impossible, /anonymous/)
    expect { digest(Hash.new { 1 }) }.to raise_error(described_class::Impossible, /default block/)
    expect { digest(Object.new.tap { |object| def object.x = 1 }) }.to raise_error(described_class::Impossible, /methods of its own/)
    expect(described_class.try(-> {})).to be_nil
  end

  it "survives the garbage collector", :gc do
    value = random_structure.new(7).make(5)
    clean = digest(value)
    GC.stress = true
    begin
      expect(digest(value)).to eq(clean)
    ensure
      GC.stress = false
    end
    GC.compact if GC.respond_to?(:compact)
    expect(digest(value)).to eq(clean)
  rescue NotImplementedError
    skip "this Ruby does not compact"
  end
end
