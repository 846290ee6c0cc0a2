# frozen_string_literal: true

module Flowline
  class Pipeline
    # The graph of a pipeline as data for history: what is needed to draw and to explain it when its definition is gone.
    # @api private
    class Snapshot
      # The options of a step that are part of it, if they are given.
      OPTIONS = %i[description tags input output each run_if optional uses].freeze
      # The maximum number of characters of a text.
      MOST = 500
      private_constant :OPTIONS, :MOST

      # @param dag [DAG] without problems
      def initialize(dag)
        @dag = dag
      end

      # @return [Native::Snapshot] made when it is first asked for
      def native
        @native ||= @dag.graph.snapshot(steps, groups)
      end

      private

      def steps
        positions = @dag.groups.keys.each_with_index.to_h
        @dag.steps.map { |step| [step.name.name, positions[step.group], step.place, details(step.options)] }
      end

      def groups
        positions = @dag.groups.keys.each_with_index.to_h
        @dag.groups.each_value.map do |group|
          [group.name.name, positions[group.parent], group.place, group.description && [["description", text(group.description)]]]
        end
      end

      # @return [Array<Array(String, Object)>, nil] names, and a text or several
      def details(options)
        return if options.empty?

        OPTIONS.filter_map do |name|
          value = options[name]
          [name.name, value.is_a?(Array) || value.is_a?(Hash) ? texts(value) : text(value)] unless value.nil? || value == false
        end
      end

      def texts(values)
        values.is_a?(Hash) ? values.map { |name, value| "#{text(name)}: #{text(value)}" } : values.map { |value| text(value) }
      end

      def text(value)
        plain = value.is_a?(Module) || value.is_a?(Symbol) || value.is_a?(String) ? value.to_s : value.inspect
        Error.text(plain)[0, MOST]
      end
    end
  end
end
