# frozen_string_literal: true

# Notes what happens around each attempt.
class Noted
  def initialize(log, name = nil) = (@log, @name = log, name)

  def call(attempt)
    @log << [:before, @name, attempt.step.name, attempt.number, attempt.index].compact
    yield
    @log << [:after, @name, attempt.output].compact
    :no_matter
  end
end

RSpec.describe Flowline::Execution::Middleware do
  let(:log) { [] }
  let(:configuration) { Flowline::Configuration.new }

  before { allow(Flowline).to receive(:config).and_return(configuration) }

  def use(...)
    configuration.middleware.use(...)
  end

  %i[sequential parallel].each do |executor|
    it "is called around every attempt, the first entry outermost, under :#{executor}" do
      use(Noted.new(log, :outer))
      use(Noted.new(log, :inner))
      tries = 0
      result = run(executor: executor, max_threads: 1) do
        step(:a, retries: 1) { (tries += 1) == 1 ? raise(IOError) : :output }
        step(:rows, depends_on: :a) { |_| [:x] }
        step(:map, each: :rows) { |item| [item] }
      end
      expect(result.outputs).to eq(a: :output, rows: [:x], map: [[:x]])
      expect(log).to eq([[:before, :outer, :a, 1], [:before, :inner, :a, 1],
                         [:before, :outer, :a, 2], [:before, :inner, :a, 2], %i[after inner output], %i[after outer output],
                         [:before, :outer, :rows, 1], [:before, :inner, :rows, 1], [:after, :inner, [:x]], [:after, :outer, [:x]],
                         [:before, :outer, :map, 1, 0], [:before, :inner, :map, 1, 0], [:after, :inner, [:x]], [:after, :outer, [:x]]])
    end
  end

  it "is not called for what is cached, skipped or restored" do
    use(Noted.new(log))
    pipeline = Flowline.define(cache: Flowline::Cache::Memory.new) do
      step(:cached, cache: true) { 1 }
      step(:skipped, when: ->(_) { false }) { 2 }
    end
    2.times { pipeline.run! }
    expect(log.map(&:first)).to eq(%i[before after])
  end

  it "is called in the process that calls the step" do
    use(->(_attempt, &inner) { (ENV["FLOWLINE_MIDDLEWARE"] = Process.pid.to_s) && inner.call })
    pids = run(executor: :process) { step(:a) { [ENV.fetch("FLOWLINE_MIDDLEWARE", nil), Process.pid.to_s] } }[:a].output
    expect(pids.uniq.size).to eq(1)
    expect(pids.first).not_to eq(Process.pid.to_s)
    isolated = run { step(:a, isolate: :process) { [ENV.fetch("FLOWLINE_MIDDLEWARE", nil), Process.pid.to_s] } }[:a].output
    expect(isolated.uniq.size).to eq(1)
  ensure
    ENV.delete("FLOWLINE_MIDDLEWARE")
  end

  it "fails the attempt by what it raises, which is then retried" do
    raised = 0
    use(->(_attempt, &inner) { (raised += 1) == 1 ? raise(IOError, "no connection") : inner.call })
    expect(run { step(:a, retries: 1) { 1 } }[:a]).to have_attributes(status: :succeeded, attempts: 2)
    raised = 0
    expect(run { step(:a) { 1 } }.error.original).to be_an(IOError)
  end

  it "makes no success of a failure that it rescues, and may call the step again" do
    use(->(_attempt, &inner) { begin inner.call; rescue IOError then :swallowed end })
    expect(run { step(:a) { raise IOError, "down" } }[:a]).to have_attributes(status: :failed, error: have_attributes(original: IOError))
    configuration.middleware.delete(Proc)
    use(->(_attempt, &inner) { begin inner.call; rescue IOError then inner.call end })
    tries = 0
    expect(run { step(:a) { (tries += 1) == 1 ? raise(IOError) : :done } }.outputs).to eq(a: :done)
  end

  it "must yield" do
    use(->(_attempt) {})
    result = run { step(:a) { 1 } }
    expect(result.error.message).to match(/middleware Proc did not yield, so that the step was not called/)
  end

  it "may be asked, shortened and put in front" do
    first, second = Noted.new(log), ->(_attempt, &inner) { inner.call }
    configuration.middleware.use(second).prepend(first)
    expect(configuration.middleware.to_a).to eq([first, second])
    configuration.middleware.delete(Noted)
    expect(configuration.middleware.to_a).to eq([second])
    expect(configuration.middleware.delete(second)).to be_empty
    expect { use(3) }.to raise_error(ArgumentError, "middleware: Integer has no `call`; give an object with call(attempt) that yields")
  end

  it "is within the time limit of the step" do
    use(->(_attempt) { sleep })
    expect(run { step(:a, timeout: 0.05) { 1 } }[:a].status).to eq(:timed_out)
  end

  it "gives back the connections of worker threads and of runs in the background, once Active Record is loaded" do
    cleared = []
    connection = Struct.new(:transaction_open?)
    pool = Class.new do
      define_method(:active_connection?) { Thread.current[:flowline_spec_connection] }
      define_method(:release_connection) { cleared << Thread.current }
      define_method(:size) { nil }
    end.new
    handler = Class.new { define_method(:all_connection_pools) { [pool] } }.new
    stub_const("ActiveRecord::Base", Class.new { define_singleton_method(:connection_handler) { handler } && define_singleton_method(:connection_pool) { pool } })
    use = ->(open) { (Thread.current[:flowline_spec_connection] = connection.new(open)) && Thread.current }
    threads = run(executor: :parallel) { 2.times { |i| step(:"s#{i}") { use.call(false) } } }.outputs.values
    expect(cleared).to match_array(threads)
    run(executor: :parallel) { step(:open) { use.call(true) } } # The transaction is that of a test.
    Thread.new { run(executor: :sequential) { step(:a) { use.call(false) } } }.join
    expect(cleared.size).to eq(2)
    background = Flowline.define { step(:a) { use.call(false) } }.start(executor: :sequential).wait[:a].output
    expect(cleared.drop(2).uniq).to eq([background])
  end
end
