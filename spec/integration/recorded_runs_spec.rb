# frozen_string_literal: true

require "flowline/cli"
require "json"
require "tmpdir"

# The store's rows of a run, which history and other readers show.
RSpec.describe "Recorded runs" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }
  let(:store) { Flowline::Store.at(root) }
  let(:last) { store.history(Flowline::Store::Query.new(limit: 1)).first }

  def step(name)
    store.steps(last.id).find { |row| row.name == name }
  end

  it "have the params without secrets, the trigger, the definition's line, the directory and the graph" do
    line = __LINE__ + 1
    pipeline = Flowline.define(name: "described") do |p|
      p.param :day, type: :date, default: "2024-01-31"
      p.param :token, secret: true, default: "hunter2-secret"
      p.param :note, default: "with hunter2-secret"
      p.param :none, default: nil
      p.step(:fetch, description: "Gets rows", tags: %i[a b], output: Array) { |day:| [day] }
      p.step(:load, depends_on: :fetch, run_if: :any) { |rows| rows.size }
    end
    pipeline.run
    expect(JSON.parse(last.shown)).to eq("day" => "2024-01-31", "token" => "[secret]", "note" => "with [secret]", "none" => nil)
    expect(last.to_h).to include(trigger: "ruby", location: "#{__FILE__}:#{line}", directory: Dir.pwd, outcomes: "succeeded 2", warnings: nil)
    steps = [{ "name" => "fetch", "location" => "#{__FILE__}:#{line + 5}", "description" => "Gets rows", "tags" => %w[a b], "output" => "Array",
               "params" => ["day"] },
             { "name" => "load", "after" => [0], "location" => "#{__FILE__}:#{line + 6}", "run_if" => "any" }]
    graph = JSON.parse(store.graph(last.graph))
    expect(graph["steps"].map { |known| known.delete("code") }).to all(match(/\A\h{16}\z/))
    expect(graph).to eq("version" => 1, "steps" => steps, "groups" => [])
    expect(Dir.glob("#{root}/flowline.db*").map { |file| File.binread(file) }.join).not_to include("hunter2")
  end

  it "know that the command line started them" do
    Dir.mktmpdir do |directory|
      File.write("#{directory}/p.rb", "Flowline.define(name: 'triggered') { step(:a) { 1 } }")
      Processes.flowline("run", "#{directory}/p.rb")
      expect(last.to_h).to include(trigger: "cli", pipeline: "triggered", location: "#{directory}/p.rb:1")
    end
  end

  it "have the line of a pipeline class" do
    stub_const("Placed", Module.new)
    line = __LINE__ + 1
    class Placed::Import < Flowline::Pipeline # rubocop:disable Lint/ConstantDefinitionInBlock, Style/ClassAndModuleChildren
      step(:a) { 1 }
    end
    Placed::Import.run
    expect(Placed::Import.pipeline.location).to eq("#{__FILE__}:#{line}")
    expect(last.location).to eq("#{__FILE__}:#{line}")
  end

  it "have a preview of each output, which no method of the output makes" do
    hostile = Class.new { %i[inspect to_s class ==].each { |name| define_method(name) { |*| raise "called" } } }
    stub_const("Hostile", hostile)
    Flowline.define(name: "previews") do |p|
      p.step(:list) { [1, "two\n\"", { a: nil, "b" => 2.5 }, :sym, true, false] }
      p.step(:long) { (1..100).to_a }
      p.step(:text) { "é" * 1000 }
      p.step(:bytes) { "\xFF\xFE".b }
      p.step(:huge) { 10**100 }
      p.step(:deep) { [[[[[1]]]]] }
      p.step(:object) { Hostile.new }
    end.run
    found = store.steps(last.id).to_h { |row| [row.name, [row.kind, row.output_size, row.preview]] }
    expect(found).to eq(
      "list" => ["Array", 6, '[1, "two\n\"", {a: nil, "b" => 2.5}, :sym, true, false]'], "long" => ["Array", 100, "[1, 2, 3, 4, 5, 6, 7, 8, …]"],
      "text" => ["String", 2000, "\"#{"é" * 60}…\""], "bytes" => ["String", 2, "(2 bytes)"], "huge" => ["Integer", nil, "Integer"],
      "deep" => ["Array", 1, "[[[[…]]]]"], "object" => ["Hostile", nil, "#<Hostile>"]
    )
  end

  it "have previews of names in any encoding, and of values without methods" do
    stub_const("Bare", Class.new(BasicObject))
    broken = [true]
    pipeline = Flowline.define(name: "odd") do |p|
      p.step(:bytes) { "caf\xC3\xA9\xFF".b.to_sym }
      p.step(:keys) { { "caf\xE9".dup.force_encoding("ISO-8859-1").to_sym => 1 } }
      p.step(:bare) { Bare.new }
      p.step(:state, depends_on: :bare) { |_, ctx| ctx.state[:bare] = Bare.new and raise("down") if broken.first }
    end
    pipeline.run
    previews = store.steps(last.id).to_h { |row| [row.name, row.preview] }
    expect(previews).to include("bytes" => ":café\uFFFD", "keys" => "{caf\uFFFD: 1}", "bare" => "#<Bare>")
    broken.clear
    expect(outcomes(pipeline.run(resume: true))).to include(bytes: :restored, keys: :restored, bare: :restored, state: :succeeded)
  end

  it "have no preview that could hold a secret" do
    Flowline.define(name: "hidden") do |p|
      p.param :token, secret: true, default: "hunter2-secret"
      p.step(:a) { |token:| "#{"x" * 50}#{token}" }
      p.step(:b, checkpoint: false) { |token:| [token] }
      p.step(:c) { { number: 1 } }
    end.run
    expect(%w[a b c].map { |name| step(name).to_h.values_at(:kind, :output_size, :preview) }).to eq([["String", 64, nil], ["Array", 1, nil], ["Hash", 1, "{number: 1}"]])
    expect(Dir.glob("#{root}/flowline.db*").map { |file| File.binread(file) }.join).not_to include("hunter2")
  end

  it "have the attempts that failed, without secrets, and the warnings" do
    calls = Hash.new(0)
    Flowline.define(name: "retried") do |p|
      p.param :token, secret: true, default: "hunter2-secret"
      p.after_step { raise "hook" }
      p.step(:a, retries: 30) { |token:| (calls[:a] += 1) < 26 ? raise("down #{token}") : 1 }
      p.step(:items) { [1, 2] }
      p.step(:each, each: :items, retries: 1) { |n| (calls[n] += 1) < 2 ? raise("item") : n }
    end.run
    attempts = JSON.parse(step("a").detail).fetch("attempts")
    expect(attempts.map { |attempt| attempt["number"] }).to eq((6..25).to_a)
    expect(attempts.first).to match("number" => 6, "ended" => be_a(Float), "wait" => 0.0, "error" => "RuntimeError: down [secret]")
    expect(JSON.parse(step("each").detail).fetch("attempts").map { |attempt| attempt.values_at("item", "error") }).to contain_exactly([1, "RuntimeError: item"], [2, "RuntimeError: item"])
    expect(JSON.parse(last.warnings)).to include(/\Ahook after_step failed/)
  end

  it "stay as many as keep_runs: says" do
    pipeline = Flowline.define(name: "few", keep_runs: 2) { |p| p.step(:a) { 1 } }
    ids = Array.new(4) { pipeline.run.run_id }
    expect(store.runs("few").map(&:run_id)).to eq(ids.last(2).reverse)
    expect { Flowline.define(keep_runs: 0) }.to raise_error(Flowline::DefinitionError, /keep_runs: must be a whole number from 1 up/)
  end
end
