# frozen_string_literal: true

module Flowline
  module Planning
    # The outputs that +given:+ has for steps and nested pipelines, which are then not called in a run.
    # @api private
    class Given
      # @param pipeline [Pipeline]
      # @param given [Hash{Symbol, String => Object}, Object] by step or nested pipeline
      # @param problems [Array<String>] gets what is wrong
      # @return [Given, nil] nil: there are none
      def self.of(pipeline, given, problems)
        new(pipeline, given, problems) if given.is_a?(Hash) && given.any?
      end

      # @return [Hash{Integer => Object}] by step
      attr_reader :outputs

      def initialize(pipeline, given, problems)
        @dag = pipeline.dag
        @params = pipeline.params
        @outputs = {}
        @problems = problems
        given.each { |name, output| add(Name.of(name), output) }
      end

      # Returns the steps that need not run, because only steps with given outputs depend on them.
      # @return [Hash{Integer => true}]
      def unneeded
        idle = @dag.steps.each_index.flat_map { |id| @dag.inputs(id) }.to_h { |id| [id, true] }
        @dag.order.reverse_each do |id| # Each before the steps that it depends on.
          @dag.inputs(id).each { |before| idle.delete(before) } unless idle[id] || outputs.key?(id)
        end
        idle.except(*outputs.keys)
      end

      private

      def add(name, output)
        known = @dag.index.keys + @dag.groups.keys
        return place(name, @dag.source(name), output) if known.include?(name)

        suggestion = Name.suggest(name, known, known: "there are")
        @problems << "run: given: there is no step #{Name.show(name)}#{suggestion}#{Param.namesake(:given, @params)}"
      end

      # @param source [Integer, Hash] the step, or by name several that a nested pipeline ends with
      def place(name, source, output)
        return @outputs[source] = output if source.is_a?(Integer)

        by_name = output.transform_keys { |key| Name.of(key) } if output.is_a?(Hash)
        if by_name&.keys&.sort == source.keys.sort
          source.each { |leaf, inner| place(:"#{name}.#{leaf}", inner, by_name[leaf]) }
        else
          leaves = source.keys.map { |leaf| Name.show(leaf) }.join(", ")
          @problems << "run: given: #{Name.show(name)} has several outputs, so give a Hash with #{leaves}"
        end
      end
    end
  end
end
