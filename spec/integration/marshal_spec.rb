# frozen_string_literal: true

require "open3"
require "rbconfig"

RSpec.describe "What a run leaves, marshalled" do
  # What another process says of it, in which nothing of this one is defined.
  def elsewhere(object, program)
    command = [RbConfig.ruby, *$LOAD_PATH.map { |path| "-I#{path}" }, "-rflowline", "-rdate", "-e", "x = Marshal.load($stdin.binmode.read); #{program}"]
    out, err, status = Open3.capture3(*command, stdin_data: Marshal.dump(object), binmode: true)
    raise err unless status.success? && err.empty?

    Marshal.load(out)
  end

  def here(object)
    Marshal.load(Marshal.dump(object))
  end

  def failing(&body)
    run { |p| p.step(:a, &body) }.error
  end

  it "is a result with the same steps, outputs, errors and warnings, in another process" do
    inner = Flowline.define { step(:double) { |rows| rows.map { |row| row * 2 } } }
    result = run(on_error: :continue, date: "2024-01-02") do
      param :date, type: :date
      step(:rows) { [1, 2] }
      step(:inner, inner, depends_on: :rows)
      step(:may, optional: true) { raise "may" }
      step(:skip, when: -> { false }) { 1 }
      step(:map, each: :rows, on_item_error: :collect) { |n| n.even? ? n : raise(KeyError, "odd") }
      step(:bad, depends_on: :rows, retries: 1) { |_| raise ArgumentError, "bad" }
      step(:after, depends_on: :bad) { |_| 1 }
    end
    said = elsewhere(result, <<~'RUBY')
      facts = [x.status, x.outputs.except(:map), x.failed_step, x.error.class, x.error.cause.class, x.error.message, x.warnings, x.run_id, x.duration,
               x[:inner].output, x[:map].item_errors.map(&:message), x.to_h, x.inspect, x.steps.map(&:started_at), x[:bad].attempts]
      $stdout.binmode.write(Marshal.dump(facts))
    RUBY
    expect(said).to eq([:failed, result.outputs.except(:map), :bad, Flowline::StepError, ArgumentError, result.error.message, result.warnings, result.run_id,
                        result.duration, [2, 4], result[:map].item_errors.map(&:message), result.to_h, result.inspect, result.steps.map(&:started_at), 2])
  end

  it "is a result without the outputs that cannot be marshalled, and says which" do
    result = run { |p| p.step(:lambda) { -> {} } && p.step(:good) { 1 } }
    read = here(result)
    expect(read.outputs).to eq(lambda: nil, good: 1)
    expect(read.warnings).to eq(["the output of step lambda is left out, because it cannot be marshalled"])
    expect(here(read).to_h).to eq(read.to_h)
  end

  it "is an error with its facts, backtrace and causes" do
    error = failing do
      raise KeyError, "inner"
    rescue KeyError
      raise ArgumentError, "outer"
    end
    read = here(error)
    expect(read).to have_attributes(class: Flowline::StepError, message: error.message, step_name: :a, attempts: 1, location: error.location, backtrace: error.backtrace)
    expect(read.cause).to be_an(ArgumentError).and have_attributes(message: "outer", backtrace: error.cause.backtrace)
    expect(read.cause.cause).to be_a(KeyError).and have_attributes(message: "inner")
  end

  it "is an error of whatever class, extended, with variables and singleton methods that cannot be marshalled" do
    holder = Class.new(StandardError) { def initialize = (@held = -> {}) && super("holds a lambda") }
    extended = ArgumentError.new("extended").tap { |e| e.extend(Module.new { def detailed = "anonymous" }) }
    singleton = KeyError.new("singleton").tap { |e| def e.more = 1 }
    [holder.new, extended, singleton].each do |original|
      read = here(failing { raise original })
      expect(read.message).to include(original.message)
      expect(read.original).to be_a(StandardError).and have_attributes(message: a_string_including(original.message))
    end
    corrected = failing { {}.fetch(:missing) }
    expect(here(corrected)).to have_attributes(message: corrected.message, original: be_a(KeyError))
    mistake = failing { undefined_here }
    mistake.original.message # did_you_mean remembers what it looked through.
    expect(here(mistake).original).to be_a(NameError)
  end

  it "is each error of Flowline, as it was" do
    cause = IOError.new("cause")
    errors = [Flowline::ParamError.new(%w[one two]), Flowline::TimeoutError.new(:a, limit: 3, scope: :run), Flowline::HookError.new(:before_run, cause),
              Flowline::CancelledError.new(:interrupted, Interrupt.new("i"), running: [:a]), Flowline::CheckpointError.new([:a], pipeline_name: "p"),
              Flowline::LockedError.new(1, "p", process_name: "process 1"), Flowline::StoreError.new("/s", "is full", :full), Flowline::CacheError.new(1, "is down"),
              Flowline::ItemError.new(:a, cause, position: 3, item: $stdout)]
    errors.each do |error|
      read = here(error)
      expect([read.class, read.message, read.cause.class]).to eq([error.class, error.message, error.cause.class])
      facts = error.class.public_instance_methods(false) - %i[item cause to_s _dump]
      facts.select { |fact| error.method(fact).arity.zero? && !error.public_send(fact).is_a?(Exception) }
           .each { |fact| expect(read.public_send(fact)).to eq(error.public_send(fact)), "#{error.class}##{fact}" }
    end
  end

  it "is every event of a run, without secrets and callables" do
    events = []
    run(reporter: ->(event) { events << event }, token: "hush-hush", n: 1) do
      param :token, secret: true
      param :n
      step(:flaky, retries: 1) { (@tries = @tries.to_i + 1) == 1 ? raise(IOError, "once") : 1 }
      step(:b, depends_on: :flaky, when: ->(_) { false }) { 1 }
    end
    expect(Marshal.dump(events)).not_to include("hush-hush")
    read = here(events)
    expect(read.map(&:name)).to eq(events.map(&:name))
    expect(read.map { |event| event.step&.name }).to eq(events.map { |event| event.step&.name })
    expect(read.map { |event| event.step&.location }).to eq(events.map { |event| event.step&.location })
    expect(read.first.context.to_h).to eq(n: 1)
    expect(read.find { |event| event.name == :step_retried }.result).to have_attributes(attempt: 1, error: be_an(IOError))
    expect(read.last.result).to be_success
  end

  it "is every event of a step whose output cannot be marshalled, without that output" do
    read = {}
    result = run(reporter: ->(event) { (read[event.name] ||= []) << here(event) }) do |p|
      p.step(:io) { $stdout }
      p.step(:items) { [1, 2] }
      p.step(:map, each: :items, on_item_error: :collect) { |n| n == 1 ? raise(KeyError, "odd") : -> {} }
    end
    expect([result.status, result.warnings]).to match([:succeeded, [/1 of 2 items of step map failed/]])
    expect(read[:step_finished].to_h { |event| [event.step.name, event.result.output] }).to eq(io: nil, items: [1, 2], map: nil)
    expect(read[:step_finished].last.result.item_errors.map(&:message)).to match([/odd/])
    expect(read[:step_finished].map(&:to_h).last).to include(step: :map, status: :succeeded)
  end

  it "has no secret in the messages of errors where it is read, although here the errors are as they were raised" do
    seen = []
    tries = 0
    reporter = Flowline::Reporter.for(*Flowline::Event::NAMES) { |event| seen << event }
    result = run(reporter: reporter, on_error: :continue, token: "hush-hush") do
      param :token, secret: true
      step(:flaky, retries: 1) { |token:| (tries += 1) == 1 ? raise(IOError, "no #{token}") : 1 }
      step(:own) { |token:| raise Flowline::CacheError.new(nil, token) }
      step(:caused) do |token:|
        raise KeyError, token
      rescue KeyError
        raise ArgumentError, "outer"
      end
      step(:items) { [1] }
      step(:map, each: :items, on_item_error: :continue) { |_, token:| raise "item #{token}" }
    end
    expect(seen.find { |event| event.name == :step_retried }.result.error.message).to eq("no hush-hush")
    [*seen, result].each do |object|
      expect(Marshal.dump(object)).not_to include("hush-hush")
      expect(here(object).to_h.inspect).not_to include("hush-hush")
    end
    read = here(seen.find { |event| event.name == :step_retried })
    expect(read.result.error).to be_an(IOError).and(have_attributes(message: "no [secret]"))
    expect(here(result)[:own].error).to have_attributes(class: Flowline::StepError, original: be_a(Flowline::CacheError))
    expect(here(result)[:caused].error.original.cause).to be_a(KeyError).and(have_attributes(message: "[secret]"))
  end

  it "is the outcome of an attempt" do
    outcome = Flowline::Execution::Outcome.new(3, :failed, nil, ArgumentError.new("no"), nil, nil, 1.0, 2.0)
    expect(here(outcome)).to have_attributes(token: 3, status: :failed, error: be_an(ArgumentError), began: 1.0, ended: 2.0)
  end
end
