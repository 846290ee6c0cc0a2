# frozen_string_literal: true

require "flowline"

# Graphs of steps that do nothing, as data: the same for Flowline, for floors and for peers.
module Graphs
  module_function

  # Returns a new block for every step, as in a pipeline that is written by hand.
  def nothing
    proc {}
  end

  def pass
    proc { |input| input }
  end

  # @return [Hash{Symbol => Array(Proc, Array<Symbol>)}] steps without dependencies
  def loose(size)
    Array.new(size) { |n| [:"s#{n}", [nothing, []]] }.to_h
  end

  # @return [Hash{Symbol => Array(Proc, Array<Symbol>)}] each depends on the one before
  def chain(size)
    Array.new(size) { |n| [:"s#{n}", n.zero? ? [nothing, []] : [pass, [:"s#{n - 1}"]]] }.to_h
  end

  # @return [Hash{Symbol => Array(Proc, Array<Symbol>)}] one, many that depend on it, one that depends on all of these
  def fan(size)
    many = Array.new(size - 2) { |n| :"s#{n}" }
    { first: [nothing, []], **many.to_h { |name| [name, [pass, [:first]]] }, last: [pass, many] }
  end

  # @return [Hash{Symbol => Array(Proc, Array<Symbol>)}] two dependencies for most, and no long paths
  def bushy(size)
    Array.new(size) { |n| [:"s#{n}", n < 2 ? [nothing, []] : [pass, [:"s#{n / 2}", :"s#{n / 3}"].uniq]] }.to_h
  end

  # @return [Flowline::Pipeline] its blocks are called as they are
  def define(graph)
    Flowline.define { |p| graph.each { |name, (block, on)| p.step(name, depends_on: on, &block) } }
  end

  # @return [Flowline::Pipeline] in the bare form; its blocks are called with the +self+ around the definition
  def define_bare(graph)
    Flowline.define do
      graph.each do |name, (_, on)|
        on.empty? ? step(name) {} : step(name, depends_on: on) { |input| input }
      end
    end
  end

  # Calls the same blocks in a loop that stores the outputs: the floor of any runner.
  # @return [Hash{Symbol => Object}] the outputs
  def call_by_hand(graph)
    outputs = {}
    graph.each do |name, (block, on)|
      outputs[name] =
        case on.size
        when 0 then block.call
        when 1 then block.call(outputs[on.first])
        else block.call(outputs.slice(*on))
        end
    end
    outputs
  end
end
