# frozen_string_literal: true

RSpec.describe "A resumed run", executor: :sequential do
  let(:state) { { down: true, number: 1, calls: [] } }

  def ran
    state[:calls].dup.tap { state[:calls].clear }
  end

  # Takes note of the call, and returns what it was called with under a number of its own.
  def note(step, *given)
    state[:calls] << step
    [step, state[:number] += 1, *given]
  end

  # fetch → transform → load, which fails as long as the state is down.
  def etl(name, **fetch)
    Flowline.define(name: name, on_error: :continue) do |p|
      p.step(:fetch, **fetch) { note(:fetch) }
      p.step(:transform, depends_on: :fetch) { |rows| note(:transform, rows) }
      p.step(:load, depends_on: %i[fetch transform]) { |rows, out| state[:down] ? raise("down") : [rows, out.last] }
    end
  end

  def up
    state[:down] = false
    ran
  end

  [nil, "provenance"].each do |name|
    context name ? "in the store" : "in memory" do
      {
        "was cancelled" => [{}, { on_error: :continue }], "was skipped, because an optional step failed" => [{ optional: true }, {}]
      }.each do |what, (source, run)|
        %i[any always].each do |rule|
          it "runs a step with run_if: #{rule.inspect} again whose cached dependency #{what} when it ran, and has its output now" do
            p = Flowline.define(name: name, cache: Flowline::Cache::Memory.new) do |d|
              d.step(:source, **source) { state[:down] == :source ? raise("down") : 1 }
              d.step(:config) { 2 }
              d.step(:cached, depends_on: :source, cache: { key: -> { 1 } }) { "k" }
              d.step(:merge, depends_on: %i[config cached], run_if: rule) { |config, cached| [config, cached] }
              d.step(:load, depends_on: :merge) { |merged| state[:down] ? raise("down") : merged }
            end
            state[:down] = nil
            p.run
            state[:down] = :source
            expect(p.run(resume: true, **run)[:merge].output).to eq([2, nil])
            state[:down] = nil
            expect(p.run(resume: true).outputs).to include(cached: "k", merge: [2, "k"], load: [2, "k"])
          end
        end
      end

      it "runs a step again whose dependency ran again by only:" do
        p = etl(name)
        p.run
        p.run(only: :fetch)
        up
        plan = p.run(resume: true, dry_run: true)
        expect(plan.steps.map { |step| [step.action, step.reason] }).to match([[:restore, /recorded/], [:run, "it was made of another output of fetch"], [:run, nil]])
        result = p.run(resume: true)
        expect([ran, result[:load].output.uniq.size]).to eq([[:transform], 1])
      end

      it "runs a step again whose dependency runs again because it is not recorded" do
        p = etl(name, checkpoint: false)
        p.run
        up
        result = p.run(resume: true)
        expect([ran, result[:load].output.uniq.size]).to eq([%i[fetch transform], 1])
      end

      it "restores a branch while an unrecorded step on another one runs again" do
        p = Flowline.define(name: name, on_error: :continue) do |d|
          d.step(:a) { note(:a) }
          d.step(:side, depends_on: :a) { |a| note(:side, a) }
          d.step(:b, checkpoint: false) { note(:b) }
          d.step(:both, depends_on: %i[a b]) { |*given| note(:both, *given) }
          d.step(:last, depends_on: %i[side both]) { |*given| state[:down] ? raise("down") : given }
        end
        p.run
        up
        expect(outcomes(p.run(resume: true))).to eq(a: :restored, side: :restored, b: :succeeded, both: :succeeded, last: :succeeded)
      end

      it "restores a step that ran without outputs as long as they are missing again: skipped by a condition, or failed as optional" do
        asked = []
        p = Flowline.define(name: name, on_error: :continue) do |d|
          d.step(:off, when: -> { asked.push(1).size > 2 }) { 1 }
          d.step(:shaky, optional: true) { state[:down] == :never || raise("shaky") }
          d.step(:made, depends_on: %i[off shaky], run_if: :always) { |*given| note(:made, *given) }
          d.step(:last, depends_on: :made) { |made| state[:down] ? raise("down") : made }
        end
        p.run
        plan = p.run(resume: true, dry_run: true)
        expect(plan[:made].to_h).to include(action: :unknown, reason: "whether it is restored depends on off, shaky")
        expect(outcomes(p.run(resume: true))[:made]).to eq(:restored)
        expect(ran).to eq([:made])
        state[:down] = false
        result = p.run(resume: true)
        expect([outcomes(result), ran]).to eq([{ off: :succeeded, shaky: :failed, made: :succeeded, last: :succeeded }, [:made]])
      end

      it "restores no older output after a run that replaced it and failed" do
        p = Flowline.define(name: name, on_error: :continue) do |d|
          d.step(:a, when: -> { state[:wanted] }) { 1 }
          d.step(:b, depends_on: :a, run_if: :always) { |a| state[:down] == :b ? raise("down") : note(:b, a) }
          d.step(:c, depends_on: :b) { |b| state[:down] ? raise("down") : b }
        end
        p.run
        state.merge!(wanted: true, down: :b)
        expect(outcomes(p.run(resume: true))).to include(a: :succeeded, b: :failed)
        state.merge!(wanted: false, down: false)
        expect([p.run(resume: true)[:c].output.last, ran]).to eq([1, %i[b b]])
      end

      it "warns of an output that only: keeps although its dependency ran again" do
        p = etl(name)
        p.run
        p.run(only: :fetch)
        up
        result = p.run(only: :load)
        expect(result.warnings).to eq(["step transform is restored although it was made of another output of fetch"])
        expect([outcomes(result), ran]).to eq([{ fetch: :restored, transform: :restored, load: :succeeded }, []])
      end
    end
  end

  it "runs a step again whose dependency has an output that holds a secret or cannot be serialised" do
    [->(token) { [token, state[:number] += 1] }, ->(_) { [-> {}, state[:number] += 1] }].each do |output|
      state[:down] = true
      p = Flowline.define(name: "secret") do |d|
        d.param :token, secret: true
        d.step(:login) { |token:| output.call(token) }
        d.step(:user, depends_on: :login) { |login| note(:user, login.last).last }
        d.step(:load, depends_on: %i[login user]) { |login, user| state[:down] ? raise("down") : [login.last, user] }
      end
      p.run(token: "hush-hush")
      up
      result = p.run(token: "hush-hush", resume: true)
      expect([result[:load].output.uniq.size, ran]).to eq([1, [:user]])
    end
  end

  describe "with a cached step" do
    let(:cache) { Flowline::Cache::Memory.new }

    # The cached step returns what the state has as its value.
    def cached(**options)
      Flowline.define(name: "cached", cache: cache) do |p|
        p.step(:rate, cache: options.empty? || options) { state[:value] }
        p.step(:price, depends_on: :rate) { |rate| note(:price, rate).last * 10 }
        p.step(:last, depends_on: :price) { |price| state[:down] ? raise("down") : price }
      end
    end

    before { state[:value] = 1 }

    it "restores its dependents if a new call returns an equal output" do
      2.times { cached.run }
      cache.clear
      up
      plan = cached.run(resume: true, dry_run: true)
      expect(plan.steps.map(&:action)).to eq(%i[run unknown run])
      expect([outcomes(cached.run(resume: true)), ran]).to eq([{ rate: :succeeded, price: :restored, last: :succeeded }, []])
    end

    it "restores its dependents if all its items are found in the cache" do
      down = true
      p = Flowline.define(name: "mapped", cache: cache) do |d|
        d.step(:rows) { [1, 2] }
        d.step(:map, each: :rows, cache: true, checkpoint: false) { |row| row * 2 }
        d.step(:sum, depends_on: :map) { |rows| rows.sum }
        d.step(:last, depends_on: :sum) { |sum| down ? raise("down") : sum }
      end
      p.run
      down = false
      expect(outcomes(p.run(resume: true))).to eq(rows: :restored, map: :succeeded, sum: :restored, last: :succeeded)
    end

    it "runs its dependents again if a new call returns another output" do
      2.times { cached.run }
      cache.clear
      state[:value] = 2
      up
      result = cached.run(resume: true)
      expect([result[:last].output, ran]).to eq([20, [:price]])
    end

    it "runs its dependents again if another run has stored another output under the same key" do
      2.times { cached(key: -> { 7 }).run }
      cache.clear
      state[:value] = 2
      cached(key: -> { 7 }).run(skip_cache: true, on_error: :continue, context: { other: true })
      up
      result = cached(key: -> { 7 }).run(resume: true)
      expect([outcomes(result), result[:last].output, ran]).to eq([{ rate: :cached, price: :succeeded, last: :succeeded }, 20, [:price]])
    end

    it "uses the output that the plan found in the cache, even if the cache loses it before the step is ready" do
      2.times { cached.run }
      up
      p = Flowline.define(name: "cached", cache: cache) do |d|
        d.include(cached)
        d.before_run { cache.clear }
      end
      expect([outcomes(p.run(resume: true)), ran]).to eq([{ rate: :cached, price: :restored, last: :succeeded }, []])
    end
  end

  describe "with a step for each item" do
    # Maps what rows has, and fails at the third item as long as the state is down.
    def mapped(name, rows, **config)
      Flowline.define(name: name, on_error: :continue) do |p|
        p.step(:config, **config) { note(:config) }
        p.step(:rows) { rows.call }
        p.step(:map, each: :rows, depends_on: :config) { |row, config| state[:down] == :map && row == 2 ? raise("down") : note(row, config) }
        p.step(:load, depends_on: :map) { |out| state[:down] ? raise("down") : out }
      end
    end

    [nil, "items"].each do |name|
      context name ? "in the store" : "in memory" do
        before { state[:down] = :map }

        it "restores items although their source runs again" do
          p = mapped(name, -> { (0..3).lazy.map(&:itself) })
          p.run
          up
          result = p.run(resume: true)
          expect([ran, result[:map].output.map(&:first)]).to eq([[2, 3], [0, 1, 2, 3]])
        end

        it "restores items although their source runs again, if all of them had completed, too" do
          state[:down] = true
          p = mapped(name, -> { (0..3).lazy.map(&:itself) })
          p.run
          up
          p.run(resume: true)
          expect(ran).to eq([])
        end

        it "calls it for all items if another dependency has another output" do
          p = mapped(name, -> { (0..3).to_a }, checkpoint: false)
          p.run
          up
          expect([p.run(resume: true)[:map].output.map(&:last).uniq.size, ran]).to eq([1, [:config, 0, 1, 2, 3]])
        end

        it "decides about items when the step is ready, if the output of another dependency is unknown before" do
          p = Flowline.define(name: name, on_error: :continue) do |d|
            d.step(:rule, when: -> { state[:wanted] }) { note(:rule) }
            d.step(:rows) { (0..3).to_a }
            d.step(:map, each: :rows, depends_on: :rule, run_if: :always) { |row, rule| state[:down] == :map && row == 2 ? raise("down") : note(row, rule) }
          end
          p.run
          expect([p.run(resume: true, dry_run: true)[:map].reason, ran]).to eq(["2 items are recorded", [0, 1]])
          p.run(resume: true)
          expect(ran).to eq([])
          state[:wanted] = true
          p.run(resume: true)
          expect(ran).to eq([:rule, 0, 1])
          up
          expect([p.run(resume: true)[:map].output.map(&:last).uniq.size, ran]).to eq([1, [2, 3]])
        end
      end
    end
  end
end
