# frozen_string_literal: true

# Other ways to run a graph in threads, with which Flowline's order is compared. Each gets the graph as in {Graphs}.
module Schedulers
  module_function

  # Level by level: all of a level must have ended before the next begins.
  def waves(graph, threads)
    depths = {}
    graph.each { |name, (_, on)| depths[name] = on.map { |before| depths[before] + 1 }.max || 0 }
    outputs = {}
    graph.keys.group_by { |name| depths[name] }.sort.each do |_, names|
      in_threads(threads, names) { |name| outputs[name] = call(graph, name, outputs) }
    end
    outputs
  end

  # A step starts when its last dependency has ended; the step that became ready first is called first.
  def fifo(graph, threads)
    open = graph.transform_values { |_, on| on.size }
    dependents = graph.each_with_object(Hash.new { |all, name| all[name] = [] }) { |(name, (_, on)), all| on.each { |before| all[before] << name } }
    ready = Queue.new
    open.each { |name, count| ready << name if count.zero? }
    outputs = {}
    guard = Mutex.new
    workers = Array.new(threads) do
      Thread.new do
        while (name = ready.pop)
          output = call(graph, name, outputs)
          guard.synchronize do
            outputs[name] = output
            dependents[name].each { |after| ready << after if (open[after] -= 1).zero? }
            ready.close if outputs.size == graph.size
          end
        end
      end
    end
    workers.each(&:join)
    outputs
  end

  # Runs a fixed list of work from a queue.
  def in_threads(threads, work)
    queue = Queue.new
    work.each { |item| queue << item }
    queue.close
    Array.new([threads, work.size].min) do
      Thread.new do
        while (item = queue.pop)
          yield item
        end
      end
    end.each(&:join)
  end

  def call(graph, name, outputs)
    block, on = graph[name]
    block.call(*outputs.values_at(*on))
  end
end
