# frozen_string_literal: true

module Flowline
  # A nested pipeline within a graph: its steps are part of the graph, it has no step of its own.
  class Group
    # @return [Symbol] +clean+, or +outer.clean+ within another
    attr_reader :name
    # @return [Symbol, nil] the nested pipeline it belongs to
    attr_reader :parent
    # @return [Hash{Symbol => Symbol}] by the names the nested pipeline knows, the steps and groups whose
    #   outputs are its output
    attr_reader :leaves
    # @return [String, nil] what it is for
    attr_reader :description
    # @return [String, nil] +file:line+
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

    # The group as part of another pipeline.
    # @api private
    def placed(group: nil)
      moved = leaves.transform_values { |name| yield name }
      Group.new(yield(name), leaves: moved, parent: parent ? yield(parent) : group, description: description, place: place)
    end
  end
end
