# frozen_string_literal: true

module Flowline
  class Definition
    # A nested pipeline within a graph. Its steps are part of the graph; it has no step of its own.
    class Group
      # @return [Symbol] +clean+, or +outer.clean+ within another
      attr_reader :name
      # @return [Symbol, nil] the nested pipeline it belongs to
      attr_reader :parent
      # @return [Hash{Symbol => Symbol}] the steps and nested pipelines whose outputs are its output, by the names that they
      #   have within it
      attr_reader :leaves
      # @return [String, nil] its purpose
      attr_reader :description
      # @return [String, nil] its source location as +file:line+
      attr_reader :place

      # @api private
      def initialize(name, leaves:, parent: nil, description: nil, place: nil)
        @name = name
        @leaves = leaves.freeze
        @parent = parent
        @description = description
        @place = place
        freeze
      end

      # Returns the group as part of another pipeline, with the names that the block returns.
      # @api private
      def placed(group: nil)
        moved = leaves.transform_values { |name| yield name }
        Group.new(yield(name), leaves: moved, parent: parent ? yield(parent) : group, description: description, place: place)
      end
    end
  end
end
