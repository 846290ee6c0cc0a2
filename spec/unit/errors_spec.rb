# frozen_string_literal: true

require "date"

RSpec.describe "Flowline's errors" do
  it "have one root, and their families" do
    classes = Flowline.constants.map { |name| Flowline.const_get(name) }.select { |made| made.is_a?(Class) && made <= Exception }

    expect(classes - [Flowline::Error]).to all(be < Flowline::Error)
    expect(Flowline::Error.superclass).to eq(StandardError)
    expect([Flowline::CycleError, Flowline::MissingDependencyError, Flowline::DuplicateStepError]).to all(be < Flowline::DefinitionError)
    expect([Flowline::TimeoutError < Flowline::StepError, Flowline::LockedError < Flowline::CheckpointError]).to eq([true, true])
  end

  original = ArgumentError.new("no")

  # Each error made from its facts: what its readers say, and what its message says.
  {
    Flowline::DefinitionError.new("bad", location: "a.rb:1") => [{ location: "a.rb:1" }, "bad (a.rb:1)"],
    Flowline::CycleError.new(%i[a b a]) => [{ path: %i[a b a] }, "steps depend on each other in a cycle: a → b → a; remove one of these dependencies"],
    Flowline::MissingDependencyError.new(:a, :bb, suggestion: :b) => [
      { step_name: :a, dependency: :bb, suggestion: :b }, "step a depends on bb, which doesn't exist; did you mean b?"
    ],
    Flowline::DuplicateStepError.new(:a, locations: ["x.rb:1", nil]) => [
      { step_name: :a, locations: ["x.rb:1", nil] }, "step a is defined twice: x.rb:1 and ?; rename one, or include the other pipeline with a prefix:"
    ],
    Flowline::ParamError.new(%w[one two]) => [{ problems: %w[one two] }, "2 problems:\n  - one\n  - two"],
    Flowline::StepError.new(:a, original, attempts: 3, inputs: { b: "Array (2)" }) => [
      { step_name: :a, original: original, cause: original, attempts: 3, inputs: { b: "Array (2)" } },
      "step a failed after 3 attempts: ArgumentError: no"
    ],
    Flowline::TimeoutError.new(:a, limit: 5, scope: :run) => [
      { step_name: :a, limit: 5, scope: :run, attempts: 1 },
      "step a was stopped by the run's time limit of 5 s; make it faster, or raise timeout:"
    ],
    Flowline::CancelledError.new(:interrupted) => [{ reason: :interrupted }, /\Athe run was cancelled \(interrupted\) .* resume with: run\(resume: true\)/],
    Flowline::HookError.new(:before_run, original) => [{ hook: :before_run, original: original, cause: original },
                                                       /\Ahook before_run failed: ArgumentError: no; fix or remove the hook/],
    Flowline::CheckpointError.new(%i[a b], pipeline_name: "import") => [{ step_names: %i[a b] }, /\Ano recorded output of a, b of import; .*keep_checkpoint: true/],
    Flowline::LockedError.new(42, "import") => [{ pid: 42, step_names: [] },
                                                "a run of import is alive in process 42; wait for it, as with exclusive_wait: 60, or stop that process"],
    Flowline::LockedError.new(42, "import", run_id: "r1", since: Time.new(2024, 1, 31, 12), params: { date: Date.new(2024, 1, 5) }, host: "web-1", waited: 5) => [
      { pid: 42, host: "web-1", run_id: "r1", since: Time.new(2024, 1, 31, 12), params: { date: Date.new(2024, 1, 5) } },
      "run r1 of import (date: 2024-01-05) is alive in process 42 since 2024-01-31 12:00:00; gave up after 5 s; wait longer, or stop that process"
    ],
    Flowline::LockedError.new(nil, "import") => [{ pid: nil }, /\Aanother run of import begins or ends just now; wait for it, .*, or run again/],
    Flowline::CheckpointError.new([], why: "there is no run r1") => [{ step_names: [] }, "there is no run r1"],
    Flowline::StoreError.new("x.db", "is damaged; delete it") => [{ path: "x.db" }, "store x.db: is damaged; delete it; or run without it: FLOWLINE_STORE=off"],
    Flowline::CacheError.new(5, "has no get; give it one") => [{ cache: 5 }, "cache Integer: has no get; give it one"]
  }.each do |error, (facts, message)|
    it "are made of facts: #{error.class}" do
      expect(error).to have_attributes(message: message, **facts)
      expect(error.to_s).to eq(error.message)
    end
  end

  it "of many problems list them wherever they are shown, but not hundreds" do
    error = error_of { Flowline.define { 30.times { |n| step(:"s#{n}", depends_on: :"x#{n}") { 1 } } }.validate! }

    expect(error.problems.size).to eq(30)
    expect([error.message, error.to_s, error.full_message.force_encoding("UTF-8")])
      .to all(include("30 problems:", "step s19 depends on x19", "… and 10 more"))
    expect(error.message).not_to include("s20")
  end

  it "of a step have the exception that it raised as their cause, and its place" do
    pipeline = Flowline.define do
      step(:rows) { [1, 2] }
      step(:bad, depends_on: :rows) { |_| raise KeyError, "gone" }
    end
    error = error_of { pipeline.run! }

    place = line(-4)

    expect(error).to have_attributes(class: Flowline::StepError, step_name: :bad, cause: an_instance_of(KeyError), attempts: 1,
                                     inputs: { rows: "Array (2)" }, message: "step bad failed: KeyError: gone (#{place})")
    expect(error.full_message(highlight: false)).to include("KeyError", place)
  end
end
