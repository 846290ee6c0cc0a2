# frozen_string_literal: true

# Measures the cost of running steps in threads and processes, and the quality of the order in which they start.
require "etc"
require "tmpdir"
require_relative "support/graphs"
require_relative "support/measure"
require_relative "support/schedulers"

MICRO = 1e6
MILLI = 1e3

Measure.heading "A step of 10,000 that do nothing, 4 threads"
# A chain has no two steps that could be called at a time, so that nothing is gained by threads: its row has no goal.
{ "1→N→1" => [Graphs.fan(10_000), { most: 5 }], "chain" => [Graphs.chain(10_000), {}] }.each do |label, (graph, goals)|
  pipeline = Graphs.define(graph)
  times = Measure.times({ sequential: -> { pipeline.run }, parallel: -> { pipeline.run(executor: :parallel, max_threads: 4) } }, per: graph.size)
  Measure.row(label, times[:parallel] * MICRO, "µs", than: ["sequential", times[:sequential] * MICRO],
                                                     ratio: times.ratio(:parallel, :sequential), **goals)
end

Measure.heading "1,000 steps that sleep 10 ms, 100 threads"
sleepers = Array.new(1000) { |n| [:"s#{n}", [proc { sleep 0.01 }, []]] }.to_h
pipeline = Graphs.define(sleepers)
times = Measure.times({ floor: -> { Schedulers.in_threads(100, sleepers.keys) { |name| sleepers[name].first.call } },
                        flowline: -> { pipeline.run(executor: :parallel, max_threads: 100) } }, rounds: 7)
Measure.row("all", times[:flowline] * MILLI, "ms", than: ["100 bare threads and a Queue", times[:floor] * MILLI],
                                                   ratio: times.ratio(:flowline, :floor), most_times: 1.1)

# Graphs like those of real pipelines: some steps depend on nothing, most on one or two steps defined shortly before.
# A step takes from SHORTEST milliseconds to forty times as long.
SHORTEST = Float(ENV.fetch("SHORTEST", 5)) / MILLI

def real_shaped(random, steps: 40)
  graph = {}
  steps.times do |n|
    on = n < 3 ? [] : Array.new(random.rand(0..2)) { graph.keys[random.rand([n - 20, 0].max...n)] }.uniq
    seconds = SHORTEST * ((1.0 - random.rand)**-0.8) # Pareto (1896): few take most of the time.
    seconds = [seconds, 40 * SHORTEST].min
    graph[:"s#{n}"] = [proc { |*| sleep seconds }, on, seconds]
  end
  graph
end

# The lower bound of any schedule.
def bound(graph, threads)
  ends = {}
  graph.each { |name, (_, on, seconds)| ends[name] = seconds + (on.map { |before| ends[before] }.max || 0) }
  [ends.values.max, graph.values.sum(&:last) / threads].max
end

def define(name, graph)
  Flowline.define(name: name) { |p| graph.each { |step, (block, on)| p.step(step, depends_on: on, &block) } }
end

Measure.heading "Random graphs of 40 sleeping steps, 4 threads: times the least possible (critical path, or work / 4)"
Dir.mktmpdir do |root|
  Flowline.configure { |config| config.root = root }
  random = Random.new(Integer(ENV.fetch("SEED", 1)))
  ratios = Array.new(Integer(ENV.fetch("GRAPHS", 30))) do |n|
    graph = real_shaped(random)
    known = define("dag#{n}", graph)
    known.run!(executor: :parallel, max_threads: 4) # From now on its times are known.
    runs = { known: -> { known.run!(executor: :parallel, max_threads: 4) },
             unknown: -> { define(nil, graph).run!(executor: :parallel, max_threads: 4) },
             fifo: -> { Schedulers.fifo(graph, 4) }, waves: -> { Schedulers.waves(graph, 4) } }
    runs.transform_values { |run| Measure.once(run, -> {}, true) / bound(graph, 4) }
  end
  { known: "Flowline, times known", unknown: "Flowline, first run", fifo: "first ready, first called", waves: "in waves" }.each do |kind, label|
    of_kind = ratios.map { |ratio| ratio[kind] }
    goal = kind == :known ? { most_times: 1.1 } : {}
    mean = of_kind.sum / of_kind.size
    Measure.row(label, mean, "× on average", than: ["worst", of_kind.max], ratio: Measure.median(of_kind), **goal)
  end
end

Measure.heading "8 steps of pure Ruby arithmetic, about 50 ms each, #{Etc.nprocessors} processors"
count = 1000
count *= 2 while Measure.once(-> { count.times { |i| i * i % 7 } }, -> {}, true) < 0.025
work = proc { (2 * count).times { |i| i * i % 7 } }
pipeline = Flowline.define { |p| 8.times { |n| p.step(:"s#{n}") { work.call } } }
# The best that the machine can do: as many bare children at a time as there are processors.
children = lambda do
  Schedulers.in_threads(Etc.nprocessors, Array.new(8) { |n| n }) do
    Process.wait(fork do
      work.call
      exit!
    end)
  end
end
times = Measure.times({ sequential: -> { pipeline.run! }, process: -> { pipeline.run!(executor: :process) }, bare: children }, rounds: 7)
Measure.row("bare children, as many as processors", times[:bare] * MILLI, "ms", than: ["sequential", times[:sequential] * MILLI],
                                                                                ratio: times.ratio(:sequential, :bare))
goal = (0.9 * Etc.nprocessors).round(2)
Measure.row("executor: :process", times[:process] * MILLI, "ms", than: ["sequential", times[:sequential] * MILLI],
                                                                 ratio: times.ratio(:sequential, :process), least_times: goal)
