# frozen_string_literal: true

module Flowline
  module Recording
    # The records of the run to resume, and of the runs that it resumed itself. It is empty if no run is resumed. {Memory} and
    # {Journal} read it when they are made, and the planner decides by it.
    # @api private
    class Checkpoint
      NOTHING = {}.freeze
      private_constant :NOTHING

      # @return [Store::Run, nil] the run to resume
      attr_reader :run
      # @return [Hash{Symbol => Entry}] its completed steps, by name
      attr_reader :entries
      # @return [Hash{Symbol => String}] how its steps ended; of a step that it left out, how that ended in the run before it
      attr_reader :outcomes

      # @param run [Store::Run, nil]
      # @param entries [Hash{Symbol => Entry}]
      # @param outcomes [Hash{Symbol => String}]
      # @param items [Hash{Symbol => Items}, nil]
      def initialize(run = nil, entries: NOTHING, outcomes: NOTHING, items: nil)
        @run = run
        @entries = entries
        @outcomes = outcomes
        @items = items
      end

      # The items of a copy are its own.
      def initialize_copy(other)
        super
        @items = other.items.dup
      end

      # @return [Hash{Symbol => Items}] by step, the recorded items of steps that have not ended
      def items = @items ||= {}

      # Drops stale records.
      # @param outputs [Array<Symbol>] the steps whose outputs are stale
      # @param mapped [Array<Symbol>] the steps whose items are stale
      # @return [void]
      def forget(outputs, mapped)
        @entries = @entries.except(*outputs) unless outputs.empty?
        @items = items.except(*mapped) unless mapped.empty?
      end

      # @return [String] without values, some of which are secret
      def inspect = "#<#{self.class}>"
    end
  end
end
