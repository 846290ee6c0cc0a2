# frozen_string_literal: true

RSpec.describe "Outputs that a run is given" do
  let(:calls) { [] }

  def define(name = nil, **options)
    log = calls
    Flowline.define(**(name ? { name: name } : {})) do
      step(:login) { log << :login }
      step(:fetch, depends_on: :login, **options) { |_| [1, 2, 3].tap { log << :fetch } }
      step(:rates) { 2.tap { log << :rates } }
      step(:price, depends_on: %i[fetch rates]) { |rows, rate| rows.map { |row| row * rate }.tap { log << :price } }
      step(:load, depends_on: :price) do |rows|
        log << :load
        rows.include?(666) ? raise("down") : rows.sum
      end
    end
  end

  it "replace the calls of their steps and of steps that only they need" do
    result = define.run(given: { fetch: [10] })
    expect(result[:load].output).to eq(20)
    expect(calls).to eq(%i[rates price load])
    expect(outcomes(result)).to include(fetch: %i[restored given], login: %i[skipped not_selected])
    expect(result[:fetch].output).to eq([10])
    expect(result).to be_success
  end

  it "leave a step to run that other steps need, too" do
    pipeline = Flowline.define do
      step(:config) { { rate: 3 } }
      step(:fetch, depends_on: :config) { |_| raise "called" }
      step(:price, depends_on: %i[fetch config]) { |rows, config| rows.sum * config[:rate] }
    end
    expect(pipeline.run(given: { "fetch" => [1, 1] })[:price].output).to eq(6)
  end

  it "may be nil, and may be those of steps with conditions or items" do
    pipeline = Flowline.define do
      step(:pages, when: ->(_) { raise "asked" }) { raise "called" }
      step(:page, each: :pages) { |_| raise "called" }
      step(:all, depends_on: :page) { |rows| rows.inspect }
    end
    expect(pipeline.run(given: { page: nil })[:all].output).to eq("nil")
  end

  it "are seen in a plan, by hooks and in the parallel executor" do
    plan = define.run(dry_run: true, given: { fetch: [1] })
    expect(plan.steps.to_h { |step| [step.name, [step.action, step.reason]] }).to include(
      fetch: [:restore, "given"], login: [:skip, "only given steps depend on it"], price: [:run, nil]
    )
    expect(calls).to be_empty

    skips = {}
    pipeline = Flowline.define do
      step(:a) { raise "called" }
      step(:b, depends_on: :a) { |a| a + 1 }
      on_step_skip { |step, reason| skips[step.name] = reason }
    end
    expect(pipeline.run(given: { a: 1 }, executor: :parallel)[:b].output).to eq(2)
    expect(skips).to eq(a: :given)
  end

  it "are the inputs of the steps that only: selects" do
    result = define("kit").run(only: :price, given: { fetch: [5], rates: 3 })
    expect(result[:price].output).to eq([15])
    expect(calls).to eq([:price])
    expect { define("kit").run(only: :price, given: { fetch: [5] }) }.to raise_error(Flowline::CheckpointError, /rates/)
  end

  it "belong to a nested pipeline as a whole" do
    inner = Flowline.define do
      step(:parse) { raise "called" }
      step(:check, depends_on: :parse) { raise "called" }
    end
    double = Flowline.define do
      step(:a) { 1 }
      step(:b) { 2 }
    end
    pipeline = Flowline.define do
      step :clean, inner
      step :both, double
      step(:load, depends_on: %i[clean both]) { |clean, both| [clean, both] }
    end
    expect(pipeline.run(given: { clean: 7 })[:load].output).to eq([7, { a: 1, b: 2 }])
    expect(pipeline.run(given: { clean: 7, both: { a: 8, "b" => 9 } })[:load].output).to eq([7, { a: 8, b: 9 }])
    expect { pipeline.run(given: { both: 1 }) }.to raise_error(Flowline::ParamError, /given: both has several outputs, so give a Hash with a, b/)
  end

  it "are refused for a step that does not exist, with the nearest name" do
    expect { define.run(given: { fech: 1, rates: 2 }) }.to raise_error(Flowline::ParamError, "run: given: there is no step fech; did you mean fetch?")
    expect { define.run(given: [1]) }.to raise_error(Flowline::ParamError, /given: must be a Hash/)
  end

  it "are never cached" do
    cache = Flowline::Cache::Memory.new
    pipeline = define("kit", cache: true)
    pipeline.run(given: { fetch: [100] }, cache: cache)
    expect(pipeline.run(cache: cache)[:load].output).to eq(12)
    expect(pipeline.run(given: { fetch: [100] }, cache: cache)[:load].output).to eq(200)
  end

  [nil, "kit"].each do |name|
    context name ? "with a store" : "in memory" do
      it "are not recorded, and neither restored nor used for restoring by a run that resumes" do
        pipeline = define(name)
        expect(pipeline.run(given: { fetch: [333] })).to be_failed
        calls.clear
        result = pipeline.run(resume: true)
        expect(outcomes(result)).to include(rates: :restored, login: :succeeded, fetch: :succeeded, price: :succeeded, load: :succeeded)
        expect(result[:load].output).to eq(12)
        expect(result.resumed.steps).to eq(1)
      end

      it "take precedence over recorded ones" do
        down = true
        pipeline = Flowline.define(**(name ? { name: name } : {})) do
          step(:fetch) { [1] }
          step(:double, depends_on: :fetch) { |rows| rows.map { |row| row * 2 } }
          step(:load, depends_on: :double) { |rows| down ? raise("down") : rows.sum }
        end
        pipeline.run
        down = false
        result = pipeline.run(resume: true, given: { fetch: [50] })
        expect(result[:load].output).to eq(100)
        expect(outcomes(result)).to eq(fetch: %i[restored given], double: :succeeded, load: :succeeded)
      end
    end
  end

  it "are seen in the history" do
    define("kit").run(given: { fetch: [1] })
    step = Flowline::History.runs.first.steps.find { |other| other.name == :fetch }
    expect([step.status, step.reason]).to eq(%i[restored given])
  end
end
