# frozen_string_literal: true

require "open3"
require "rbconfig"
require "tmpdir"

# Callables of known classes.
module Fingerprinted
  class Multiply
    def initialize(factor) = @factor = factor
    def call(value) = value * @factor
  end

  class Divide
    def initialize(factor) = @factor = factor
    def call(value) = value / @factor
  end

  class Double
    def self.call(value) = value * 2
  end

  class Triple
    def self.call(value) = value * 3
  end

  class Tool
    def initialize(size) = @size = size
    def one(value) = value + @size
    def two(value) = value + @size
  end

  class Work < Flowline::Step
    def call(value) = value
  end

  class OtherWork < Flowline::Step
    def call(value) = value + 1
  end
end

RSpec.describe Flowline::Identity::Fingerprint do
  def of(callable = nil, version: nil, &block) = described_class.new(callable || block, version: version)
  def value(...) = of(...).value

  # What a file with this source says: its last expression is the callable.
  def loaded(source)
    Dir.mktmpdir do |directory|
      path = File.join(directory, "steps.rb")
      File.write(path, "BLOCK = begin\n#{source}\nend\n")
      Module.new.tap { |m| m.module_eval(File.read(path), path) }.const_get(:BLOCK)
    end
  end

  def code(source) = value(loaded(source))

  base = "a = 5; b = 3\nproc { |x| [a - b, x.map { |y| y + a }, begin; Integer(x); rescue ArgumentError; b; end] }"

  describe "does not change" do
    {
      "comments": "a = 5; b = 3\n# What it does.\nproc { |x| # this\n [a - b, x.map { |y| y + a }, begin; Integer(x); rescue ArgumentError; b; end] }",
      "moved lines": "\n\n\na = 5\nb = 3\n\nproc { |x|\n  [a - b,\n    x.map { |y|\n y + a },\n begin\n Integer(x)\n rescue ArgumentError\n b\n end\n] }",
      "an outer local more, above": "c = 1; d = [c]; a = 5; b = 3; e = d\nproc { |x| [a - b, x.map { |y| y + a }, begin; Integer(x); rescue ArgumentError; b; end] }",
      "the order of outer locals": "b = 3; a = 5\nproc { |x| [a - b, x.map { |y| y + a }, begin; Integer(x); rescue ArgumentError; b; end] }",
      "do and end": "a = 5; b = 3\nproc do |x| [a - b, x.map do |y| y + a end, begin; Integer(x); rescue ArgumentError; b; end] end",
      "another object of equal content": "a = 2 + 3; b = 3\nproc { |x| [a - b, x.map { |y| y + a }, begin; Integer(x); rescue ArgumentError; b; end] }"
    }.each { |what, source| it("with #{what}") { expect(code(source)).to eq(code(base)) } }

    it "from one process to another" do
      Dir.mktmpdir do |directory|
        path = File.join(directory, "steps.rb")
        File.write(path, "a = { b: [1] }\nBLOCK = proc { |x| x.map { |y| [y, a, /x/, 1..2, 'text', :sym] } }\n")
        program = "require 'flowline'; load #{path.inspect}; puts Flowline::Identity::Fingerprint.new(BLOCK).value"
        lib = File.expand_path("../../lib", __dir__)
        outputs = Array.new(2) { Open3.capture2e(RbConfig.ruby, "-I#{lib}", "-e", program).first }
        expect(outputs.uniq).to match([/\A\h{32}\n\z/])
      end
    end
  end

  describe "changes" do
    {
      "operands change places": base.sub("a - b", "b - a"), "an operator": base.sub("a - b", "a + b"), "a literal": base.sub("[a - b", "[1, a - b"),
      "what is within a nested block": base.sub("y + a", "y - a"), "what is rescued": base.sub("rescue ArgumentError", "rescue TypeError"),
      "another local is read in a nested block": base.sub("y + a", "y + b"), "a captured value": base.sub("a = 5", "a = 6"),
      "a captured value that only a rescue clause reads": "#{base.sub("b = 3", "b = 4").sub("a - b", "a - 3")};",
      "a method's name": base.sub("map", "flat_map")
    }.each do |what, source|
      it("with #{what}") { expect(code(source)).not_to eq(code(base)) }
    end

    {
      "in a nested block": "proc { |rows| rows.map { |row| row * k } }", "two blocks deep": "proc { |rows| rows.map { |row| row.map { |cell| cell * k } } }",
      "in a rescue clause": "proc { |row| begin; Integer(row); rescue ArgumentError; k; end }", "in an ensure clause": "proc { |row| begin; row; ensure; row << k; end }",
      "in a while loop": "proc { |row| row << k while row.size < 3 }", "in a default": "proc { |row = k| row }", "in a keyword's default": "proc { |row: k| row }",
      "in a lambda": "->(row) { row * k }", "in a lambda within": "proc { |row| ->(x) { x * k }.call(row) }", "in text": "proc { |row| \"\#{row} \#{k}\" }"
    }.each do |where, source|
      it "with a value captured #{where}" do
        expect(code("k = 1\n#{source}")).not_to eq(code("k = 2\n#{source}"))
        expect(code("k = [1]\n#{source}")).to eq(code("k = [1]\n#{source}"))
      end
    end

    it "with the version" do
      block = proc { 1 }
      expect([nil, 1, "1", 2, :a].map { |version| value(block, version: version) }.uniq.size).to eq(5)
    end
  end

  describe "captured values" do
    it "that are assigned within the block are left out" do
      count = 0
      block = proc { count += 1 }
      before = value(block)
      block.call
      expect([value(block), count]).to eq([before, 1])
    end

    it "are those of the outer variable, not of a parameter that hides it" do
      row = -> {}
      other = proc { |rows| rows.map { |row| row } }
      expect(of(other).problem).to be_nil
      expect(of(proc { |row| row }).problem).to be_nil
      expect(of(proc { row }).problem).to include("row")
    end

    it "are not anonymous parameters of a method around the block" do
      build = Module.new.module_eval("def self.build(&) = proc { tap(&) }; method(:build)", __FILE__, __LINE__)
      expect(of(build.call { 1 }).problem).to include("passes on parameters without a name")
    end

    it "count although a block or a method within the block assigns its own variable of that name" do
      blocks = ["[1, 2].each { |rate| 2.times { rate += 1 } }; rate", "Class.new { def a = (rate = 1; [1].each { rate = 2 }; rate) }; rate",
                "[1].each { |n; rate| [n].each { rate = 2 } }; [1].each { begin; n; rescue NameError; rate; end }", "2.times { 2.times { rate += 1 } }"]
      different = blocks.map { |block| [2, 3].map { |rate| code("rate = #{rate}\nproc { #{block} }") }.uniq.size }
      expect(different).to eq([2, 2, 2, 1])
    end

    it "are digested again once the variable has another object, not when the object changes" do
      rate = [1]
      fingerprint = of { rate }
      first = fingerprint.value
      rate << 2
      expect(fingerprint.value).to eq(first)
      rate = [2]
      second = fingerprint.value
      rate = [1]
      expect([second == first, fingerprint.value]).to eq([false, first])
    end

    it "that cannot be digested are named, as long as they are there" do
      client = $stdout
      fingerprint = of { client }
      expect(fingerprint.problem).to eq("captures client (an IO), which cannot be digested")
      client = "client"
      expect(fingerprint.problem).to be_nil
      client = proc {}
      expect(fingerprint.problem).to eq("captures client (a Proc), which cannot be digested")
      expect(client).to be_a(Proc)
    end

    it "are all variables around a block that evaluates code, but those that it sets" do
      blocks = ->(rate, calls) { [proc { eval("rate") }, proc { [1].map { calls += binding.local_variable_get(:rate) } }] } # rubocop:disable Style/EvalWithLocation
      values = ->(*locals) { blocks.call(*locals).map { |block| of(block).value } }
      expect(values.call(1, 0)).to eq(values.call(1, 0))
      expect(values.call(1, 0).zip(values.call(2, 0)).map(&:uniq).map(&:size)).to eq([2, 2])
      expect(values.call(1, 0).zip(values.call(1, 5)).map(&:uniq).map(&:size)).to eq([2, 1])
    end

    it "include a block that was given" do
      build = ->(&work) { proc { work } }
      expect(of(build.call { 1 }).problem).to match(/captures work/)
    end

    it "do not belong to the code" do
      blocks = [1, 2].map { |n| proc { n } }
      expect(blocks.map { |block| of(block).code }.uniq.size).to eq(1)
      expect(blocks.map { |block| of(block).value }.uniq.size).to eq(2)
    end
  end

  describe "tells callables apart:" do
    tool = ->(size) { Fingerprinted::Tool.new(size) }
    {
      "symbols": [:up.to_proc, :down.to_proc, :[].to_proc], "objects": [Fingerprinted::Multiply.new(1), Fingerprinted::Multiply.new(2), Fingerprinted::Divide.new(1)],
      "classes": [Fingerprinted::Double, Fingerprinted::Triple, Fingerprinted::Work, Fingerprinted::OtherWork],
      "methods": [tool[1].method(:one), tool[2].method(:one), tool[1].method(:two)], "methods without code": ["a".method(:size), "b".method(:size), "a".method(:upcase)]
    }.each do |what, callables|
      it(what) do
        values = callables.map { |callable| value(callable) }
        expect([values.uniq.size, callables.filter_map { |callable| of(callable).problem }]).to eq([callables.size, []])
      end
    end

    it "equal ones are equal" do
      expect(value(Fingerprinted::Multiply.new([1]))).to eq(value(Fingerprinted::Multiply.new([1])))
      expect(value(tool[1].method(:one))).to eq(value(tool[1].method(:one)))
      expect(value(:up.to_proc)).to eq(value(:up.to_proc))
    end

    it "an object that cannot be digested is a problem" do
      expect(of(Fingerprinted::Multiply.new($stdout)).problem).to match(/captures the object \(an IO\)/)
      expect(of(Fingerprinted::Multiply.new($stdout).method(:call)).problem).to match(/captures the receiver \(an IO\)/)
    end

    it "a Proc made of others is a problem, as nobody can see of which" do
      made = [method(:puts).to_proc, proc { |x| x } >> proc { |x| x }, { a: 1 }.to_proc, proc { |a, b| [a, b] }.curry]
      expect(made.map { |block| of(block).problem }).to all(match(/code cannot be seen/))
    end
  end

  it "is that of the block for one of a bare definition" do
    bare = Flowline.define { step(:a, cache: true) { |x = 1| x + 1 } }
    plain = Flowline.define { |p| p.step(:b, cache: true) { |x = 1| x + 1 } }
    expect(bare.fingerprint(0).value).to eq(plain.fingerprint(0).value)
  end
end
