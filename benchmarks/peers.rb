# frozen_string_literal: true

# The same graphs, run by other libraries for graphs of work. The overhead is compared: the time above that of a loop that
# calls the blocks. The time to define a graph is not measured, except for futures, which are created for every run.
require_relative "support/graphs"
require_relative "support/measure"
require "rake"

MICRO = 1e6

# Rake tasks, in an application of their own.
module RakeTasks
  # @return [#call] runs the graph; {reenable} it after that
  def self.of(graph)
    application = Rake::Application.new
    graph.each { |name, (block, on)| application.define_task(Rake::Task, name => on, &storing(block, on)) }
    application
  end

  # Tasks have no outputs, so the application stores them.
  def self.storing(block, inputs)
    proc { |task| task.application.options[task.name] = block.call(*inputs.first(1).map { |name| task.application.options[name.name] }) }
  end

  def self.reenable(application)
    application.tasks.each(&:reenable)
  end
end

# Futures of concurrent-ruby, where it is installed.
module Futures
  def self.run(graph)
    futures = {}
    graph.each do |name, (block, on)|
      futures[name] =
        case on.size
        when 0 then Concurrent::Promises.future(&block)
        when 1 then futures[on.first].then(&block)
        else Concurrent::Promises.zip(*futures.values_at(*on)).then { |*inputs| block.call(inputs) }
        end
    end
    futures.each_value(&:value!)
  end
end

# @return [Boolean] whether the library is installed
def installed?(library)
  require library
  true
rescue LoadError
  puts "  #{library}: not installed, left out"
  false
end

def compare(label, graph, peer, run, before: -> {})
  pipeline = Graphs.define(graph)
  blocks = { peer: run, flowline: -> { pipeline.run }, hand: -> { Graphs.call_by_hand(graph) } }
  times = Measure.times(blocks, per: graph.size, before: before, rounds: 7)
  over = %i[peer flowline].to_h { |name| [name, (times[name] - times[:hand]) * MICRO] }
  Measure.row("#{label}, #{peer}", over[:peer], "µs", than: ["Flowline", over[:flowline]], ratio: times.ratio_above(:hand, :peer, :flowline),
                                                      least_times: 20)
end

# Rake calls itself for every prerequisite, and searches all callers for a cycle each time, so that chains must be short.
GRAPHS = { "chain of 500" => Graphs.chain(500), "1→N→1 of 10,000" => Graphs.fan(10_000) }.freeze

Measure.heading "Overhead a step: peers against Flowline"
GRAPHS.each do |label, graph|
  tasks = RakeTasks.of(graph)
  last = tasks[graph.keys.last.to_s]
  compare(label, graph, "rake", -> { last.invoke }, before: -> { RakeTasks.reenable(tasks) })
end
GRAPHS.each { |label, graph| compare(label, graph, "concurrent-ruby futures", -> { Futures.run(graph) }) } if installed?("concurrent")
