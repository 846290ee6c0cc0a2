# frozen_string_literal: true

RSpec.describe "A resumed run reruns" do
  let(:state) { { broken: true } }

  # Its last step is down until a run is resumed.
  def define(name = "outdated", **settings, &steps)
    state = self.state
    Flowline.define(name: name, **settings) do |p|
      steps.call(p)
      p.step(:last, depends_on: p.steps.last.name) { |given| state[:broken] ? raise("down") : given }
    end
  end

  def resume(pipeline, **options)
    state[:broken] = false
    plan = pipeline.run(resume: true, dry_run: true, **options)
    result = pipeline.run(resume: true, **options)
    planned = plan.steps.reject { |step| step.action == :unknown }.to_h { |step| [step.name, step.action == :restore] }
    expect(planned).to eq(planned.to_h { |name, _| [name, result[name].status == :restored] })
    result
  end

  describe "when dependencies changed" do
    def rewired(inputs, name = "outdated")
      define(name, on_error: :continue) do |p|
        { x: 3, y: 1, z: 7 }.each { |step, value| p.step(step) { value } }
        p.step(:difference, depends_on: inputs) { |a, b| a - b }
      end
    end

    it "a step that gets other dependencies, or the same in another order" do
      [%i[y x], %i[x z]].each do |inputs|
        state[:broken] = true
        rewired(%i[x y]).run
        result = resume(rewired(inputs))
        expect(outcomes(result)).to eq(x: :restored, y: :restored, z: :restored, difference: :succeeded, last: :succeeded)
        expect(result[:last].output).to eq(inputs == %i[y x] ? -2 : -4)
      end
      state[:broken] = true
      rewired(%i[x y]).run
      expect(resume(rewired(%i[x y]))[:difference].status).to eq(:restored)
    end

    it "steps downstream of an inserted or replaced step" do
      define do |p|
        p.step(:a) { 1 }
        p.step(:b, depends_on: :a) { |a| a }
        p.step(:c, depends_on: :b) { |b| b * 10 }
      end.run
      pipeline = define do |p|
        p.step(:a) { 1 }
        p.step(:a2, depends_on: :a) { |a| a + 1 }
        p.step(:b, depends_on: :a2) { |a| a }
        p.step(:c, depends_on: :b) { |b| b * 10 }
      end
      plan = pipeline.run(resume: true, dry_run: true)
      expect([plan[:b].reason, plan[:c].reason]).to match([/dependencies.* changed/, "b runs again"])
      expect(resume(pipeline).outputs).to eq(a: 1, a2: 2, b: 2, c: 20, last: 20)
    end

    it "a step that takes the output of a nested pipeline with other leaves" do
      make = lambda do |leaves|
        inner = Flowline.define { |p| leaves.each { |leaf| p.step(leaf) { leaf } } }
        define do |p|
          p.step(:inner, inner)
          p.step(:show, depends_on: :inner) { |given| given.inspect }
        end
      end
      make.call(%i[x y]).run
      expect(resume(make.call(%i[x]))[:last].output).to eq(":x")
    end

    it "a step with another run_if:" do
      make = lambda do |**rule|
        define do |p|
          p.step(:off, when: -> { false }) { 1 }
          p.step(:b, depends_on: :off, **rule) { |off| [off] }
          p.step(:c, depends_on: :b, run_if: :always) { |b| [b] }
        end
      end
      make.call.run
      expect(resume(make.call(run_if: :always))[:last].output).to eq([[nil]])
    end
  end

  describe "when inputs came from the cache" do
    let(:cache) { Flowline::Cache::Memory.new }

    def cached(value, name = "outdated", **options)
      define(name, cache: cache) do |p|
        p.step(:a, cache: options.empty? ? true : options) { value }
        p.step(:b, depends_on: :a) { |a| a * 10 }
      end
    end

    it "steps downstream once the code of the cached step changed" do
      2.times { cached(1).run }
      expect(resume(cached(2)).outputs).to eq(a: 2, b: 20, last: 20)
    end

    it "steps downstream once the changed code has another value in the cache" do
      [1, 2, 2].each { |value| cached(value).run }
      result = resume(cached(1))
      expect([outcomes(result), result[:last].output]).to eq([{ a: :cached, b: :succeeded, last: :succeeded }, 10])
    end

    it "steps downstream once the entry expired", executor: :in_process do
      calls = 0
      pipeline = define("expired", cache: cache) do |p|
        p.step(:a, cache: { ttl: 60 }) { calls += 1 }
        p.step(:b, depends_on: :a) { |a| a * 10 }
      end
      2.times { pipeline.run }
      cache.clear
      expect(resume(pipeline).outputs).to eq(a: 2, b: 20, last: 20)
    end

    it "nothing while the entry exists, also after several runs" do
      2.times { cached(1).run }
      cached(1).run(resume: true)
      expect(outcomes(resume(cached(1)))).to eq(a: :cached, b: :restored, last: :succeeded)
    end

    it "steps that the plan shows as unknown, where key: decides" do
      make = -> { cached(1, "outdated", key: -> { 7 }) }
      2.times { make.call.run }
      plan = make.call.run(resume: true, dry_run: true)
      expect([plan[:a].reason, plan[:b].action, plan[:b].reason]).to eq(["depends on its cache key", :unknown, "whether it is restored depends on a"])
      state[:broken] = false
      expect(outcomes(make.call.run(resume: true))).to eq(a: :cached, b: :restored, last: :succeeded)
    end

    it "nothing of a pipeline without a name, which has the value" do
      pipeline = cached(1, nil)
      2.times { pipeline.run }
      cache.clear
      expect(outcomes(resume(pipeline))).to eq(a: :restored, b: :restored, last: :succeeded)
    end
  end

  describe "when a condition changed" do
    [nil, "outdated"].each do |name|
      it "a step whose input was nil#{" in the store" if name}" do
        wanted = false
        pipeline = define(name) do |p|
          p.step(:a, when: -> { wanted }) { 1 }
          p.step(:b, depends_on: :a) { |a| a }
          p.step(:c, depends_on: :b, run_if: :always) { |b| [b] }
        end
        pipeline.run
        wanted = true
        expect(resume(pipeline).outputs).to eq(a: 1, b: 1, c: [1], last: [1])
      end

      it "nothing if the condition did not change#{" in the store" if name}" do
        asked = 0
        pipeline = define(name) do |p|
          p.step(:a, unless: -> { asked += 1 }) { 1 }
          p.step(:b, depends_on: :a) { |a| a }
          p.step(:c, depends_on: :b, run_if: :always) { |b| [b] }
        end
        pipeline.run
        result = resume(pipeline)
        expect(outcomes(result)).to eq(a: %i[skipped condition], b: %i[skipped upstream_skipped], c: :restored, last: :succeeded)
        expect(asked).to eq(2)
      end
    end
  end

  it "steps downstream of an output that is not recorded" do
    [nil, "outdated"].each do |name|
      state[:broken] = true
      pipeline = define(name) do |p|
        p.step(:a, checkpoint: false) { 1 }
        p.step(:b, depends_on: :a) { |a| [a] }
      end
      pipeline.run
      expect(outcomes(resume(pipeline))).to eq(a: :succeeded, b: :succeeded, last: :succeeded)
    end
  end

  it "steps that run always when from: and only: name what they depend on" do
    broken = true
    pipeline = Flowline.define(name: "always") do |d|
      d.step(:a) { 1 }
      d.step(:b, depends_on: :a) { |a| broken ? raise("down") : a }
      d.step(:c, depends_on: :b) { |b| b }
      d.step(:d, depends_on: :c) { |c| c }
      d.step(:z, depends_on: :d, run_if: :always) { 9 }
    end
    pipeline.run
    broken = false
    plan = pipeline.run(resume: true, from: :b, only: :c, dry_run: true)
    expect(%i[d z].map { |name| plan[name].action }).to eq(%i[run run])
  end
end
