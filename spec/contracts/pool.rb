# frozen_string_literal: true

require "timeout"

# The contract between pools and what they call, as the comment of {Flowline::Executor::Pool} has it.
#
# "a pool" needs `let(:open_pool)`, a lambda that opens a pool for an inbox, and is given what the pool can: `:several` if it calls
# several attempts at a time, `:queues` and `:abandons` as its methods say. "an attempt for pools" needs `let(:attempt)`, one that succeeds.

# What a pool may ask an attempt for: these methods and no others.
class PooledAttempt
  METHODS = %i[token always? call outcome stops_run?].freeze

  attr_reader :token

  # @param stops_run [Boolean] whether its outcome stops the run
  # @yieldreturn [Object] its output
  def initialize(token, stops_run: false, &code)
    @token = token
    @stops_run = stops_run
    @code = code
  end

  def always? = false
  def stops_run?(_outcome) = @stops_run
  def call(_pool = nil) = outcome(:succeeded, output: @code.call)

  def outcome(status, error: nil, fatal: nil, output: nil)
    Flowline::Execution::Outcome.new(token, status, output, error, nil, nil, nil, nil, fatal)
  end
end

RSpec.shared_examples "a pool" do |*abilities|
  let(:inbox) { Queue.new }
  let(:pool) { open_pool.call(inbox) }

  after { pool.shutdown }

  # @return [Object] the next in a queue, soon
  def arrival(queue) = Timeout.timeout(20) { queue.pop }

  # @return [Array<Flowline::Execution::Outcome>] of the attempts, in the order in which they come
  def outcomes_of(*attempts)
    at_once = attempts.filter_map { |attempt| pool.submit(attempt) }
    at_once + Array.new(attempts.size - at_once.size) { arrival(inbox) }
  end

  # @return [Array<PooledAttempt>] one that runs until the gate is closed, and says in the queue when it is called
  def held(token, called, gate, **options)
    PooledAttempt.new(token, **options) do
      called << token
      gate.pop
    end
  end

  it "says what it can" do
    expect([pool.capacity > 1, pool.queues?, pool.abandons?]).to eq(%i[several queues abandons].map { |ability| abilities.include?(ability) })
  end

  it "has one outcome for each attempt, and no other" do
    attempts = Array.new(40) { |i| PooledAttempt.new(i) { i * 2 } }
    outcomes = attempts.each_slice(pool.capacity).flat_map { |some| outcomes_of(*some) }
    expect(outcomes.sort_by(&:token).map { |outcome| [outcome.token, outcome.status, outcome.output] }).to eq(Array.new(40) { |i| [i, :succeeded, i * 2] })
    expect(inbox).to be_empty
  end

  it "goes on after an attempt that raises what ends the run" do
    error = NotImplementedError.new("not yet")
    outcome, = outcomes_of(PooledAttempt.new(1) { raise error })
    expect([outcome.token, outcome.status, outcome.error, outcome.fatal]).to eq([1, :failed, error, error])
    expect(outcomes_of(PooledAttempt.new(2) { :next }).map(&:output)).to eq([:next])
  end

  it "reports an attempt as interrupted with an exception that is no failure, or lets it through in the caller's thread" do
    submit = -> { outcomes_of(PooledAttempt.new(1) { raise Interrupt, "stop" }).first }
    next expect { submit.call }.to raise_error(Interrupt, "stop") if pool.inline?

    outcome = submit.call
    expect([outcome.status, outcome.fatal]).to match([:interrupted, be_a(Interrupt)])
  end

  next unless abilities.include?(:several)

  it "calls as many attempts at a time as it has capacity" do
    called = Queue.new
    gate = Queue.new
    Array.new(pool.capacity) { |i| held(i, called, gate) }.each { |attempt| pool.submit(attempt) }
    expect(Array.new(pool.capacity) { arrival(called) }).to match_array(0...pool.capacity)
    gate.close
    expect(Array.new(pool.capacity) { arrival(inbox).status }.uniq).to eq([:succeeded])
  end

  it "interrupts the attempt that it is asked to, and no other" do
    called = Queue.new
    gate = Queue.new
    other, hit = Array.new(2) { |i| held(i, called, gate) }.each { |attempt| pool.submit(attempt) }
    2.times { arrival(called) }
    pool.interrupt(hit)
    expect(arrival(inbox).to_a.first(2)).to eq([hit.token, :interrupted])
    gate.close
    expect(arrival(inbox).to_a.first(2)).to eq([other.token, :succeeded])
    expect { pool.interrupt(hit) }.not_to raise_error # It has ended.
  end

  it "reports the death of the thread that calls an attempt" do
    outcome, = outcomes_of(PooledAttempt.new(1) { Thread.exit })
    expect([outcome.token, outcome.status]).to eq([1, :died])
  end

  next unless abilities.include?(:queues)

  it "withdraws what it took ahead when an outcome stops the run" do
    called = Queue.new
    gates = Array.new(pool.capacity) { Queue.new }
    gates.each_with_index { |gate, i| pool.submit(held(i, called, gate, stops_run: i.zero?)) }
    pool.capacity.times { arrival(called) }
    ahead = Array.new(5) { |i| PooledAttempt.new(100 + i) { called << :ahead } }.each { |attempt| pool.submit(attempt) }
    gates.first.close
    expect(Array.new(6) { arrival(inbox).then { |outcome| [outcome.token, outcome.status] } })
      .to eq([[0, :succeeded], *ahead.map { |attempt| [attempt.token, :withdrawn] }])
    gates.each(&:close)
    expect(Array.new(pool.capacity - 1) { arrival(inbox).status }).to all(eq(:succeeded))
    expect(called).to be_empty
  end

  next unless abilities.include?(:abandons)

  it "abandons an attempt that ignores its end" do
    called = Queue.new
    gate = Queue.new
    deaf = PooledAttempt.new(1) { Thread.handle_interrupt(Object => :never) { held(1, called, gate).call } }
    pool.submit(deaf)
    arrival(called)
    expect(pool.abandon(deaf, deaf.outcome(:timed_out))).to be(true)
    expect(arrival(inbox).status).to eq(:timed_out)
    expect(outcomes_of(PooledAttempt.new(2) { :next }).map(&:output)).to eq([:next])
    gate.close
    pool.shutdown
    expect(inbox).to be_empty
    expect(pool.abandon(deaf)).to be(false) # Nothing calls it any more.
  end
