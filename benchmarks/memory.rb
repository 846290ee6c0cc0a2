# frozen_string_literal: true

# Measures the memory of a pipeline and of the result of its run: the growth of a separate process.
# With arguments, this program is such a process: `ruby -Ilib benchmarks/memory.rb chain plain` prints kilobytes.
require_relative "support/measure"
require "flowline"
require "rbconfig"

STEPS = 100_000

# The dependencies of each step. They are computed one by one, so that no list of them is measured.
SHAPES = {
  "chain" => ->(n) { n.zero? ? nil : :"s#{n - 1}" },
  "1→N→1" => ->(n) { n == STEPS - 1 ? Array.new(n - 1) { |other| :"s#{other + 1}" } : (:s0 if n.positive?) }
}.freeze

FORMS = {
  "plain" => ->(on) { Flowline.define { |p| STEPS.times { |n| p.step(:"s#{n}", depends_on: on[n]) { |input| input } } } },
  "bare" => ->(on) { Flowline.define { STEPS.times { |n| step(:"s#{n}", depends_on: on[n]) { |input| input } } } }
}.freeze

# The floor: the blocks and their dependencies in a Hash, the outputs in another.
def run_by_hand(dependencies)
  graph = STEPS.times.to_h { |n| [:"s#{n}", [proc { |input| input }, Array(dependencies[n])]] }
  [graph, graph.each_with_object({}) { |(name, (block, on)), outputs| outputs[name] = block.call(outputs[on.first]) }]
end

def run_pipeline(form, dependencies)
  pipeline = FORMS.fetch(form)[dependencies]
  [pipeline, pipeline.run!]
end

# In kilobytes, after a garbage collection.
def resident
  GC.start
  Integer(`ps -o rss= -p #{Process.pid}`)
end

def growth(shape, form)
  Flowline.define { |p| p.step(:warm) {} }.run
  before = resident
  held = form == "floor" ? run_by_hand(SHAPES.fetch(shape)) : run_pipeline(form, SHAPES.fetch(shape))
  [resident - before, held].first
end

def growth_of_child(shape, form)
  library = File.expand_path("../lib", __dir__)
  Integer(IO.popen([RbConfig.ruby, "-I", library, __FILE__, shape, form], &:read))
end

def a_step(shape, form)
  Measure.median(Array.new(5) { growth_of_child(shape, form) }) / STEPS.to_f
end

def table
  Measure.heading "A step of 100,000 in memory, defined and run"
  SHAPES.each_key do |shape|
    floor = a_step(shape, "floor")
    { "plain" => "define { |p| p.step … }", "bare" => "define { step … }" }.each do |form, words|
      figure = a_step(shape, form)
      Measure.row("#{shape}, #{words}", figure, "KB", than: ["blocks and outputs in Hashes", floor], ratio: figure / floor, most: 1.5)
    end
  end
end

ARGV.empty? ? table : print(growth(*ARGV.map { |argument| argument.dup.force_encoding("UTF-8") }))
