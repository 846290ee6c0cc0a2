# frozen_string_literal: true

# Whole small runs while the garbage collector is at its worst. Under full stress each allocation is a whole
# collection, several milliseconds; a collection of young objects, which is where a missing mark shows first,
# costs a hundredth of that.
RSpec.describe "Runs and the garbage collector", :gc, executor: :in_process do
  def stressed(how = 0x01)
    GC.stress = how
    yield
  ensure
    GC.stress = false
  end

  # Moves every object that can be moved, in whatever way this Ruby offers, and checks what it did.
  def compact
    skip "this Ruby does not compact" unless GC.respond_to?(:compact)
    begin
      GC.verify_compaction_references(**(RUBY_VERSION < "3.2" ? { double_heap: false, toward: :empty } : { toward: :empty }))
    rescue NotImplementedError, NoMethodError
      GC.compact
    end
  end

  let(:inner) do
    Flowline.define do |p|
      p.step(:x) { |rows| rows.sum }
      p.step(:y, depends_on: :x) { |x| x * 2 }
    end
  end

  # A success, a failure, a skip, a group, hooks, params, keywords: [what is seen, pipeline].
  let(:everything) do
    seen = []
    nested = inner
    pipeline = Flowline.define(on_error: :continue) do |p|
      p.param :n, type: :integer
      p.before_run { |ctx| seen << ctx[:n] }
      p.on_step_failure { |step, error| seen << [step.name, error.original.message] }
      p.on_step_skip { |step, reason| seen << [step.name, reason] }
      p.after_run { |result| seen << result.status }
      p.step(:rows) { |ctx| Array.new(ctx[:n]) { |i| i } }
      p.step(:nested, nested, depends_on: :rows)
      p.step(:join, depends_on: %i[rows nested]) { |rows:, nested:| [rows, nested] }
      p.step(:skip, when: ->(_) { false }) { 1 }
      p.step(:bad, depends_on: :rows) { |_| raise "bad #{seen.size}" }
    end
    [seen, pipeline]
  end

  def expect_everything(result, seen)
    expect(result.outputs).to eq(rows: [0, 1, 2], "nested.x": 3, "nested.y": 6, join: [[0, 1, 2], 6])
    expect(seen).to contain_exactly(3, %i[skip condition], [:bad, a_string_starting_with("bad ")], :failed)
  end

  let(:chain) { Flowline.define { |p| p.step(:a) { "1" }.then { p.step(:b, depends_on: :a) { |a| "#{a}2" } } } }
  let(:failing) { Flowline.define { |p| p.step(:a) { raise "x" } } }

  it "survive full stress: a success", executor: :sequential do
    chain.run
    expect(stressed(true) { chain.run }.outputs).to eq(a: "1", b: "12")
  end

  it "survive full stress: a failure", :gc_full, executor: :sequential do
    failing.run
    result = stressed(true) { failing.run }
    expect([result.failed_step, result[:a].error.original.message]).to eq([:a, "x"])
  end

  it "survive stress: definitions" do
    pipelines = stressed { [chain, failing, inner, everything.last] }
    expect(pipelines.map { |pipeline| pipeline.steps.size }).to eq([2, 1, 2, 6])
  end

  it "survive stress: a failure, read to the end" do
    failing
    result = stressed { failing.run.tap { |failed| [failed.error.message, failed.steps, failed.to_h, failed.to_json] } }
    expect([result.failed_step, result[:a].error.original.message]).to eq([:a, "x"])
  end

  it "survive stress: groups, hooks, params, conditions" do
    seen, pipeline = everything
    result = stressed { pipeline.run(n: 3) }
    expect_everything(result, seen)
  end

  it "survive stress: a run within a run" do
    within = inner
    pipeline = Flowline.define { |p| p.step(:a) { within.run(input: [1, 2])[:y].output } }
    expect(stressed { pipeline.run }.outputs).to eq(a: 6)
  end

  it "survive stress: an interrupted run" do
    pipeline = Flowline.define { |p| p.step(:a) { raise Interrupt }.then { p.step(:b, run_if: :always) { 1 } } }
    expect { stressed { pipeline.run } }.to raise_error(Interrupt)
  end

  it "survive compaction before, during and after" do
    seen, pipeline = everything
    compact
    moving = [pipeline, inner, Flowline.define { |p| p.step(:c) { compact && :moved }.then { p.step(:d, depends_on: :c) { |c| [c] } } }]
    expect(moving.last.run.outputs).to eq(c: :moved, d: [:moved])
    result = pipeline.run(n: 3)
    compact
    expect_everything(result, seen)
    expect(moving[1].run(input: [1])[:y].output).to eq(2)
  end

  it "survive compaction at each collection", executor: :sequential do
    # Older ones may crash by themselves: https://github.com/ruby/ruby/pull/8940
    skip "needs Ruby 3.3 or newer, which compacts" unless RUBY_VERSION >= "3.3" && GC.respond_to?(:auto_compact=)
    seen, pipeline = everything
    chain.run
    before = GC.auto_compact
    GC.auto_compact = true
    expect(stressed(true) { chain.run }.outputs).to eq(a: "1", b: "12")
    expect_everything(stressed { pipeline.run(n: 3) }, seen)
  ensure
    GC.auto_compact = before if GC.respond_to?(:auto_compact=)
  end

  it "leave no results or runners behind" do
    pipeline = Flowline.define { |p| p.step(:a) { 1 }.then { p.step(:b, depends_on: :a) { |a| a } } }
    live = lambda do
      100.times { pipeline.run }
      3.times { GC.start }
      ObjectSpace.each_object(Flowline::Result).count + ObjectSpace.each_object(Flowline::Execution::Coordinator).count
    end
    before = live.call # Other examples may have left some.
    expect(live.call - before).to be < 50
  end
end
