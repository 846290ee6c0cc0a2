# frozen_string_literal: true

require_relative "../../fuzz/plan"

RSpec.describe "A plan that its run keeps to", executor: :in_process do
  let(:state) { { asked: 0 } }
  let(:cache) { Flowline::Cache::Memory.new }

  # @return [Hash] by step: the planned action, and how it ended
  def planned(pipeline, **options)
    plan = pipeline.run(dry_run: true, **options)
    result = pipeline.run(**options)
    plan.steps.to_h { |step| [step.name, [step.action, result[step.name].status]] }
  end

  it "says unknown of steps after one that its condition may skip" do
    p = Flowline.define do |d|
      d.step(:a, when: -> { state[:on] }) { 1 }
      d.step(:b, depends_on: :a) { |a| a }
      d.step(:any, depends_on: %i[a b], run_if: :any) { |*given| given }
      d.step(:c) { 1 }
      d.step(:either, depends_on: %i[a c], run_if: :any) { |*given| given }
      d.step(:always, depends_on: :a, run_if: :always) { |a| a }
    end
    expect(planned(p)).to eq(a: %i[unknown skipped], b: %i[unknown skipped], any: %i[unknown skipped], c: %i[run succeeded],
                             either: %i[run succeeded], always: %i[run succeeded])
    expect(p.run(dry_run: true)[:b].reason).to eq("whether it runs depends on a")
    state[:on] = true
    expect(planned(p).values.map(&:last)).to all(eq(:succeeded))
  end

  [{}, { resume: true }, { from: "gate" }, { only: "gate+" }].each do |options|
    it "asks the condition of a cached step, with #{options.empty? ? "no options" : options}" do
      p = Flowline.define(cache: cache) do |d|
        d.step(:gate) { state[:on] }
        d.step(:keyed, depends_on: :gate, when: ->(_ctx, gate) { gate }, cache: { key: -> { 1 } }) { |_| 1 }
        d.step(:plain, depends_on: :gate, when: ->(_ctx) { state[:on] }, cache: { key: -> { 2 } }) { |_| 2 }
        d.step(:mail, depends_on: :plain) { |plain| plain }
      end
      outcomes = [true, false, true].map do |on|
        state[:on] = on
        p.run(**options).steps.to_h { |step| [step.name, step.status] }
      end
      expect(outcomes.map { |outcome| outcome.values_at(:keyed, :plain, :mail) })
        .to eq([%i[succeeded succeeded succeeded], %i[skipped skipped skipped], %i[cached cached succeeded]])
    end
  end

  it "says unknown of a cached step that has a condition" do
    p = Flowline.define(cache: cache) do |d|
      d.step(:a, cache: true, when: -> { (state[:asked] += 1) < 2 }) { 1 }
      d.step(:b, depends_on: :a) { |a| a }
    end
    p.run
    expect([planned(p), p.run(dry_run: true)[:a].reason]).to eq([{ a: %i[unknown skipped], b: %i[unknown skipped] }, "depends on when:"])
  end

  it "says skip of steps after one that was skipped and is not selected" do
    p = Flowline.define(name: "skipped", keep_checkpoint: true) do |d|
      d.step(:off, when: -> { false }) { 1 }
      d.step(:b, depends_on: :off) { |off| off }
      d.step(:c, depends_on: :b) { |b| b }
    end
    p.run
    expect(planned(p, only: "b+")).to eq(off: %i[skip skipped], b: %i[skip skipped], c: %i[skip skipped])
    expect(p.run(only: :b, dry_run: true)[:b].reason).to eq("off will have no output")
  end

  it "says reuse of a cached step that is not selected, whose condition is not asked" do
    p = Flowline.define(name: "unasked", cache: cache) do |d|
      d.step(:a, cache: true, when: -> { (state[:asked] += 1) < 2 }) { 1 }
      d.step(:b, depends_on: :a) { |a| a }
    end
    p.run
    expect([planned(p, only: :b), state[:asked]]).to eq([{ a: %i[reuse cached], b: %i[run succeeded] }, 1])
  end

  it "says restore of a step whose output is found in the cache after a step that does not run" do
    p = Flowline.define(name: "behind", cache: cache) do |d|
      d.step(:a) { Object.new }
      d.step(:b, depends_on: :a, cache: true) { 2 }
      d.step(:c, depends_on: :b) { |b| b }
    end
    p.run
    expect(planned(p, only: :c)).to eq(a: %i[skip skipped], b: %i[restore restored], c: %i[run succeeded])
  end

  it "is refused where the run is, unless only a key: could show it" do
    p = Flowline.define(name: "refused", cache: cache) do |d|
      d.step(:a) { 1 }
      d.step(:b, depends_on: :a, cache: { key: -> { 1 } }) { |a| a }
      d.step(:c, depends_on: :b) { |b| b }
    end
    expect(p.run(dry_run: true, from: :c)[:b].action).to eq(:unknown)
    expect { p.run(from: :c) }.to raise_error(Flowline::CheckpointError, /output of b/)
    expect { p.run(from: :b, dry_run: true) }.not_to raise_error
    expect { p.run(from: :b) }.to raise_error(Flowline::CheckpointError, /output of a/)
  end

  it "is not refused if a key: could show that nothing is missing" do
    p = Flowline.define(name: "shown", cache: cache, keep_checkpoint: true) do |d|
      d.step(:keyed, cache: { key: -> { 1 } }) { 1 }
      d.step(:unrecorded, checkpoint: false) { 2 }
      d.step(:last, depends_on: %i[keyed unrecorded]) { |*given| given }
    end
    2.times { p.run }
    expect(planned(p, resume: true, only: "keyed+")).to eq(keyed: %i[unknown cached], unrecorded: %i[skip skipped], last: %i[unknown restored])
  end

  it "has no difference in scenarios at random (more: rake fuzz:plan)" do
    seed = RSpec.configuration.seed
    found, tally = Fuzz::Plan.run(200, seed)
    expect(found).to be_empty, -> { "with seed #{seed}:\n#{found.map { |number, scenario, what| Fuzz::Plan.show(number, scenario, what) }.join("\n")}" }
    expect(tally).to include(:succeeded, :failed, :restored, :cached, :skipped, :unknown)
  end
end
