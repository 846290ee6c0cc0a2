# frozen_string_literal: true

# Measures the cost of a run without the cost of its steps. The floor calls the same blocks in a loop and stores the results in a Hash.
require_relative "support/graphs"
require_relative "support/measure"

MICRO = 1e6
FLOOR = "the loop"

def compare(label, graph, gc: true, **goals)
  plain = Graphs.define(graph)
  bare = Graphs.define_bare(graph)
  blocks = { hand: -> { Graphs.call_by_hand(graph) }, plain: -> { plain.run }, bare: -> { bare.run } }
  times = Measure.times(blocks, per: graph.size, gc: gc)
  { plain: "define { |p| p.step … }", bare: "define { step … }" }.each do |name, form|
    Measure.row("#{label}, #{form}", times[name] * MICRO, "µs", than: [FLOOR, times[:hand] * MICRO],
                                                                ratio: times.ratio(name, :hand), **goals)
  end
end

Measure.heading "A step of 10,000 that do nothing, sequential, in memory"
compare("chain", Graphs.chain(10_000), most: 0.6, most_times: 3)
compare("1→N→1", Graphs.fan(10_000), most: 0.6, most_times: 3)
compare("chain, no GC", Graphs.chain(10_000), gc: false)
compare("1→N→1, no GC", Graphs.fan(10_000), gc: false)

Measure.heading "A step of 100,000 against a step of 1,000"
%i[chain fan].each do |kind|
  large, small = [100_000, 1_000].map { |size| Graphs.public_send(kind, size) }
  many = Graphs.define(large)
  few = Graphs.define(small)
  times = Measure.times({ many: -> { many.run }, few: -> { 100.times { few.run } },
                          loop_of_many: -> { Graphs.call_by_hand(large) }, loop_of_few: -> { 100.times { Graphs.call_by_hand(small) } } },
                        per: 100_000)
  label = kind == :chain ? "chain" : "1→N→1"
  Measure.row(label, times[:many] * MICRO, "µs", than: ["of 1,000", times[:few] * MICRO], ratio: times.ratio(:many, :few), most_times: 1.5)
  Measure.row("#{label}, #{FLOOR}", times[:loop_of_many] * MICRO, "µs", than: ["of 1,000", times[:loop_of_few] * MICRO],
                                                                        ratio: times.ratio(:loop_of_many, :loop_of_few))
end

Measure.heading "The whole run of a pipeline of 5 steps"
plain = Flowline.define do |p|
  p.step(:fetch) { [3, 1, 2] }
  p.step(:sort, depends_on: :fetch) { |rows| rows }
  p.step(:count, depends_on: :fetch) { |rows| rows }
  p.step(:report, depends_on: %i[sort count]) { |sort, _count| sort }
  p.step(:save, depends_on: :report) { |report| report }
end
bare = Flowline.define do
  step(:fetch) { [3, 1, 2] }
  step(:sort, depends_on: :fetch) { |rows| rows }
  step(:count, depends_on: :fetch) { |rows| rows }
  step(:report, depends_on: %i[sort count]) { |sort, _count| sort }
  step(:save, depends_on: :report) { |report| report }
end
graph = plain.steps.to_h { |step| [step.name, [step.callable, step.depends_on]] }
hand = proc do
  outputs = {}
  graph.each { |name, (block, on)| outputs[name] = block.call(*outputs.values_at(*on)) }
end
times = Measure.times({ hand: -> { 1_000.times(&hand) }, plain: -> { 1_000.times { plain.run } }, bare: -> { 1_000.times { bare.run } } },
                      per: 1_000)
{ plain: "define { |p| p.step … }", bare: "define { step … }" }.each do |name, form|
  Measure.row(form, times[name] * MICRO, "µs", than: [FLOOR, times[:hand] * MICRO], ratio: times.ratio(name, :hand), most: 25)
end
