# frozen_string_literal: true

# The cost of defining a pipeline, against a Hash of the same steps that TSort orders.
require_relative "support/graphs"
require_relative "support/measure"
require_relative "support/dependencies"

MICRO = 1e6
STEPS = 100_000
FORMS = { plain: "define { |p| p.step … }", bare: "define { step … }" }.freeze

def compare(label, graph, gc: true, **goals)
  repeat = ->(&work) { -> { (STEPS / graph.size).times(&work) } }
  blocks = { hash: repeat.call { Dependencies.of(graph).tsort }, plain: repeat.call { Graphs.define(graph) },
             bare: repeat.call { Graphs.define_bare(graph) } }
  times = Measure.times(blocks, per: STEPS, rounds: 5, gc: gc)
  FORMS.each do |name, form|
    Measure.row("#{label}, #{form}", times[name] * MICRO, "µs", than: ["a Hash and TSort", times[:hash] * MICRO],
                                                                ratio: times.ratio(name, :hash), **goals)
  end
end

bushy = Graphs.bushy(STEPS)
shuffled = bushy.to_a.shuffle(random: Random.new(1)).to_h

Measure.heading "A step defined"
compare("of 1,000, alone", Graphs.loose(1_000), most: 10)
compare("of 100,000, alone", Graphs.loose(STEPS), most: 10)
compare("of 1,000, two inputs", Graphs.bushy(1_000), most: 10)
compare("of 100,000, two inputs", bushy, most: 10)
compare("of 100,000, two inputs, no GC", bushy, gc: false)

# From Step objects to an Array of names. Nearly all of it is reading 100,000 Ruby objects and 300,000 Symbols, which TSort is given
# in a Hash: benchmarks/core.rb has the goal, for what validates and orders.
Measure.heading "A step of 100,000 validated and ordered: TSort on a Hash against DAG#sorted_steps on steps"
{ "defined in order" => bushy, "defined in any order" => shuffled }.each do |label, graph|
  steps = graph.map { |name, (block, on)| Flowline::Step.new(name, depends_on: on, &block) }
  hash = Dependencies.of(graph)
  times = Measure.times({ tsort: -> { hash.tsort }, dag: -> { Flowline::DAG.new(steps).sorted_steps } }, per: STEPS, rounds: 7)
  Measure.row(label, times[:tsort] * MICRO, "µs", than: ["DAG", times[:dag] * MICRO], ratio: times.ratio(:tsort, :dag))
end
