# frozen_string_literal: true

require "open3"
require "rbconfig"

# Exceptions, so that another process can be asked for their digests.
module Raised
  class Thing
    def initialize(name) = @name = name
  end

  # It hides what Ruby knows.
  class Missing < KeyError
    def key = :hidden
    def receiver = {}
  end

  def self.by
    yield
  rescue Exception => e # rubocop:disable Lint/RescueException -- SystemExit is one of them
    e
  end

  # Its method is over when it is called.
  def self.orphan(value) = proc { return value }
  def self.thing(name = 1) = Thing.new(name)

  # Each list holds exceptions with the same message and class, as far as Ruby allows it.
  ALL = {
    "SystemExit#status" => [SystemExit.new(0, "a"), SystemExit.new(1, "a"), SystemExit.new(2, "a")],
    "KeyError#key" => [KeyError.new("a"), KeyError.new("a", key: nil), KeyError.new("a", key: 1), KeyError.new("a", key: 2)],
    "KeyError#receiver" => [KeyError.new("a"), KeyError.new("a", receiver: nil), KeyError.new("a", receiver: {}), KeyError.new("a", receiver: thing)],
    "KeyError of a subclass" => [Missing.new("a"), Missing.new("a", key: 1), Missing.new("a", key: 2), Missing.new("a", key: 2, receiver: [])],
    "NameError#name" => [NameError.new("a"), NameError.new("a", :b), NameError.new("a", :c)],
    "NameError#receiver" => [NameError.new("a", :b), NameError.new("a", :b, receiver: nil), NameError.new("a", :b, receiver: thing)],
    "NoMethodError#args" => [NoMethodError.new("a", :b), NoMethodError.new("a", :b, [1]), NoMethodError.new("a", :b, [2])],
    "NoMethodError of other receivers" => [by { thing(1).gone }, by { thing(2).gone }, by { thing(1).lost }],
    "SignalException#signo" => [SignalException.new(2, "a"), SignalException.new(15, "a")],
    "StopIteration#result" => [[1], [2]].map { |list| by { list.each.tap(&:next).next } },
    "LocalJumpError#exit_value" => [by { orphan(1).call }, by { orphan(2).call }],
    "UncaughtThrowError#tag" => [by { throw thing(1), 1 }, by { throw thing(2), 1 }],
    "UncaughtThrowError#value" => [by { throw :a }, by { throw :a, 1 }, by { throw :a, 2 }],
    "FrozenError#receiver" => [FrozenError.new("a"), FrozenError.new("a", receiver: [1]), FrozenError.new("a", receiver: [2])],
    "NoMatchingPatternKeyError#key" => [[:a, {}], [:b, {}], [:a, { c: 1 }]].map { |key, matchee| NoMatchingPatternKeyError.new("a", key: key, matchee: matchee) },
    "SystemCallError#errno" => [SystemCallError.new(nil, 4000), SystemCallError.new(nil, 4001), SystemCallError.new("x", 4000)],
    "encoding errors" => ["\xFF", "\xFE"].map { |text| by { text.encode("UTF-16") } } + ["ä", "ö"].map { |text| by { text.encode("US-ASCII") } }
  }.freeze

  # The digests of them all.
  def self.digests = ALL.values.flatten.map { |error| Flowline::Identity::Digest.try(error) }
end

RSpec.describe Flowline::Identity::Digest do
  Raised::ALL.each do |what, errors|
    it "tells exceptions apart by what they hold beside a message: #{what}" do
      digests = errors.map { |error| described_class.try(error) }
      expect([digests.compact.uniq.size, errors.map(&:class).uniq.size]).to eq([errors.size, what == "encoding errors" ? 2 : 1])
    end
  end

  it "has the same digest for equal exceptions, also in another process" do
    code = "require 'flowline'; module RSpec; def self.describe(*) = nil; end; require #{__FILE__.inspect}; puts Raised.digests"
    output, = Open3.capture2e(RbConfig.ruby, "-I#{File.expand_path("../../../lib", __dir__)}", "-e", code)
    expect([output.split, Raised.digests]).to eq([Raised.digests, Raised.digests])
  end

  it "leaves out of a message no other address than those of what the exception holds" do
    messages = ["#<Object:0x0000000000001000>", "#<Object:0x0000000000002000>"]
    errors = messages.map { |message| KeyError.new(message, key: 1, receiver: {}) }
    expect(errors.map { |error| described_class.try(error) }.uniq.size).to eq(2)
  end

  it "gives up where an exception holds something that cannot be digested" do
    expect([KeyError.new("a", receiver: $stdin), FrozenError.new("a", receiver: -> {})].map { |error| described_class.try(error) }).to eq([nil, nil])
  end

  it "does not call what a class of the user's adds to an exception" do
    type = stub_const("Loud", Class.new(KeyError) { %i[key receiver danger].each { |name| define_method(name) { raise "called" } } })
    expect(described_class.try(type.new("a", key: 1))).not_to be_nil
  end

  it "keeps runs with such exceptions apart, in the cache and on resume" do
    broken = true
    cache = Flowline::Cache::Memory.new
    pipeline = Flowline.define(name: "exits", cache: cache) do |p|
      p.step(:a, cache: true) { |error| error.status }
      p.step(:b, depends_on: :a) { |a| broken ? raise("down") : a }
    end
    pipeline.run(input: SystemExit.new(1, "exit"))
    broken = false
    expect(pipeline.run(input: SystemExit.new(2, "exit"), resume: true).outputs).to eq(a: 2, b: 2)
    expect(pipeline.run(input: SystemExit.new(2, "exit"))[:a].status).to eq(:cached)
  end
