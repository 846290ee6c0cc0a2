# frozen_string_literal: true

RSpec.describe "Selecting steps", executor: :in_process do
  let(:log) { [] }

  def ran
    log.dup.tap { log.clear }
  end

  # Steps that log their names and return them with what they got; they raise while `broken` has them.
  def pipeline(edges, broken: [], name: "select", **options)
    log = self.log
    Flowline.define(name: name) do |p|
      edges.each do |step, inputs|
        p.step(step, depends_on: inputs, **options.fetch(step, {})) do |**given|
          log << step
          raise "#{step} is down" if broken.include?(step)

          [step, *given.values].join("-")
        end
      end
    end
  end

  %w[select].push(nil).each do |name|
    context name ? "from a recorded run" : "from a run in memory" do
      it "reruns steps downstream of from:, and restores or runs the others" do
        broken = [:b]
        p = pipeline({ a: [], side: [], b: [:a], c: %i[b side] }, name: name, broken: broken, side: { checkpoint: false })
        p.run
        broken.clear
        ran
        result = p.run(from: :b)
        expect(outcomes(result)).to eq(a: :restored, side: :succeeded, b: :succeeded, c: :succeeded)
      end

      it "reruns the steps of a failed from: when that run is resumed" do
        broken = [:d]
        p = pipeline({ a: [], b: [:a], c: [:b], d: [:c] }, name: name, broken: broken)
        p.run
        broken.replace([:b])
        expect(p.run(from: :b).failed_step).to eq(:b)
        broken.clear
        ran
        expect(outcomes(p.run(resume: true))).to eq(a: :restored, b: :succeeded, c: :succeeded, d: :succeeded)
      end

      it "can resume failed steps after runs with only: succeeded" do
        broken = [:c]
        p = pipeline({ a: [], b: [:a], c: [:b], d: [], e: [:d] }, name: name, broken: broken)
        p.run(on_error: :continue)
        broken.clear
        2.times { expect(p.run(only: :d)).to be_success }
        expect(p.run(only: "e")).to be_success
        ran
        expect(p.run(resume: true, dry_run: true).steps.map(&:action)).to eq(%i[restore restore run restore restore])
        expect(outcomes(p.run(resume: true))).to eq(a: :restored, b: :restored, c: :succeeded, d: :restored, e: :restored)
        expect(ran).to eq([:c])
        expect(outcomes(p.run(resume: true)).values).to all(eq(:succeeded))
      end

      it "has nothing to resume once only: ran the last step" do
        broken = [:b]
        p = pipeline({ a: [], off: [], b: [:a] }, name: name, broken: broken, off: { when: -> { false } })
        p.run
        broken.clear
        p.run(only: :b)
        expect(outcomes(p.run(resume: true))).to eq(a: :succeeded, off: %i[skipped condition], b: :succeeded)
      end

      it "does not miss outputs of skipped and optional steps" do
        broken = %i[shaky last]
        p = pipeline({ off: [], shaky: [], b: %i[off shaky], last: [:b] }, name: name, broken: broken,
                                                                           off: { when: -> { false } }, shaky: { optional: true }, b: { run_if: :always })
        p.run(on_error: :continue)
        3.times do
          plan = p.run(only: :b, dry_run: true)
          expect(plan.steps.map { |step| [step.action, step.reason] }).to match([[:skip, "not selected"], [:skip, "not selected"], [:run, "asked for"], [:skip, "not selected"]])
          expect(p.run(only: :b)[:b].output).to eq("b--")
        end
        broken.clear
        expect(p.run(resume: true)[:last].output).to eq("last-b--shaky")
      end

      it "reruns changed steps on other branches, and explains an input restored despite a change" do
        x = 1
        p = Flowline.define(name: name, keep_checkpoint: true) do |d|
          d.step(:a) { x }
          d.step(:b, depends_on: :a) { |a| a * 10 }
          d.step(:c, depends_on: :b) { |b| b + 1 }
          d.step(:side) { x * 100 }
          d.step(:after, depends_on: :side) { |side| side + 1 }
        end
        p.run
        x = 2
        plan = p.run(from: :c, dry_run: true)
        expect([plan[:a].reason, plan[:b].reason]).to match([/recorded in run \S+; restored although its code changed since\z/, /recorded in run \S+\z/])
        expect([plan[:side].reason, plan[:after].reason]).to match([/code.* changed\z/, "side runs again"])
        2.times do |time|
          result = p.run(from: :c)
          expect(outcomes(result)).to eq(a: :restored, b: :restored, c: :succeeded, side: time.zero? ? :succeeded : :restored, after: time.zero? ? :succeeded : :restored)
          expect([result.outputs, result.warnings]).to eq([{ a: 1, b: 10, c: 11, side: 200, after: 201 }, ["step a is restored although its code changed since"]])
        end
        expect(p.run(only: :b).warnings).to eq(["step a is restored although its code changed since"])
        expect(p.run(only: "+b")[:b].output).to eq(20)
      end

      it "keeps the checkpoint after an only: that leaves steps out" do
        broken = [:c]
        p = pipeline({ a: [], b: [:a], c: [:b] }, name: name, broken: broken)
        p.run
        broken.clear
        2.times { expect(outcomes(p.run(only: :c))).to eq(a: %i[skipped not_selected], b: :restored, c: :succeeded) }
        expect(outcomes(p.run(only: :b))).to eq(a: :restored, b: :succeeded, c: %i[skipped not_selected])
      end
    end
  end

  it "adopts the params of a run that only: resumed, unless nothing of it is left" do
    down = true
    p = Flowline.define(name: "params") do |d|
      d.param :day, type: :integer, default: 0
      d.step(:a) { |day:| day }
      d.step(:b, depends_on: :a) { |a| down ? raise("down") : a }
      d.step(:c) { 1 }
    end
    p.run(day: 5)
    p.run(day: 5, only: :c)
    down = false
    expect(p.run(resume: true).outputs).to eq(a: 5, b: 5, c: 1)
    expect(p.run(resume: true)[:a].output).to eq(0)
  end

  it "clears the checkpoint after a from: that completes the run" do
    broken = [:b]
    p = pipeline({ a: [], b: [:a] }, broken: broken)
    p.run
    broken.clear
    p.run!(from: :b)
    expect(Flowline::Checkpoint.list).to be_empty
  end

  it "names all outputs that from: or only: misses" do
    p = pipeline({ a: [], b: [], c: %i[a b] })
    [{ from: :c }, { only: :c }, { only: :c, dry_run: true }, { from: [:c], resume: true }].each do |options|
      expect { p.run(**options) }.to raise_error(Flowline::CheckpointError, /no recorded output of a, b of select; .*keep_checkpoint: true/) do |error|
        expect(error.step_names).to eq(%i[a b])
      end
    end
    expect(ran).to be_empty
    expect(Flowline::Store.existing(ENV.fetch("FLOWLINE_ROOT"))).to be_nil
  end

  it "treats a branch skipped by its condition as skipped, not as missing" do
    broken = [:last]
    p = pipeline({ a: [], off: [], last: %i[a off] }, broken: broken, off: { when: -> { false } }, last: { run_if: :any })
    p.run
    broken.clear
    expect(outcomes(p.run(from: :last))).to eq(a: :restored, off: %i[skipped not_selected], last: :succeeded)
  end

  it "takes inputs of inputs from the cache" do
    p = pipeline({ a: [], b: [:a], c: [:b] }, a: { cache: true }, b: { cache: true })
    p.run
    ran
    expect(outcomes(p.run(only: :c))).to eq(a: :cached, b: :cached, c: :succeeded)
    expect(outcomes(p.run(from: :c))).to eq(a: :cached, b: :cached, c: :succeeded)
    expect(p.run(only: :c, dry_run: true).steps.map(&:action)).to eq(%i[reuse reuse run])
    expect(ran).to eq(%i[c c])
  end

  it "takes an input that only a changed step needs from the cache" do
    x = 1
    p = Flowline.define(name: "side") do |d|
      d.step(:a, cache: true) { 1 }
      d.step(:b, depends_on: :a) { |a| a }
      d.step(:c, depends_on: :b) { |b| b }
      d.step(:side, depends_on: :a) { |a| a + x }
    end
    2.times { p.run(keep_checkpoint: true) }
    x = 2
    expect(p.run(from: :c, dry_run: true).steps.map(&:action)).to eq(%i[reuse restore run run])
    expect(outcomes(p.run(from: :c))).to eq(a: :cached, b: :restored, c: :succeeded, side: :succeeded)
  end

  it "takes an input whose key needs no missing output from the cache" do
    p = Flowline.define(name: "keys") do |d|
      d.param :day, default: 1
      d.step(:a) { Object.new }
      d.step(:by_day, depends_on: :a, cache: { key: ->(day:) { day } }) { |_| 1 }
      d.step(:by_step, depends_on: %i[a by_day], cache: { key: ->(by_day:) { by_day } }) { |_, n| n + 1 }
      d.step(:unread, depends_on: :a, cache: true) { |day:| day }
      d.step(:last, depends_on: %i[by_step unread]) { |*given| given }
    end
    p.run
    p.run(cache: false) # So that nothing is there but the cache.
    [{ from: :last }, { only: :last }].each do |options|
      expect(p.run(dry_run: true, **options)[:a].action).to eq(:skip)
      result = p.run(**options)
      expect(outcomes(result)).to eq(a: %i[skipped not_selected], by_day: :restored, by_step: :restored, unread: :restored, last: :succeeded)
      expect(result[:last].output).to eq([2, 1])
    end
    expect { p.run(from: :last, day: 2) }.to raise_error(Flowline::CheckpointError, /output of by_step, unread/)
  end

  it "fails a step whose key: raises, and locks nothing" do
    p = Flowline.define(name: "key") do |d|
      d.step(:a, cache: { key: -> { raise "no key" } }) { 1 }
      d.step(:b, depends_on: :a) { |a| a }
    end
    p.run
    expect(p.run(resume: true).failed_step).to eq(:a)
    expect { p.run(from: :b) }.to raise_error(Flowline::CheckpointError)
    expect(p.run(resume: true).failed_step).to eq(:a)
  end

  it "selects steps whose names contain characters of selectors", executor: :sequential do
    odd = [:"+", :"a+", :"+a", :"tag:x", :"a b", :"é,🙂"]
    p = pipeline(odd.to_h { |name| [name, []] }.merge(a: [], x: []), x: { tags: :x })
    odd.each { |name| expect([p.run!(only: name.to_s, keep_checkpoint: true), ran].last).to eq([name]) }
    p.run!(only: :a)
    expect(ran).to eq([:a])
    p.run!(only: ["tag:x", "a+"])
    expect(ran).to eq([:"tag:x", :"a+"].sort_by { |name| odd.index(name) })
  end

  it "selects all steps of a nested pipeline by its name" do
    log = self.log
    inner = Flowline.define do |p|
      p.step(:x) { |rows| [log << :x, rows].last }
      p.step(:y, depends_on: :x) { |rows| [log << :y, rows.sum].last }
    end
    p = Flowline.define(name: "outer") do |d|
      d.step(:rows) { [log << :rows, [1, 2]].last }
      d.step(:clean, inner, depends_on: :rows)
      d.step(:after, depends_on: :clean) { |sum| [log << :after, sum].last }
    end
    keep = { keep_checkpoint: true }
    p.run!(**keep)
    { { only: "clean" } => %i[x y], { only: "clean.y" } => %i[y], { only: "+clean" } => %i[rows x y], { only: "clean+" } => %i[x y after],
      { from: :clean } => %i[x y after], { from: "clean.y" } => %i[y after], { only: %i[after clean] } => %i[x y after] }.each do |options, expected|
      ran
      p.run!(**options, **keep)
      expect([options, ran]).to eq([options, expected])
    end
  end

  it "takes names in any encoding" do
    p = pipeline({ fetch: [], "naïf": [:fetch] })
    p.run!(keep_checkpoint: true)
    ran
    %w[UTF-16LE ISO-8859-1].each do |encoding|
      p.run!(only: "naïf+".encode(encoding), keep_checkpoint: true)
      p.run!(from: "naïf".encode(encoding), keep_checkpoint: true)
      expect(ran).to eq(%i[naïf naïf])
    end
    expect { p.run(only: "\xFF") }.to raise_error(Flowline::ParamError, /only: there is no step .*; there are fetch, naïf/)
  end

  it "lists unknown names in one error, with suggestions" do
    p = pipeline({ fetch: [], load: [:fetch] }, load: { tags: %i[nightly slow] })
    expect { p.run(only: %w[ftech tag:slwo], from: :laod) }.to raise_error(Flowline::ParamError) do |error|
      expect(error.problems).to contain_exactly(/only: there is no step ftech; did you mean fetch\?/, /from: there is no step laod; did you mean load\?/,
                                                /only: no step has the tag slwo; did you mean slow\?/)
    end
    expect { p.run(only: "zzz") }.to raise_error(Flowline::ParamError, /there is no step zzz; there are fetch, load/)
    ["", "+", [], "tag:"].each { |selector| expect { p.run(only: selector) }.to raise_error(Flowline::ParamError, /only:/) }
    [[], {}].each { |none| expect { p.run(from: none) }.to raise_error(Flowline::ParamError, "run: from: names no step") }
    expect(ran).to be_empty
  end
end
