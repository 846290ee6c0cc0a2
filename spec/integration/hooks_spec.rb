# frozen_string_literal: true

RSpec.describe "Hooks" do
  def with_hooks(log, **options, &steps)
    Flowline.define(**options) do |p|
      log_hooks(p, log)
      steps.call(p)
    end
  end

  it "do not count towards the step's duration" do
    pipeline = Flowline.define do
      before_step { sleep 0.5 }
      step(:quick) { 1 }
    end
    expect(pipeline.run[:quick].duration).to be < 0.5
  end

  it "fail nothing but the step or the run that they come before when they call what is not there yet" do
    { NotImplementedError => -> { raise NotImplementedError, "later" }, LoadError => -> { require "flowline/no_such_library" } }.each do |type, mistake|
      result = run do
        after_step { mistake.call }
        step(:a) { 1 }
      end
      expect([result.status, result.warnings]).to match([:succeeded, [/hook after_step failed: #{type}: /]])
      result = run do
        before_step { mistake.call }
        step(:a) { 1 }
      end
      expect(result.error).to be_a(Flowline::StepError).and(have_attributes(original: be_a(Flowline::HookError).and(have_attributes(original: be_a(type)))))
    end
  end

  it "are all called, like reporters, when one is interrupted" do
    [:sequential, :parallel].each do |executor|
      told = []
      inside = Queue.new
      pipeline = Flowline.define do |p|
        p.on_success { (inside << 1) && sleep }
        p.on_success { told << :second }
        p.after_run { told << :after_run }
        p.step(:a) { 1 }
      end
      thread = Thread.new { pipeline.run(executor: executor, reporter: ->(event) { told << event.name if event.name == :run_finished }) }
      inside.pop
      thread.kill.join
      expect(told).to eq(%i[second after_run run_finished])
    end
  end

  it "are called for a run that succeeds" do
    log = []
    with_hooks(log) { |p| p.step(:a) { 1 } }.run
    expect(log).to eq([[:before_run], %i[before_step a], %i[on_step_success a], %i[after_step a], [:on_success], [:after_run]])
  end

  it "are called for a run that fails, and for steps that were not called", executor: :sequential do
    log = []
    with_hooks(log) do |p|
      p.step(:skip, when: ->(_) { false }) { 1 }
      p.step(:bad) { raise "bad" }
      p.step(:rest, depends_on: :bad) { 1 }
    end.run
    expect(log).to eq([[:before_run], %i[before_step bad], %i[on_step_failure bad], %i[after_step bad],
                       %i[on_step_skip skip], %i[on_step_skip rest], [:on_failure], [:after_run]])
  end

  it "are called for a step that was stopped while it ran" do
    log = []
    pipeline = with_hooks(log) do |p|
      p.step(:a) { raise Interrupt }
      p.step(:b, depends_on: :a) { 1 }
    end
    expect { pipeline.run }.to raise_error(Interrupt)
    expect(log).to contain_exactly([:before_run], %i[before_step a], %i[after_step a], %i[on_step_skip b], [:on_failure], [:after_run])
    expect(log.last(2)).to eq([[:on_failure], [:after_run]])
  end

  it "get the documented arguments" do
    got = {}
    pipeline = Flowline.define(name: "hooked") do
      before_run { |ctx| got[:before_run] = ctx.pipeline_name }
      before_step { |step, ctx| got[:before_step] = [step, ctx.pipeline_name] if step.name == :ok }
      after_step { |step, result| (got[:after_step] ||= []) << [step.name, result.status, result.attempts] }
      on_step_success { |step, result| got[:on_step_success] = [step.name, result.output] }
      on_step_failure { |step, error| got[:on_step_failure] = [step.name, error.class, error.original.message] }
      on_step_skip { |step, reason| (got[:on_step_skip] ||= {})[step.name] = reason }
      on_failure { |error, ctx| got[:on_failure] = [error.step_name, ctx.pipeline_name] }
      after_run { |result, ctx| got[:after_run] = [result, ctx.run_id] }
      step(:ok) { 7 }
      step(:skip, when: ->(_) { false }) { 1 }
      step(:under, depends_on: :skip) { 1 }
      step(:bad, depends_on: :ok) { |_| raise "bad" }
      step(:rest, depends_on: :bad) { |_| 1 }
    end
    result = pipeline.run(on_error: :continue)
    expect(got).to eq(before_run: "hooked", before_step: [pipeline.steps.first, "hooked"],
                      after_step: [[:ok, :succeeded, 1], [:bad, :failed, 1]], on_step_success: [:ok, 7],
                      on_step_failure: [:bad, Flowline::StepError, "bad"],
                      on_step_skip: { skip: :condition, under: :upstream_skipped, rest: :upstream_failed },
                      on_failure: [:bad, "hooked"], after_run: [result, result.run_id])
  end

  it "get the result of a successful step" do
    got = nil
    result = run do
      on_success { |ended, ctx| got = [ended, ctx.run_id] }
      on_failure { raise "must not be called" }
      step(:a) { 1 }
    end
    expect(got).to eq([result, result.run_id])
  end

  it "are called in definition order, with as many arguments as they take" do
    log = []
    object = Object.new.tap { |o| o.define_singleton_method(:call) { |step| log << [:object, step.name] } }
    many = ->(*all) { log << [:rest, all.size] }
    result = run do
      before_step { log << [:none] }
      before_step { |step| log << [:one, step.name] }
      before_step { |step, ctx| log << [:two, step.name, ctx.class] }
      before_step { |step, ctx = nil| log << [:optional, step.name, ctx.class] }
      before_step(many)
      before_step { |*all| log << [:rest, all.size] }
      before_step(object)
      before_step(-> { log << [:lambda] })
      before_step(object.method(:call))
      step(:a) { 1 }
    end
    expect(result.warnings).to eq([])
    expect(log).to eq([[:none], %i[one a], [:two, :a, Flowline::Context], [:optional, :a, Flowline::Context], [:rest, 2], [:rest, 2],
                       %i[object a], [:lambda], %i[object a]])
  end

  it "have the self of the definition" do
    @ivar = :mine
    seen = []
    run do
      before_run { seen << @ivar << private_word }
      after_step { |_, _| seen << @ivar }
      step(:a) { 1 }
    end
    expect(seen).to eq(%i[mine word mine])
  end

  def private_word
    :word
  end
  private :private_word

  describe "that raise" do
    it "fail the run in before_run", executor: :in_process do
      log = []
      line = __LINE__ + 2
      result = run do
        before_run { raise IOError, "no disk" }
        before_run { log << :second }
        on_failure { |error| log << error }
        after_run { log << :after_run }
        step(:a) { log << :a }
        step(:clean, depends_on: :a, run_if: :always) { |_| log << :clean }
      end
      expect(log).to eq([:clean, result.error, :after_run])
      expect(outcomes(result)).to eq(a: %i[cancelled run_failed], clean: :succeeded)
      expect(result.error).to be_a(Flowline::HookError).and have_attributes(hook: :before_run, original: IOError, cause: IOError)
      expect(result.error.message).to eq("hook before_run failed: IOError: no disk (#{__FILE__}:#{line}); fix or remove the hook")
      expect(result.error.backtrace.first).to start_with(__FILE__)
    end

    it "fail an empty run" do
      expect(run { before_run { raise "x" } }).to have_attributes(status: :failed, error: Flowline::HookError)
    end

    it "fail the step in before_step", executor: :in_process do
      called = []
      result = run(on_error: :continue) do
        before_step { |step| raise "not this one" if step.name == :a }
        step(:a) { called << :a }
        step(:b) { called << :b }
      end
      expect(called).to eq([:b])
      expect(outcomes(result)).to eq(a: :failed, b: :succeeded)
      expect(result[:a].error).to be_a(Flowline::StepError)
      expect(result[:a].error.original).to be_a(Flowline::HookError).and have_attributes(hook: :before_step)
      expect(result[:a].error.message).to include("not this one")
    end

    it "cause warnings in other hooks" do
      log = []
      after = Flowline::Events::Hooks::NAMES - %i[before_run before_step]
      pipeline = Flowline.define do |p|
        after.each do |hook|
          p.public_send(hook) { raise "#{hook} is broken" }
          p.public_send(hook) { log << hook }
        end
        p.step(:ok) { 1 }
        p.step(:skip, when: ->(_) { false }) { 1 }
        p.step(:may, optional: true) { raise "x" }
      end
      result = pipeline.run
      expect(result).to be_success
      expect(log).to match_array(%i[on_step_success after_step on_step_skip on_step_failure after_step on_success after_run])
      broken = result.warnings.filter_map { |warning| warning[/hook (\w+) failed: RuntimeError: \w+ is broken \(#{Regexp.escape(__FILE__)}/, 1] }
      expect(broken.map(&:to_sym)).to match_array(log)
    end

    it "cause a warning in on_failure" do
      result = run do
        on_failure { raise "alarm is broken" }
        step(:a) { raise "a" }
      end
      expect([result.error.step_name, result.warnings]).to match([:a, [a_string_including("on_failure", "alarm is broken")]])
    end

    it "may raise an exception without a readable message" do
      mute = Class.new(StandardError) { def message = raise("no message") }
      before = run do
        before_run { raise mute }
        step(:a) { 1 }
      end
      expect(before).to have_attributes(status: :failed, error: Flowline::HookError)
      after = run do
        after_step { raise mute }
        after_step { raise "this one is told" }
        step(:a) { 1 }
      end
      expect(after).to be_success
      expect(after.warnings).to match([a_string_including("after_step"), a_string_including("this one is told")])
    end

    it "redact secrets" do
      [:before_run, :before_step, :after_step].each do |hook|
        result = Flowline.define do |p|
          p.param :token, secret: true
          p.public_send(hook) { raise "cannot log in with hunter2" }
          p.step(:a) { 1 }
        end.run(token: "hunter2")
        told = [result.error&.message, *result.warnings, result.to_json].join
        expect(told).to include("cannot log in with")
        expect(told).not_to include("hunter2")
      end
    end
  end

  it "are neither copied by include nor called for nested pipelines" do
    log = []
    inner = Flowline.define do
      before_run { log << :inner }
      before_step { log << :inner_step }
      step(:i) { 1 }
    end
    run do
      before_step { |step| log << step.name }
      include inner
      step(:nested, inner)
    end
    expect(log).to eq(%i[i nested.i])
  end

  it "need a block or a callable" do
    expect { Flowline.define { before_run(3) } }.to raise_error(Flowline::DefinitionError, /before_run needs a block/)
  end
end
