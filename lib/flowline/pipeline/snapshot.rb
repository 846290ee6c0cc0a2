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
      NOTHING = [].freeze
      private_constant :OPTIONS, :MOST, :DIGEST, :NOTHING

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

      # For each step its name, its group, its location and the facts about it: after the name of each a text, or several.
      def steps
        positions = @dag.groups.keys.each_with_index.to_h
        @dag.steps.each_with_index.map do |step, id|
          row = [step.name.name, positions[step.group], step.location]
          describe(row, step.options)
          identify(row, step, id)
          add_params(row, step, id)
        end
      end

      # Adds digests and texts of all that decides whether a recorded output is one of the step as it is now.
      def identify(row, step, id)
        options = step.options
        row << "code" << @code.fingerprint(id).body[0, DIGEST]
        add_conditions(row, step) if options.key?(:when) || options.key?(:unless)
        row << "version" << text(options[:version]) unless options[:version].nil?
        row << "cache" << "true" if options[:cache]
      end

      def add_conditions(row, step)
        digests = @code.conditions(step).map(&:code)
        row << "conditions" << Native.digest(digests)[0, DIGEST] unless digests.empty?
        %i[when unless].each { |word| location(step.options[word])&.then { |line| row << word.name << line } }
      end

      # Adds the params of the run that it takes; "*" if it takes the context.
      def add_params(row, step, id)
        sources = sources(id)
        return row if sources.empty?

        names = sources.grep(Arguments::Binding::Parameter).filter_map { |source| outer(source.name, step.group) }
        names << "*" if sources.include?(:context)
        names.empty? ? row : row.push("params", names.uniq.map { |name| text(name) })
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
          [group.name.name, positions[group.parent], group.location, *(["description", text(group.description)] if group.description)]
        end
      end

      def describe(row, options)
        return if options.empty?

        OPTIONS.each do |name|
          value = options[name]
          row << name.name << (value.is_a?(Array) || value.is_a?(Hash) ? texts(value) : text(value)) unless value.nil? || value == false
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
