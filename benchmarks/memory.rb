# frozen_string_literal: true

# What a pipeline and the result of its run hold, seen from outside: how much a process of its own grew.
require_relative "support/measure"
require "rbconfig"

LIB = File.expand_path("../lib", __dir__)
STEPS = 100_000

# What is to be measured stands between two readings, each after a garbage collection.
def growth(code)
  program = <<~RUBY
    require #{File.join(__dir__, "support/graphs").inspect}
    def resident
      GC.start
      Integer(`ps -o rss= -p \#{Process.pid}`)
    end
    Graphs.define(Graphs.chain(10)).run
    before = resident
    kept = #{code}
    print resident - before
  RUBY
  Integer(IO.popen([RbConfig.ruby, "-I", LIB, "-e", program], &:read))
end

def kilobytes(code)
  Measure.median(Array.new(5) { growth(code) }) / STEPS.to_f
end

Measure.heading "A step of 100,000 in memory, defined and run"
{ chain: "chain", fan: "1→N→1" }.each do |graph, label|
  floor = kilobytes("Graphs.#{graph}(#{STEPS}).then { |graph| [graph, Graphs.call_by_hand(graph)] }")
  { define: "define { |p| p.step … }", define_bare: "define { step … }" }.each do |form, words|
    figure = kilobytes("Graphs.#{form}(Graphs.#{graph}(#{STEPS})).then { |pipeline| [pipeline, pipeline.run] }")
    Measure.row("#{label}, #{words}", figure, "KB", than: ["blocks and outputs in Hashes", floor], ratio: figure / floor, most: 1.5)
  end
end
