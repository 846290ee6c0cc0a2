# frozen_string_literal: true

require "json"

RSpec.describe Flowline::Result do
  let(:mixed) do
    Flowline.define(name: "mixed") do
      step(:ok) { { secret: "output" } }
      step(:skip, when: ->(_) { false }) { 1 }
      step(:bad, depends_on: :ok) { |_| raise ArgumentError, "no good" }
      step(:rest, depends_on: :bad) { |_| 1 }
    end.run(on_error: :continue)
  end

  it "has the status of the run" do
    good = run { step(:a) { 1 } }
    expect([good.status, good.success?, good.failed?, good.error, good.failed_step, good.failed_steps, good.warnings])
      .to eq([:succeeded, true, false, nil, nil, [], []])
    expect([mixed.status, mixed.success?, mixed.failed?, mixed.failed_step, mixed.failed_steps])
      .to eq([:failed, false, true, :bad, [:bad]])
    expect(mixed.error).to equal(mixed[:bad].error)
  end

  it "has a unique id and a duration" do
    pipeline = Flowline.define { step(:a) { 1 } }
    results = Array.new(20) { pipeline.run }
    expect(results.map(&:run_id).uniq.size).to eq(20)
    expect(results.map(&:duration)).to all(be_a(Float).and(be > 0))
    expect(results.first.duration).to eq(results.first.duration)
  end

  it "finds steps by name, Symbol or String" do
    expect(mixed["ok"]).to have_attributes(name: :ok, status: :succeeded)
    expect { mixed[:skp] }.to raise_error(Flowline::UnknownStepError, "there is no step skp; did you mean skip?")
    expect(mixed.steps.map(&:name)).to eq(%i[ok skip bad rest])
  end

  it "offers all readers of a step" do
    expect(mixed[:ok]).to have_attributes(name: :ok, status: :succeeded, output: { secret: "output" }, error: nil, reason: nil, attempts: 1,
                                          duration: be_a(Float), started_at: be_a(Time), success?: true, failed?: false, skipped?: false)
    expect(mixed[:bad]).to have_attributes(status: :failed, output: nil, error: Flowline::StepError, reason: nil, attempts: 1,
                                           duration: be_a(Float), started_at: be_a(Time), success?: false, failed?: true)
    expect(mixed[:rest]).to have_attributes(status: :cancelled, output: nil, error: nil, reason: :upstream_failed, attempts: 0,
                                            duration: nil, started_at: nil, success?: false, failed?: false, skipped?: false)
  end

  it "returns Flowline::Skipped for skipped steps" do
    expect(mixed[:skip]).to be_a(Flowline::Skipped)
    expect(mixed[:skip]).to have_attributes(status: :skipped, reason: :condition, skipped?: true, output: nil, duration: nil)
    expect(mixed.steps.grep(Flowline::Skipped).map(&:name)).to eq([:skip])
  end

  it "has partial outputs, nil and false included" do
    result = run(on_error: :continue) do
      step(:nil) { nil }
      step(:false) { false }
      step(:bad) { raise "x" }
    end
    expect(result.outputs).to eq(nil: nil, false: false)
  end

  describe "#to_h and #to_json" do
    it "contain everything but outputs" do
      hash = mixed.to_h
      expect(hash.keys).to eq(%i[pipeline run_id status started_at duration error warnings steps resumed])
      expect(hash).to include(pipeline: "mixed", status: :failed, run_id: mixed.run_id, warnings: [], started_at: be_a(Time))
      expect(hash[:error]).to include(class: "Flowline::StepError", original: "ArgumentError", message: a_string_including("no good"))
      expect(hash[:steps].map(&:keys).uniq).to eq([%i[name status reason attempts started_at duration report error items]])
      expect(hash.to_s).not_to include("secret")
    end

    it "generate valid JSON with ISO 8601 times, alone or nested" do
      json = mixed.to_json
      parsed = JSON.parse(json)
      expect(parsed).to include("status" => "failed", "pipeline" => "mixed")
      expect(Time.iso8601(parsed["started_at"])).to be_within(60).of(Time.now)
      expect(Time.iso8601(parsed["steps"][0]["started_at"])).to be_within(60).of(Time.now)
      expect(JSON.parse(JSON.generate([mixed])).first).to eq(parsed)
      expect(json).not_to include("secret")
    end
  end

  describe "of nested pipelines" do
    inner = Flowline.define do
      step(:x) { |n| n.nil? ? raise("nothing") : n + 1 }
      step(:y) { |n| n + 2 }
    end

    it "is the result of their leaves" do
      result = run do
        step(:n) { 1 }
        step(:in, inner, depends_on: :n)
      end
      expect(result[:in]).to have_attributes(name: :in, status: :succeeded, output: { x: 2, y: 3 }, error: nil)
      expect(result[:"in.x"].output).to eq(2)
      expect(result.outputs.keys).to eq(%i[n in.x in.y])
    end

    it "has the worst status of their steps" do
      failed = run(on_error: :continue) do
        step(:n) { nil }
        step(:in, inner, depends_on: :n)
      end
      expect(failed[:in]).to have_attributes(status: :failed, output: nil, error: failed[:"in.x"].error)
      skipped = run do
        step(:n) { 1 }
        step(:in, inner, depends_on: :n, when: ->(_) { false })
      end
      expect(skipped[:in]).to be_a(Flowline::Skipped).and have_attributes(reason: :condition, output: nil)
    end
  end

  describe "errors" do
    it "carry the step, its source location and the cause" do
      line = __LINE__ + 3
      error = run do
        step(:rows) { [1, 2, 3] }
        step(:bad, depends_on: :rows) { |_| raise KeyError, "no key" }
      end.error
      expect(error).to have_attributes(step_name: :bad, original: KeyError, attempts: 1, inputs: { rows: "Array (3)" },
                                       location: "#{__FILE__}:#{line}", backtrace: start_with(a_string_starting_with("#{__FILE__}:#{line}:")))
      expect(error.backtrace - error.original.backtrace).to be_empty
      expect(error.cause).to equal(error.original)
      expect(error.message).to eq("step bad failed: KeyError: no key (#{__FILE__}:#{line})")
    end

    it "name the user's line even when a library raised" do
      line = __LINE__ + 1
      error = run { step(:bad) { JSON.parse("{") } }.error
      expect(error.location).to eq("#{__FILE__}:#{line}")
    end

    it "preserve the cause of the original" do
      error = run do
        step(:bad) do
          raise "first"
        rescue StandardError
          raise "second"
        end
      end.error
      expect([error.cause.message, error.cause.cause.message]).to eq(%w[second first])
    end
  end

  describe "run!" do
    it "raises the error, or returns the result" do
      bad = Flowline.define { step(:bad) { raise "no" } }
      expect { bad.run! }.to raise_error(Flowline::StepError) { |error| expect(error.cause.message).to eq("no") }
      expect(Flowline.define { step(:ok) { 1 } }.run!).to be_success
      hook = Flowline.define { before_run { raise "hook" } }
      expect { hook.run! }.to raise_error(Flowline::HookError, /hook/)
    end
  end

  describe "an error before anything runs" do
    let(:pipeline) do
      Flowline.define do
        param :n, type: :integer, required: true
        before_run { raise "must not be called" }
        step(:a) { raise "must not be called" }
      end
    end

    it "lists all mistakes in params and options" do
      expect { pipeline.run(m: 1) }.to raise_error(Flowline::ParamError) { |e| expect(e.problems.size).to eq(2) }
      expect { pipeline.run(n: "x", reporter: :nobody, executor: :nobody, context: { n: 1 }) }
        .to raise_error(Flowline::ParamError) { |e| expect(e.problems.size).to eq(4) }
      expect { pipeline.run(n: 1, on_error: :explode) }.to raise_error(Flowline::ParamError, /on_error/)
      expect { pipeline.run(n: 1, context: 3) }.to raise_error(Flowline::ParamError, /context/)
      expect { pipeline.run(n: 1, params: { "n" => "1", other: 2 }) }.to raise_error(Flowline::ParamError, /other/)
      expect { pipeline.run(nn: 1) }.to raise_error(Flowline::ParamError, /did you mean n\?/)
    end

    it "is raised for a pipeline that cannot run" do
      expect { run { step(:a, depends_on: :b) { 1 } } }.to raise_error(Flowline::MissingDependencyError)
      expect do
        run do
          step(:a, depends_on: :b) { 1 }
          step(:b, depends_on: :a) { 1 }
        end
      end.to raise_error(Flowline::CycleError, /a → b → a|b → a → b/)
    end
  end

  describe "the context" do
    it "is a read-only view of the run", executor: :in_process do
      seen = nil
      result = run(define: { name: "seen" }, p: 1, context: { "c" => 2, 3 => 4 }) do
        param :p
        step(:a) { |ctx| seen = ctx }
      end
      expect(seen).to have_attributes(run_id: result.run_id, pipeline_name: "seen", params: { p: 1 }, started_at: be_a(Time), elapsed: be > 0)
      expect([seen[:p], seen["p"], seen[:c], seen[3], seen[:unknown], seen.fetch(:c), seen.fetch(:z, 9), seen.fetch(:z) { 8 }])
        .to eq([1, 1, 2, 4, nil, 2, 9, 8])
      expect([seen.key?(:p), seen.key?("c"), seen.key?(3), seen.key?(nil)]).to eq([true, true, true, false])
      expect { seen.fetch(:pp) }.to raise_error(KeyError, /did you mean p\?/)
      expect { seen.params[:p] = 2 }.to raise_error(FrozenError)
      seen.to_h[:p] = 3
      expect(seen[:p]).to eq(1)
    end
  end
end
