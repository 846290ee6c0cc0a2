# frozen_string_literal: true

# What it costs to define a pipeline, against what one would have to build without it: a Hash, ordered by TSort.
require_relative "support/graphs"
require_relative "support/measure"
require_relative "support/dependencies"

MICRO = 1e6
STEPS = 100_000

bushy = Graphs.bushy(STEPS)
shuffled = bushy.to_a.shuffle(random: Random.new(1)).to_h
blocks = {
  hash: -> { Dependencies.of(bushy).tsort },
  plain: -> { Graphs.define(bushy) },
  bare: -> { Graphs.define_bare(bushy) }
}

Measure.heading "A step of 100,000 defined, two dependencies each"
{ "" => true, ", no GC" => false }.each do |label, gc|
  times = Measure.times(blocks, per: STEPS, rounds: 5, gc: gc)
  { plain: "define { |p| p.step … }", bare: "define { step … }" }.each do |name, form|
    Measure.row("#{form}#{label}", times[name] * MICRO, "µs", than: ["a Hash and TSort", times[:hash] * MICRO],
                                                              ratio: times.ratio(name, :hash), **(gc ? { most: 10 } : {}))
  end
end

Measure.heading "A step of 100,000 validated and ordered: TSort against DAG#sorted_steps"
{ "defined in order" => bushy, "defined in any order" => shuffled }.each do |label, graph|
  steps = graph.map { |name, (block, on)| Flowline::Step.new(name, depends_on: on, &block) }
  hash = Dependencies.of(graph)
  times = Measure.times({ tsort: -> { hash.tsort }, dag: -> { Flowline::DAG.new(steps).sorted_steps } }, per: STEPS, rounds: 7)
  Measure.row(label, times[:tsort] * MICRO, "µs", than: ["DAG", times[:dag] * MICRO], ratio: times.ratio(:tsort, :dag), least_times: 20)
end
