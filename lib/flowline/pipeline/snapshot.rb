# frozen_string_literal: true

module Flowline
  class Pipeline
    # The graph of a pipeline as data for history: what is needed to draw and to explain it when its definition is gone.
    # @api private
    class Snapshot
      # The options of a step that are part of it, if they are given.
      OPTIONS = %i[description tags input output each retries run_if optional uses rate].freeze
      # The maximum number of characters of a text, and of a digest.
      MOST = 500
      DIGEST = 16
      CACHED = %w[cache true].freeze
      NOTHING = [].freeze
      private_constant :OPTIONS, :MOST, :DIGEST, :CACHED, :NOTHING

      # @param dag [DAG] without problems
      # @param calls [Arguments::CallTable]
      # @param code [Code]
      def initialize(dag, calls, code)
        @dag = dag
        @calls = calls
        @code = code
      end

      # @return [Native::Snapshot] made when it is first asked for
      def native
        @native ||= @dag.graph.snapshot(steps, groups)
      end

      private

      def steps
        positions = @dag.groups.keys.each_with_index.to_h
        @dag.steps.each_with_index.map do |step, id|
          [step.name.name, positions[step.group], step.location, [*details(step.options), *identity(step), params(step, id)].compact]
        end
      end

      # Digests and texts of all that decides whether a recorded output is one of the step as it is now.
      def identity(step)
        options = step.options
        facts = [["code", @code.fingerprint(step.name).body[0, DIGEST]]]
        facts.concat(conditions(step)) if options.key?(:when) || options.key?(:unless)
        facts << ["version", text(options[:version])] unless options[:version].nil?
        facts << CACHED if options[:cache]
        facts
      end

      def conditions(step)
        lines = %i[when unless].filter_map { |word| location(step.options[word])&.then { |line| [word.name, line] } }
        digests = @code.conditions(step).map(&:code)
        digests.empty? ? lines : [["conditions", Native.digest(digests)[0, DIGEST]], *lines]
      end

      # @return [Array(String, Array<String>), nil] the params of the run that it takes; "*" if it takes the context
      def params(step, id)
        sources = sources(id)
        return if sources.empty?

        names = sources.grep(Arguments::Binding::Parameter).filter_map { |source| outer(source.name, step.group) }
        names << "*" if sources.include?(:context)
        ["params", names.uniq.map { |name| text(name) }] if names.any?
      end

      # @return [Array] where the arguments of a step are from, without and with an input of the run
      def sources(id)
        without, with = (@tables ||= [false, true].map { |input| @calls.for(input: input) }).map { |calls| calls[id]&.sources || NOTHING }
        without.empty? ? with : without + with
      end

      # @return [Symbol, nil] the param of the run to which a param of a nested pipeline is bound; nil: it is bound to a value
      def outer(name, group)
        @dag.within(group).reverse_each.inject(name) do |known, inner|
          bound = inner.params[known] if known
          bound ? bound.source : known
        end
      end

      # @return [String, nil] the line of a condition
      def location(condition)
        condition = condition.block if condition.is_a?(Definition::BoundBlock)
        location = condition.source_location if condition.respond_to?(:source_location)
        location&.join(":")
      end

      def groups
        positions = @dag.groups.keys.each_with_index.to_h
        @dag.groups.each_value.map do |group|
          [group.name.name, positions[group.parent], group.location, group.description && [["description", text(group.description)]]]
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
