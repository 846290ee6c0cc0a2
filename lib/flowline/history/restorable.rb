# frozen_string_literal: true

require "set"

module Flowline
  module History
    # Finds which steps of a run a run that resumes it would restore, as far as the record alone says it: those whose outputs are
    # recorded, and were made of outputs that are there again. A step that ran although one before it failed is called again after
    # that one. The plan of a run also knows whether code has changed.
    # @api private
    class Restorable
      # @param nodes [Array<Hash>, nil] the steps of the graph; nil: it is not known
      # @param outcomes [Hash{String => String}] what is recorded, by step
      # @param outputs [Enumerable<String>] the steps whose outputs are recorded
      def initialize(nodes, outcomes, outputs)
        @nodes = nodes || []
        @outcomes = outcomes
        @outputs = outputs.to_set
      end

      # @return [Array<String>] the names of the steps
      def names
        again = lost
        @outputs.select { |name| @outcomes[name] == "succeeded" && !again.include?(name) }
      end

      private

      # @return [Set<String>] the steps that are called again, and those after them
      def lost
        open = @nodes.each_index.reject { |at| there?(@nodes[at][:name]) }
        seen = open.to_set
        while (at = open.pop)
          dependents[at].each { |later| open << later if seen.add?(later) }
        end
        seen.to_set { |position| @nodes[position][:name] }
      end

      def dependents
        @dependents ||= Array.new(@nodes.size) { [] }.tap do |lists|
          @nodes.each_with_index { |node, at| node.fetch(:after, []).each { |before| lists[before]&.push(at) } }
        end
      end

      # Whether its output is there again, from the record or a cache.
      def there?(name)
        @outcomes[name] == "cached" || (@outcomes[name] == "succeeded" && @outputs.include?(name))
      end
    end
  end
end