end

RSpec.describe "What a run was given" do
  let(:cache) { Flowline::Cache::Memory.new }
  let(:state) { { broken: true } }

  def define(name = "given", **options, &block)
    state = self.state
    Flowline.define(name: name, cache: cache) do |p|
      p.param :day, default: nil
      p.step(:a, cache: true, **options, &block)
      p.step(:b, depends_on: :a) { |a| state[:broken] ? raise("down") : a }
    end
  end

  # How the step ends in each of these runs.
  def statuses(pipeline, *runs)
    state[:broken] = false
    runs.map { |run| pipeline.run(**run)[:a].status }
  end

  # Whether a run of the second resumes the first.
  def resumed?(pipeline, first, second)
    state[:broken] = true
    Flowline::Checkpoint.list.each(&:delete)
    pipeline.run(**first)
    state[:broken] = false
    pipeline.run(resume: true, **second)[:a].status == :restored
  end

  context "in the cache" do
    it "is not the content of a context when it is an input that looks like one" do
      pipeline = define { |given| given.class.name }
      content = { day: nil, x: 1 }
      [[content, nil], [%i[day], content, nil], [:context, false, %i[day], content, nil]].each do |input|
        cache.clear
        expect(statuses(pipeline, { context: { x: 1 } }, { input: input })).to eq(%i[succeeded succeeded])
      end
    end

    it "is not the same with an input of nil and without one" do
      pipeline = define { |day:, ctx:| [day, ctx.input] }
      expect(statuses(pipeline, {}, { input: nil }, { input: false }, {}, { input: nil })).to eq(%i[succeeded succeeded succeeded cached cached])
      other = define("other") { |given = 1| given }
      expect(statuses(other, {}, { input: nil }, {}, { input: nil })).to eq(%i[succeeded succeeded cached cached])
    end

    it "is the same for a step that takes none of it" do
      expect(statuses(define { 1 }, {}, { input: 1 }, { context: { x: 1 } })).to eq(%i[succeeded cached cached])
    end

    it "is not a context value when it is a param of the same name" do
      make = ->(declare) { Flowline.define(name: "moved", cache: cache) { |p| [(p.param(:day) if declare), p.step(:a, cache: true) { |ctx| ctx.params.keys }] } }
      outputs = [make[true].run(day: 1), make[false].run(context: { day: 1 })].map { |result| result[:a].output }
      expect(outputs).to eq([[:day], []])
    end

    it "is not what a key: returns when that looks like inputs" do
      caches = [true, { key: ->(x) { [[x], {}] } }, { key: ->(x) { [[[:value, x]], {}] } }]
      pipelines = caches.map { |given| define(cache: given) { |x| x } }
      expect(pipelines.flat_map { |pipeline| statuses(pipeline, { input: 1 }) }).to eq(%i[succeeded succeeded succeeded])
    end
  end

  ["given", nil].each do |name|
    context name ? "in the store" : "in memory" do
      let(:pipeline) { define(name, cache: false) { |ctx| ctx.class.name } }

      it "is not the same with an input and without one, whatever else it was given" do
        [{}, { context: { log: -> {} } }, { day: "a", context: { log: -> {}, x: 1 } }].each do |other|
          given = [{}, { input: nil }, { input: false }, { input: [] }, { input: [{}, nil] }].map { |input| { **other, **input } }
          given.permutation(2) { |one, two| expect([one, two, resumed?(pipeline, one, two)]).to eq([one, two, false]) }
          given.each { |one| expect([one, resumed?(pipeline, one, one)]).to eq([one, true]) }
        end
      end
    end
  end
end
