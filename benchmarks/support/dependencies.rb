# frozen_string_literal: true

require "tsort"

# Names and their dependencies, as in TSort's documentation: the way to order steps without Flowline.
class Dependencies < Hash
  include TSort

  # @param graph [Hash{Symbol => Array(Proc, Array<Symbol>)}] as in {Graphs}
  # @return [Dependencies]
  def self.of(graph)
    graph.each_with_object(new) { |(name, (_, on)), all| all[name] = on }
  end

  alias tsort_each_node each_key

  def tsort_each_child(node, &block)
    fetch(node).each(&block)
  end
end