end

RSpec.shared_examples "an attempt for pools" do
  it "has each method that a pool may ask for, with the same parameters" do
    expect(PooledAttempt.public_instance_methods(false)).to match_array(PooledAttempt::METHODS)
    expect(PooledAttempt::METHODS.reject { |name| attempt.respond_to?(name) }).to be_empty
    expect(attempt.method(:call).arity).to eq(-1)
    expect(attempt.method(:outcome).parameters).to include(%i[req status], %i[key error], %i[key fatal])
    expect(attempt.method(:stops_run?).arity).to eq(1)
  end

  it "returns an outcome with its token, whether it is called or not" do
    statuses = %i[interrupted died withdrawn]
    expect(statuses.map { |status| attempt.outcome(status).to_a.first(2) }).to eq(statuses.map { |status| [attempt.token, status] })
    fatal = Interrupt.new
    expect(attempt.outcome(:interrupted, fatal: fatal).fatal).to equal(fatal)
    outcome = attempt.call
    expect([outcome.token, attempt.stops_run?(outcome)]).to eq([attempt.token, false])
    expect(Marshal.load(Marshal.dump(outcome))).to eq(outcome)
  end

  it "stops the run if it is interrupted or dies, and not if it returns" do
    expect(%i[interrupted died].map { |status| attempt.stops_run?(attempt.outcome(status)) }).to eq([true, true])
    expect(attempt.always?).to be(false)
  end
end
