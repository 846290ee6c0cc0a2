# frozen_string_literal: true

module Flowline
  module Recording
    # The records of the run to resume, and of the runs that it resumed itself. It is empty if no run is resumed. {Memory} and
    # {Journal} read it when they are made, and the planner decides by it.
    # @api private
    class Checkpoint
      NOTHING = [].freeze
      private_constant :NOTHING

      # @return [Store::Run, nil] the run to resume
      attr_reader :run
      # @return [Array<Entry, nil>] its completed steps, by id; there may be fewer entries than steps
      attr_reader :entries
      # @return [Array<String, nil>] how its steps ended, by id; of a step that it left out, how that ended in the run before it
      attr_reader :outcomes

      # @param run [Store::Run, nil]
      # @param entries [Array<Entry, nil>]
      # @param outcomes [Array<String, nil>]
      # @param items [Hash{Integer => Items}, nil]
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

      # @return [Hash{Integer => Items}] by step, the recorded items of steps that have not ended
      def items = @items ||= {}

      # @return [Array<Integer>] the completed steps whose output has failed items
      def collected = @entries.each_index.select { |id| @entries[id]&.collected }

      # Drops stale records.
      # @param outputs [Array<Integer>] the steps whose outputs are stale
      # @param mapped [Array<Integer>] the steps whose items are stale
      # @return [void]
      def forget(outputs, mapped)
        @entries = @entries.dup.tap { |entries| outputs.each { |id| entries[id] = nil } } unless outputs.empty?
        @items = items.except(*mapped) unless mapped.empty?
      end

      # @return [String] without values, some of which are secret
      def inspect = "#<#{self.class}>"
    end
  end
end
