# frozen_string_literal: true

require "open3"
require "rbconfig"
require "tmpdir"

RSpec.describe Flowline::Fingerprint do
  def value(callable, **options)
    described_class.new(callable, **options).value
  end

  # The fingerprint of a callable in a file of its own.
  def of(source)
    Dir.mktmpdir do |folder|
      File.write("#{folder}/code.rb", source)
      value(eval(File.read("#{folder}/code.rb"), TOPLEVEL_BINDING.dup, "#{folder}/code.rb")) # rubocop:disable Security/Eval
    end
  end

  it "is the same wherever the code is and however it is commented" do
    expect(of("proc { |x| x + 1 }")).to eq(of("# a comment\n\n\nother = 5\nproc do |x|\n  # another\n  x + 1\nend"))
    expect(of("a = 1\nproc { |x| x + a }")).to eq(of("first = 0\na = 1\nlast = 2\nproc { |x| x + a }"))
  end

  it "is another for another code" do
    sources = [
      "proc { |x| x + 1 }", "proc { |x| x + 2 }", "proc { |x| x - 1 }", "proc { |y| y + 1 }", "proc { |x| x.next }", "proc { |x| x.succ }", "proc { |x = 1| x + 1 }",
      "proc { |x = 2| x + 1 }", "proc { |*x| x + 1 }", "proc { |x:| x + 1 }", "proc { |x| [x].map { |y| y + 1 } }", "proc { |x| [x].map { |y| y + 2 } }",
      "proc { |x| x&.next }", "proc { |x| begin; x; rescue KeyError; 1; end }", "proc { |x| begin; x; rescue IOError; 1; end }", "proc { 'a' }", "proc { :a }",
      "proc { |x| x =~ /a/ }", "proc { |x| x =~ /a/i }", "proc { |x| x ? 1 : 2 }", "proc { |x| x ? 2 : 1 }", "a = 1\nb = 2\nproc { a - b }", "a = 1\nb = 2\nproc { b - a }",
      "a = 1\nproc { a }", "a = 2\nproc { a }", "b = 1\nproc { b }", "proc { A }", "proc { B }", "proc { |x| case x when 1 then 2 end }", "proc { |x| case x when 2 then 2 end }"
    ]
    fingerprints = sources.to_h { |source| [source, of(source)] }
    expect(fingerprints.invert.size).to eq(sources.size), fingerprints.group_by(&:last).values.select { |twins| twins.size > 1 }.inspect
  end

  it "is the same in another process" do
    code = "a = [1]; proc { |x| [x].map { |y| y + a.sum } }"
    script = "require 'flowline'; print Flowline::Fingerprint.new(eval(#{code.inspect})).value"
    outputs = Array.new(2) { Open3.capture2(RbConfig.ruby, *$LOAD_PATH.map { |path| "-I#{path}" }, "-e", script).first }
    expect(outputs.uniq).to match([/\A\h{32}\z/])
  end

  it "has the outer locals that the block reads, of inner blocks as well, and not those it sets" do
    read = 1
    inner = 1
    counter = 0
    block = proc { |x| [x].map { |y| y + inner }.sum + read + (counter += 1) }
    fingerprint = described_class.new(block)
    before = fingerprint.value
    counter = 5
    expect(fingerprint.value).to eq(before)
    inner = 2
    expect(fingerprint.value).not_to eq(before)
    inner = 1
    expect(fingerprint.value).to eq(before)
    read = 7
    expect([fingerprint.value == before, counter]).to eq([false, 5])
    expect(fingerprint.code).to eq(described_class.new(block).code)
  end

  it "does not see what is changed in place" do
    list = [1]
    fingerprint = described_class.new(proc { list.sum })
    before = fingerprint.value
    list << 2
    expect(fingerprint.value).to eq(before)
    list = [1, 2]
    expect(fingerprint.value).not_to eq(before)
  end

  it "leaves out what cannot be digested, and says so" do
    io = $stdin
    fingerprint = described_class.new(proc { io.read })
    expect(fingerprint.problem).to eq("captures io (a IO), which cannot be digested")
    expect(fingerprint.value).to match(/\A\h{32}\z/)
  end

  it "has the version that the user gives" do
    expect([nil, 1, 2, "2"].map { |version| described_class.new(proc { 1 }, version: version).code }.uniq.size).to eq(4)
  end

  it "is of methods, objects and classes, by their code and content" do
    stub_const("Adder", Class.new do
      def initialize(n) = @n = n
      def call(x) = x + @n
      def other(x) = x * @n
      def self.twice(x) = x * 2
    end)
    stub_const("Static", Class.new { def self.call(x) = x })
    callables = [Adder.new(1), Adder.new(2), Adder.new(1).method(:call), Adder.new(2).method(:call), Adder.new(1).method(:other), Adder.method(:twice), Static, Adder,
                 :upcase.to_proc, :downcase.to_proc, 1.method(:+), [].method(:push), method(:puts), lambda { |x| x }] # rubocop:disable Style/Lambda
    problems, sound = callables.map { |callable| described_class.new(callable) }.partition(&:problem)
    expect(problems.size).to be <= 1 # The example itself is no data.
    expect(sound.map(&:value).uniq.size).to eq(sound.size)
    expect(value(Adder.new(1))).to eq(value(Adder.new(1)))
    expect(value(:upcase.to_proc)).to eq(value(:upcase.to_proc))
  end

  it "is of the block, whatever self it will be called with" do
    block = proc { |x| x }
    expect(value(Flowline::Rebound.new(Object.new, block))).to eq(value(block))
  end
end
