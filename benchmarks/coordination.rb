# frozen_string_literal: true

# Measures the cost of a thread that coordinates a run and hands attempts to workers, compared with workers that take their
# next step themselves: a prototype of such workers over the same core. docs/architecture.md reports the result.
require_relative "support/graphs"
require_relative "support/measure"

# Workers that report the outcome of a step and take the next step, under one lock.
class SelfServing
  CORE = Flowline.send(:const_get, :Native)::Run
  private_constant :CORE

  def initialize(pipeline, size)
    @calls = pipeline.calls.for(input: false)
    @outputs = Array.new(pipeline.dag.size)
    @run = CORE.new(pipeline.dag.graph, false)
    @size = size
    @lock = Mutex.new
    @more = ConditionVariable.new
    @idle = 0
    @threads = []
  end

  def run
    @lock.synchronize { start }
    @threads.each(&:join) # Grows meanwhile.
  end

  private

  def start
    @threads << Thread.new do
      id = settle
      id = settle(id, @calls[id].call(@outputs, nil)) while id
    end
  end

  def settle(id = nil, output = nil)
    @lock.synchronize do
      if id
        @outputs[id] = output
        @run.report(id, :succeeded, nil)
      end
      following = wait_for_step
      return @more.broadcast && nil unless following

      share_work if @run.ready?
      following
    end
  end

  def share_work
    return @more.signal if @idle.positive?

    start if @threads.size < @size
  end

  def wait_for_step
    while Float === (following = @run.next)
      @idle += 1
      @more.wait(@lock)
      @idle -= 1
    end
    following
  end
end

# Holds Ruby's global lock for this many seconds.
def compute(seconds)
  clock = Process::CLOCK_THREAD_CPUTIME_ID
  start = Process.clock_gettime(clock)
  nil while Process.clock_gettime(clock) - start < seconds
end

def chains(count, length, &work)
  Array.new(count) { |c| Array.new(length) { |n| [:"s#{c}_#{n}", [proc { |*| work.call }, n.zero? ? [] : [:"s#{c}_#{n - 1}"]]] } }.flatten(1).to_h
end

waits = chains(4, 40) { sleep 0.005 }
computing = chains(4, 10) { compute(0.05) }.to_h { |name, (block, on)| [:"c#{name}", [block, on.map { |before| :"c#{before}" }]] }

MICRO = 1e6
{ "10,000 no-op steps, 1→N→1, 4 threads" => [Graphs.fan(10_000), 4],
  "10,000 no-op steps, chain, 4 threads" => [Graphs.chain(10_000), 4],
  "8 chains of 50 waits of 2 ms, 8 threads" => [chains(8, 50) { sleep 0.002 }, 8],
  "4 chains of waits of 5 ms, 4 that compute 50 ms, 8 threads" => [waits.merge(computing), 8] }.each do |label, (graph, threads)|
  Measure.heading label
  pipeline = Graphs.define(graph)
  times = Measure.times({ self_serving: -> { SelfServing.new(pipeline, threads).run },
                          coordinated: -> { pipeline.run(executor: :parallel, max_threads: threads) } }, per: graph.size)
  Measure.row("a step", times[:coordinated] * MICRO, "µs", than: ["workers that take steps themselves", times[:self_serving] * MICRO],
                                                           ratio: times.ratio(:coordinated, :self_serving))
end
