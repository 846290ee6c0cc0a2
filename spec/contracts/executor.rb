# frozen_string_literal: true

# The contract of every executor, including custom ones. Needs `let(:executor)`: what `executor:` is given; and
# `let(:elsewhere) { true }` if steps run in another process, so that what they are given and return are copies.
#
# An executor may have several steps in flight, so nothing here depends on the order of independent steps.
# Ends a run, as Interrupt does.
class OwnException < Exception
end

RSpec.shared_examples "an executor" do
  def execute(define: {}, **options, &definition)
    run(define: define, executor: executor, **options, &definition)
  end

  let(:elsewhere) { false }
  # Seconds that suffice for a step that does nothing, on a busy machine too. A fork takes longer.
  let(:enough) { elsewhere ? 1.5 : 0.3 }

  # @return [Proc] counts its calls in all processes
  def counter
    file = "#{ENV.fetch("FLOWLINE_ROOT")}.#{object_id}.#{@counters = @counters.to_i + 1}"
    -> { File.write(file, "x", mode: "a") && File.size(file) }
  end

  # Runs a step that raises an exception which is not a StandardError.
  # @return [Array] what run raises, the class that on_failure gets, and the result
  def interrupted(error)
    log = []
    pipeline = Flowline.define do
      step(:before) { :kept }
      step(:during, depends_on: :before) { |_| raise error }
      step(:after, depends_on: :during) { |_| raise "must not be called" }
      step(:clean, depends_on: :after, run_if: :always) { |value| [value] }
      on_failure { |reason| log << reason.class }
      after_run { |result| log << result }
    end
    raised = begin
      pipeline.run(executor: executor)
    rescue Exception => e # rubocop:disable Lint/RescueException
      e
    end
    [raised, *log]
  end

  def same(error)
    elsewhere ? be_an_instance_of(error.class).and(have_attributes(message: error.message)) : equal(error)
  end

  describe "outcomes and outputs" do
    it "succeeds without steps" do
      result = execute
      expect([result.status, result.steps, result.outputs]).to eq([:succeeded, [], {}])
    end

    it "passes outputs to dependents unchanged, and has them in the result" do
      value = [Object]
      result = execute do
        step(:a) { value }
        step(:b, depends_on: :a) { |a| [a == value, a.equal?(value)] }
        step(:c, depends_on: %i[a b]) { |a, b| [a, b] }
      end
      expect(result.outputs).to eq(a: value, b: [true, !elsewhere], c: [value, [true, !elsewhere]])
      expect(outcomes(result)).to eq(a: :succeeded, b: :succeeded, c: :succeeded)
    end

    it "calls a step once, after all its dependencies" do
      width = 50
      order = []
      result = execute(reporter: ->(event) { order << [event.name, event.step&.name] }) do
        step(:root) { 1 }
        width.times { |i| step(:"mid#{i}", depends_on: :root) { |one| one + i } }
        step(:join, depends_on: width.times.map { |i| :"mid#{i}" }) { |all| all.values.sum }
      end
      expect(order.tally.values.uniq).to eq([1])
      ended = ->(name) { order.index([:step_finished, name]) }
      width.times { |i| expect(ended[:root]...ended[:join]).to cover(order.index([:step_started, :"mid#{i}"])...ended[:"mid#{i}"]) }
      expect(result[:join].output).to eq(width + width.times.sum)
    end

    it "records start, duration and attempts of steps" do
      before = Time.now
      result = execute { step(:a) { 1 } }
      expect(result[:a]).to have_attributes(attempts: 1, duration: (0.0..result.duration), started_at: (before.round(6)..Time.now))
    end

    it "passes params, context and input" do
      result = execute(input: 3, context: { c: 2 }, p: 1) do
        param :p
        step(:in) { |given| given }
        step(:all, depends_on: :in) { |given, ctx| [given, ctx[:p], ctx[:c]] }
      end
      expect(result.outputs).to eq(in: 3, all: [3, 1, 2])
    end

    it "checks type hints with check_types: true" do
      result = execute(check_types: true) { step(:a, output: String) { 1 } }
      expect(result[:a].error.original).to be_a(TypeError)
    end
  end

  describe "failures" do
    it "keeps outputs, cancels the other steps and runs those that run always after a failure" do
      result = execute do
        step(:done) { 1 }
        step(:bad, depends_on: :done) { |_| raise ArgumentError, "no" }
        step(:rest, depends_on: :bad) { |_| 1 }
        step(:clean, depends_on: :rest, run_if: :always) { |rest| [rest] }
      end
      expect(outcomes(result)).to eq(done: :succeeded, bad: :failed, rest: %i[cancelled run_failed], clean: :succeeded)
      expect(result).to have_attributes(status: :failed, failed_step: :bad, outputs: { done: 1, clean: [nil] })
      expect(result.error).to be_a(Flowline::StepError).and have_attributes(step_name: :bad, original: ArgumentError, inputs: { done: "Integer" })
    end

    it "runs steps that do not depend on the failure with on_error: :continue" do
      result = execute(on_error: :continue) do
        step(:bad) { raise "no" }
        step(:other) { 1 }
        step(:after_bad, depends_on: %i[bad other]) { |_| 1 }
        step(:after_other, depends_on: :other) { |_| 1 }
        step(:any, depends_on: %i[bad other], run_if: :any) { |bad, other| [bad, other] }
      end
      expect(outcomes(result)).to eq(bad: :failed, other: :succeeded, after_bad: %i[cancelled upstream_failed],
                                     after_other: :succeeded, any: :succeeded)
      expect(result.outputs).to include(any: [nil, 1])
      expect(result).to have_attributes(status: :failed, failed_steps: [:bad])
    end

    it "skips dependents of a failed optional step" do
      result = execute do
        step(:may, optional: true) { raise "no" }
        step(:needs, depends_on: :may) { |_| 1 }
        step(:other) { 1 }
      end
      expect(outcomes(result)).to eq(may: :failed, needs: %i[skipped upstream_skipped], other: :succeeded)
      expect(result).to have_attributes(status: :succeeded, failed_steps: [], warnings: [a_string_including("may", "no")])
    end

    { [:stop, false] => [%i[cancelled run_failed], %i[cancelled run_failed], :succeeded, :failed],
      [:continue, false] => [%i[cancelled upstream_failed], :succeeded, :succeeded, :failed],
      [:stop, true] => [%i[skipped upstream_skipped], :succeeded, :succeeded, :succeeded],
      [:continue, true] => [%i[skipped upstream_skipped], :succeeded, :succeeded, :succeeded] }.each do |(on_error, optional), (success, any, always, status)|
      it "ends dependents of a failure by run_if: with on_error: :#{on_error}, optional: #{optional}" do
        result = execute(on_error: on_error) do
          step(:good) { 1 }
          step(:bad, depends_on: :good, optional: optional) { |_| raise "no" }
          %i[success any always].each { |name| step(name, depends_on: %i[good bad], run_if: name) { |good, bad| [good, bad] } }
        end
        expect(outcomes(result)).to eq(good: :succeeded, bad: :failed, success: success, any: any, always: always)
        expect(result.outputs.slice(:any, :always).values.uniq).to eq([[1, nil]])
        expect(result.status).to eq(status)
      end
    end
  end

  describe "errors" do
    it "have the class, message, cause, attempts and line of the exception" do
      place = nil
      result = execute do |p|
        place = line(2)
        p.step(:a) do
          raise KeyError, "inner"
        rescue KeyError
          raise ArgumentError, "outer"
        end
      end
      place = place.sub(/\d+\z/) { |number| (number.to_i + 2).to_s }
      expect(result.error).to have_attributes(class: Flowline::StepError, location: place, attempts: 1)
      expect(result.error.backtrace.first).to start_with(place)
      expect(result.error.original).to have_attributes(class: ArgumentError, message: "outer", cause: be_a(KeyError).and(have_attributes(message: "inner")))
    end

    it "describe an exception that cannot be serialised" do
      place = line(3)
      holder = Class.new(StandardError) { def initialize = (@held = -> {}) && super("holds a lambda") }
      result = execute do
        step(:a) { raise holder }
      end
      expect(result.error.message).to include("holds a lambda")
      expect(result.error.location).to eq(place)
    end

    it "accept an exception whose message raises or is not text" do
      mute = Class.new(StandardError) { def message = raise("mute") }
      odd = Class.new(StandardError) { def message = 7 }
      result = execute(on_error: :continue) do
        step(:mute) { raise mute }
        step(:odd) { raise odd }
      end
      expect(result[:mute].error.message).to include("cannot be read")
      expect(result[:odd].error.message).to include("7")
    end

    it "accept an exception whose backtrace raises or is none" do
      lost = Class.new(StandardError) { def backtrace = raise("lost") }
      odd = Class.new(StandardError) { def backtrace = 7 }
      result = execute(on_error: :continue) do
        step(:lost) { raise lost, "told" }
        step(:odd) { raise odd, "told" }
      end
      expect(result.steps.map { |step| step.error.message }).to all(include("told"))
    end

    [ArgumentError, KeyError, ZeroDivisionError, Errno::ENOENT, StopIteration, FrozenError, EncodingError, RuntimeError, Flowline::Error].each do |kind|
      it "fail the step: #{kind}" do
        result = execute { step(:a) { raise kind, "told" } }
        expect(result[:a]).to have_attributes(status: :failed, attempts: 1)
        expect(result.error.original).to be_an_instance_of(kind).and have_attributes(message: a_string_including("told"))
      end
    end
  end

  describe "retries" do
    it "repeats attempts until one succeeds, and notifies of each that failed" do
      count = counter
      log = []
      result = execute do
        before_step { |step| log << [:before, step.name] }
        on_step_retry { |step, error, attempt| log << [:retry, step.name, error.class, attempt] }
        after_step { |step, ended| log << [:after, step.name, ended.attempts] }
        step(:flaky, retries: 3, retry_delay: ->(attempt, _) { attempt / 50.0 }, on_retry: ->(*facts) { log << facts.drop(1) }) do
          count.call < 3 ? raise(IOError) : :done
        end
        step(:dependent, depends_on: :flaky) { |flaky| [flaky] }
      end
      expect(log).to eq([%i[before flaky], [1, 0.02], [:retry, :flaky, IOError, 1], [2, 0.04], [:retry, :flaky, IOError, 2], [:after, :flaky, 3],
                         %i[before dependent], [:after, :dependent, 1]])
      expect(result[:flaky]).to have_attributes(attempts: 3, duration: (be >= 0.06))
      expect(result.outputs).to eq(flaky: :done, dependent: [:done])
    end

    it "fails with the last error when no attempt is left, and does not retry a NameError" do
      counts = [counter, counter]
      result = execute(on_error: :continue) do
        step(:bad, retries: 2) { raise IOError, "try #{counts[0].call}" }
        step(:mistake, retries: 2) { counts[1].call && undefined_here }
      end
      expect(result[:bad]).to have_attributes(status: :failed, attempts: 3)
      expect(result[:bad].error.original.message).to eq("try 3")
      expect([result[:mistake].attempts, counts[1].call]).to eq([1, 2])
    end
  end

  describe "time limits" do
    it "ends an attempt, and names the limit" do
      result = execute(on_error: :continue) do
        step(:slow, timeout: 0.05) { sleep }
        step(:needs, depends_on: :slow) { |_| 1 }
        step(:quick, timeout: 30) { 1 }
      end
      expect(outcomes(result)).to eq(slow: :timed_out, needs: %i[cancelled upstream_failed], quick: :succeeded)
      expect(result.error).to have_attributes(class: Flowline::TimeoutError, step_name: :slow, limit: 0.05, scope: :step)
      expect(result.status).to eq(:failed)
    end

    it "retries after an attempt that timed out" do
      count = counter
      limit = enough
      result = execute { step(:slow, timeout: limit, retries: 1) { count.call == 1 ? sleep : :quick } }
      expect(result[:slow]).to have_attributes(status: :succeeded, attempts: 2, output: :quick)
    end

    it "ends the run, but not steps that run always" do
      result = execute(timeout: enough) do
        step(:slow) { sleep }
        step(:never, depends_on: :slow) { |_| raise "must not be called" }
        step(:clean, depends_on: :never, run_if: :always) { |never| [never] }
      end
      expect(outcomes(result)).to eq(slow: :timed_out, never: %i[cancelled run_timed_out], clean: :succeeded)
      expect(result).to have_attributes(status: :timed_out, outputs: { clean: [nil] })
      expect(result.error).to have_attributes(class: Flowline::TimeoutError, limit: enough, scope: :run)
    end

    it "ends the run while a step waits for a retry" do
      result = execute(timeout: enough) { step(:bad, retries: 1, retry_delay: 60) { raise IOError } }
      expect([outcomes(result), result.status]).to eq([{ bad: :failed }, :timed_out])
    end
  end

  describe "caches" do
    let!(:counts) { [counter, counter] } # Not captured by the blocks, so not part of their code; made before anything forks.

    it "takes outputs from the cache instead of calling the step" do
      log = []
      pipeline = Flowline.define(cache: Flowline::Cache::Memory.new) do
        on_step_skip { |step, reason| log << [step.name, reason] }
        param :n
        step(:a, cache: true) { |ctx| [ctx[:n], counts[0].call] }
        step(:b, depends_on: :a) { |a| [a, counts[1].call] }
      end
      results = [1, 1, 2].map { |n| pipeline.run(n: n, executor: executor) }
      expect(results.map { |result| result[:a].status }).to eq(%i[succeeded cached succeeded])
      expect(results.map { |result| result[:b].output }).to eq([[[1, 1], 1], [[1, 1], 2], [[2, 2], 3]])
      expect(log).to eq([%i[a cached]])
    end
  end

  describe "checkpoints" do
    { "with a name" => { name: "contract" }, "without a name" => {} }.each do |what, settings|
      it "resumes a failed run: #{what}" do
        counts = [counter, counter]
        pipeline = Flowline.define(**settings) do
          step(:done) { ["kept", counts[0].call] }
          step(:bad, depends_on: :done) { |done| counts[1].call == 1 ? raise(IOError) : [*done, "resumed"] }
          step(:after, depends_on: :bad) { |bad| bad.size }
        end
        expect(outcomes(pipeline.run(executor: executor))).to eq(done: :succeeded, bad: :failed, after: %i[cancelled run_failed])
        result = pipeline.run(resume: true, executor: executor)
        expect(outcomes(result)).to eq(done: :restored, bad: :succeeded, after: :succeeded)
        expect(result.outputs).to eq(done: ["kept", 1], bad: ["kept", 1, "resumed"], after: 3)
      end
    end

    it "records a step before its dependents start, and the outcome of every step" do
      pipeline = Flowline.define(name: "contract") do
        step(:done) { 1 }
        step(:look, depends_on: :done) { |_| 1 }
        step(:bad, depends_on: :look) { |_| raise IOError, "recorded" }
        step(:rest, depends_on: :bad) { |_| 1 }
      end
      seen = nil
      reporter = ->(event) { seen = Flowline::Checkpoint.list.map(&:step_names) if event.name == :step_started && event.step.name == :look }
      pipeline.run(executor: executor, reporter: reporter)
      expect(seen).to eq([[:done]])
      store = Flowline::Store.existing(ENV.fetch("FLOWLINE_ROOT"))
      last = store.runs("contract", 1).first
      expect(store.steps(last[:id]).sort_by { |step| step[:name] }.map { |step| [step[:name], step[:status], step[:attempts]] })
        .to eq([["bad", "failed", 1], ["done", "succeeded", 1], ["look", "succeeded", 1], ["rest", "cancelled", 0]])
      expect([last[:status], last[:error]]).to match(["failed", a_string_including("recorded")])
    end
  end

  describe "steps for each item" do
    it "calls the block for every item in any order, and returns results in item order" do
      count = counter
      result = execute do
        step(:items) { (1..20).to_a }
        step(:each, each: :items, retries: 1) { |item| item == 7 && count.call == 1 ? raise(IOError) : item * 2 }
        step(:sum, depends_on: :each, &:sum)
      end
      expect(result.outputs.slice(:each, :sum)).to eq(each: (1..20).map { |item| item * 2 }, sum: 420)
    end
  end

  describe "what steps write" do
    it "appears on the process's streams in the order of the steps" do
      out = StringIO.new
      err = StringIO.new
      stdout, stderr = $stdout, $stderr
      begin
        $stdout, $stderr = out, err
        result = execute do
          before_step { |step| puts "before #{step.name}" }
          after_step { |step| puts "after #{step.name}" }
          step(:a) { puts("in a") || print("more\n") || warn("a warns") }
          step(:b, depends_on: :a) { |_| puts("in b") || warn("b warns") }
        end
      ensure
        $stdout, $stderr = stdout, stderr
      end
      expect(result).to be_success
      expect(out.string).to eq("before a\nin a\nmore\nafter a\nbefore b\nin b\nafter b\n")
      expect(err.string).to eq("a warns\nb warns\n")
    end
  end

  describe "conditions" do
    it "skip steps and their dependents" do
      result = execute(context: { go: false }) do
        step(:a) { 1 }
        step(:b, depends_on: :a, when: ->(ctx) { ctx[:go] }) { |_| raise "must not be called" }
        step(:c, depends_on: :b) { |_| raise "must not be called" }
        step(:any, depends_on: %i[a c], run_if: :any) { |a, c| [a, c] }
        step(:always, depends_on: :c, run_if: :always) { |c| [c] }
        step(:unless, unless: ->(ctx) { ctx[:go] }) { 2 }
      end
      expect(outcomes(result)).to eq(a: :succeeded, b: %i[skipped condition], c: %i[skipped upstream_skipped],
                                     any: :succeeded, always: :succeeded, unless: :succeeded)
      expect(result).to be_success
      expect(result.outputs).to eq(a: 1, any: [1, nil], always: [nil], unless: 2)
    end

    it "fail the step when they raise" do
      result = execute { step(:a, when: ->(_) { raise "condition" }) { 1 } }
      expect(result[:a].error.original.message).to eq("condition")
    end
  end

  describe "observers" do
    it "are called once an outcome, in order" do
      log = []
      execute do
        Runs.instance_method(:log_hooks).bind_call(self, self, log)
        step(:a) { 1 }
        step(:skip, depends_on: :a, when: ->(_) { false }) { 1 }
        step(:bad, depends_on: :skip, run_if: :always) { |_| raise "no" }
      end
      expect(log).to eq([[:before_run],
                         %i[before_step a], %i[on_step_success a], %i[after_step a],
                         %i[on_step_skip skip],
                         %i[before_step bad], %i[on_step_failure bad], %i[after_step bad],
                         [:on_failure], [:after_run]])
    end

    it "are called in the process that runs the pipeline, like conditions" do
      pids = []
      note = -> { pids << Process.pid }
      pipeline = Flowline.define do
        Flowline::Events::Hooks::NAMES.each { |hook| public_send(hook) { note.call } }
        step(:a, when: -> { note.call }, retries: 1, retry_if: -> { note.call }, on_retry: -> { note.call }) { raise IOError }
      end
      pipeline.run(executor: executor, reporter: ->(_) { note.call })
      expect([pids.size, pids.uniq]).to eq([15, [Process.pid]])
    end

    it "cause warnings when they raise after the fact" do
      result = execute(reporter: ->(event) { raise "reporter" if event.name == :step_finished }) do
        after_step { raise "hook" }
        on_step_success { |_| raise "success" }
        step(:a) { 1 }
        step(:b) { 2 }
      end
      expect(result.outputs).to eq(a: 1, b: 2)
      expect(result.warnings.map { |warning| warning[/hook|success|reporter/] }.tally).to eq("hook" => 4, "reporter" => 1)
    end

    it "are notified of every step once, between the run's start and end" do
      events = []
      execute(reporter: ->(event) { events << [event.name, event.step&.name].compact }) do
        5.times { |i| step(:"s#{i}") { i } }
        step(:skip, when: ->(_) { false }) { 1 }
      end
      expect([events.first, events.last]).to eq([[:run_started], [:run_finished]])
      expect(events[1..-2].tally.values.uniq).to eq([1])
      5.times { |i| expect(events.index([:step_started, :"s#{i}"])).to be < events.index([:step_finished, :"s#{i}"]) }
      expect(events.select { |_, step| step == :skip }).to eq([%i[step_finished skip]])
    end

    it "fail the run or the step when a before_ hook raises" do
      run = execute do
        before_run { raise "no run" }
        step(:a) { raise "must not be called" }
      end
      expect(outcomes(run)).to eq(a: %i[cancelled run_failed])
      expect(run).to have_attributes(status: :failed, error: Flowline::HookError)

      step = execute do
        before_step { raise "no step" }
        step(:a) { raise "must not be called" }
      end
      expect(step[:a].error.original).to be_a(Flowline::HookError).and have_attributes(hook: :before_step, cause: have_attributes(message: "no step"))
    end
  end

  describe "steps for each item" do
    it "returns results in item order, with one call for each" do
      events = []
      result = execute(reporter: ->(event) { events << event.name if event.step&.name == :map }) do
        step(:rows) { { a: 1, b: 2, c: 3 } }
        step(:factor) { 10 }
        step(:map, each: :rows, depends_on: :factor) { |(key, value), factor| [key, value * factor] }
        step(:none, each: :map, when: ->(_) { false }) { raise "must not be called" }
        step(:again, each: :map, concurrency: 2) { |pair| pair.last }
      end
      expect(result.outputs).to include(map: [[:a, 10], [:b, 20], [:c, 30]], again: [10, 20, 30])
      expect([result[:map].attempts, events, outcomes(result)[:none]]).to eq([1, %i[step_started step_finished], %i[skipped condition]])
    end

    it "fails with the error of an item" do
      result = execute(on_error: :continue) do
        step(:rows) { (0..50).to_a }
        step(:map, each: :rows) { |n| n == 5 ? raise(ArgumentError, "five") : n }
        step(:after, depends_on: :map) { |_| raise "must not be called" }
      end
      expect(outcomes(result)).to eq(rows: :succeeded, map: :failed, after: %i[cancelled upstream_failed])
      expect(result.error).to be_a(Flowline::ItemError).and have_attributes(position: 5, item: 5, attempts: 1, original: ArgumentError)
    end

    it "collects failed items after their retries with on_item_error: :collect" do
      retried = []
      result = execute(reporter: ->(event) { retried << event.result.item if event.name == :step_retried }) do
        step(:rows) { (0..5).to_a }
        step(:map, each: :rows, on_item_error: :collect, retries: 2) { |n| n.even? ? n : raise("odd") }
      end
      expect(result).to be_success
      expect(result[:map]).to have_attributes(attempts: 3, output: include(0, 2, 4))
      expect(result[:map].item_errors.map { |error| [error.position, error.attempts] }).to eq([[1, 3], [3, 3], [5, 3]])
      expect(retried.tally).to eq(1 => 2, 3 => 2, 5 => 2)
    end

    it "accepts an empty source, and fails without an Enumerable" do
      result = execute(on_error: :continue) do
        step(:empty) { [] }
        step(:none, each: :empty) { raise "must not be called" }
        step(:nil) { nil }
        step(:map, each: :nil) { raise "must not be called" }
      end
      expect(result[:none].output).to eq([])
      expect(result[:map].error.original).to be_a(TypeError)
    end

    it "obeys pools and rates" do
      result = execute do
        pool :db, 1
        step(:rows) { (0..9).to_a }
        step(:map, each: :rows, uses: :db, rate: "1000/s") { |n| n }
        3.times { |i| step(:"s#{i}", uses: :db) { i } }
      end
      expect(result.outputs).to include(map: (0..9).to_a, s0: 0, s1: 1, s2: 2)
    end
  end

  describe "nesting" do
    it "runs the steps of nested pipelines, and passes their output on" do
      inner = Flowline.define do
        step(:double) { |rows| rows.map { |row| row * 2 } }
        step(:sum, depends_on: :double, &:sum)
      end
      result = execute do
        step(:rows) { [1, 2] }
        step(:inner, inner, depends_on: :rows)
        step(:end, depends_on: :inner) { |sum| sum + 1 }
      end
      expect(result.outputs).to eq(rows: [1, 2], "inner.double": [2, 4], "inner.sum": 6, end: 7)
      expect(result[:inner].output).to eq(6)
    end

    it "raises errors of a run within a step, also as causes of others" do
      inner = Flowline.define { step(:a) { raise "inner" } }
      given = executor
      result = execute do
        step(:wrap) do
          inner.run!(executor: given)
        rescue Flowline::StepError
          raise ArgumentError, "outer"
        end
      end
      expect(result.error.original).to be_an_instance_of(ArgumentError)
      expect(result.error.original.cause).to be_a(Flowline::StepError).and have_attributes(step_name: :a)
    end

    it "runs a pipeline within a step" do
      inner = Flowline.define { step(:a) { raise "inner" } }
      given = executor
      result = execute(on_error: :continue) do
        step(:look) { inner.run(executor: given).failed_step }
        step(:fall) { inner.run!(executor: given) }
      end
      expect(result[:look].output).to eq(:a)
      expect(result[:fall].error.original).to be_a(Flowline::StepError).and have_attributes(step_name: :a)
    end
  end

  describe "an exception that is not a StandardError" do
    [LoadError.new("l"), NotImplementedError.new, NoMemoryError.new, SystemStackError.new].each do |error|
      it "fails the step, ends the run in good order and propagates: #{error.class}" do
        raised, reason, result = interrupted(error)
        expect(raised).to same(error)
        expect(reason).to eq(Flowline::StepError)
        expect(outcomes(result)).to eq(before: :succeeded, during: :failed, after: %i[cancelled run_failed], clean: :succeeded)
        expect(result).to have_attributes(status: :failed, failed_step: :during)
        expect(result.error.original).to equal(raised)
        expect(result.outputs).to eq(before: :kept, clean: [nil])
      end
    end

    [Interrupt.new("i"), SystemExit.new(3), SecurityError.new, SignalException.new("TERM"), OwnException.new("own")].each do |error|
      it "ends the run in good order and propagates: #{error.class}" do
        raised, reason, result = interrupted(error)
        expect(raised).to same(error)
        expect(raised.cause).to be_nil
        expect(reason).to eq(Flowline::CancelledError)
        expect(outcomes(result)).to eq(before: :succeeded, during: %i[cancelled interrupted], after: %i[cancelled interrupted], clean: :succeeded)
        expect(result).to have_attributes(status: :cancelled, outputs: { before: :kept, clean: [nil] })
      end
    end

    it "propagates when exit or abort raised it" do
      result = nil
      pipeline = Flowline.define do
        step(:a) { exit 4 }
        after_run { |ended| result = ended }
      end
      expect { pipeline.run(executor: executor) }.to raise_error(SystemExit) { |error| expect(error.status).to eq(4) }
      expect(result.status).to eq(:cancelled)
    end

    it "stops the clean-up when raised again" do
      result = nil
      pipeline = Flowline.define do
        step(:a) { raise Interrupt, "first" }
        step(:clean, depends_on: :a, run_if: :always) { raise Interrupt, "second" }
        step(:more, depends_on: :clean, run_if: :always) { raise "must not be called" }
        after_run { |ended| result = ended }
      end
      expect { pipeline.run(executor: executor) }.to raise_error(Interrupt, "second")
      expect(outcomes(result)).to eq(a: %i[cancelled interrupted], clean: %i[cancelled interrupted], more: %i[cancelled interrupted])
    end
  end

  it "fails a step that jumps to nowhere, with the advice to use next" do
    orphan = ->(&block) { block }
    result = execute(on_error: :continue) do
      step(:throw) { throw :nobody }
      step(:break, orphan.call { break 1 })
      step(:next) { next 1 }
    end
    expect(result.outputs).to eq(next: 1)
    %i[throw break].each { |name| expect(result[name].error.message).to include("use `next`") }
  end
end
