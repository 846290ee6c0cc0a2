# frozen_string_literal: true

module Flowline
  module Arguments
    # The call of every step of a pipeline, of its conditions and of its cache key: resolved once, with and without an
    # +input:+.
    # @api private
    class CallTable
      # @return [Hash{Integer => Array<Array(BoundCall, Boolean)>}] by step, its conditions and what each must return
      attr_reader :conditions
      # @return [Hash{Integer => Hash{Boolean => BoundCall}}] by step, and by whether the run has an input, the call of its +key:+
      attr_reader :keys

      # @param dag [DAG]
      # @param params [Array<Symbol>] the names of the pipeline's params
      def initialize(dag, params)
        @dag = dag
        @params = params
        @conditions = {}
        @keys = {}
        @problems = { true => {}, false => {} }
        @with_input = {}
        plain = build
        replaced = @with_input.each_with_object(plain.dup) { |(id, call), calls| calls[id] = call } unless @with_input.empty?
        @calls = { false => plain.freeze, true => (replaced || plain).freeze }
        [@conditions, @keys, @with_input, *@problems.values].each(&:freeze)
        freeze
      end

      # @param input [Boolean] whether the run has one
      # @return [Array<BoundCall>] by step
      def for(input:)
        @calls[input]
      end

      # @return [Array<DefinitionError>] the problems that no including pipeline can solve
      def final_problems
        errors(hopeless, &:final)
      end

      # @param input [Boolean, nil] whether the run has one; nil: either will do
      # @return [Array<DefinitionError>] the steps, conditions and keys that cannot be called
      def problems(input: nil)
        errors(input.nil? ? hopeless : @problems[input])
      end

      private

      # Returns the steps that cannot be called with an input nor without one.
      def hopeless
        @problems[false].select { |id, _| @problems[true].key?(id) }
      end

      def build
        index = @dag.index
        calls = []
        @dag.steps.each_with_index do |step, id|
          options = step.options
          prepare(step, id, options) unless options.empty?
          calls << ((BoundCall::Compiler.of_block(step, index) unless options.key?(:each)) || resolve(step, id))
        end
        calls
      end

      def prepare(step, id, options)
        resolve_conditions(step, id) if options.key?(:when) || options.key?(:unless)
        resolve_key(step, id) if options[:cache].is_a?(Hash)
      end

      def resolve(step, id)
        sources = sources(step)
        signature = Signature.of(step.callable)
        return compile(step, id, step.callable, signature, sources) unless step.depends_on.empty?

        call = compile(step, id, step.callable, signature, sources, modes: [false])
        # Only a step with positional parameters is called differently when there is an input.
        if call.nil? || signature.parameters.any? { |kind, _| %i[req opt rest].include?(kind) }
          @with_input[id] = compile(step, id, step.callable, signature, sources, modes: [true])
        end
        call
      end

      def resolve_conditions(step, id)
        sources = sources(step)
        @conditions[id] = %i[when unless].flat_map do |word|
          given = step.options[word]
          (given.is_a?(Array) ? given : [given].compact).map do |condition|
            [compile(step, id, condition, Signature.of(condition), sources, labels: step.labels, first: Binding::CONTEXT), word == :when]
          end
        end
      end

      def resolve_key(step, id)
        key = step.options[:cache][:key] or return
        sources = sources(step)
        @keys[id] = [false, true].to_h { |input| [input, compile(step, id, key, Signature.of(key), sources, modes: [input])] }
      end

      def sources(step)
        step.labels.zip(step.depends_on).to_h { |label, name| [label, @dag.source(name)] }
      end

      # The modes are the values of +input+ that this call is for.
      def compile(step, id, callable, signature, sources, modes: [false, true], labels: labels_without_items(step), first: step.each && Binding::ITEM)
        binding = Binding.resolve(signature.parameters, dependencies: labels, params: @params, input: modes == [true], first: first)
        return BoundCall::Compiler.of(callable, signature, binding, sources) if binding.problems.empty?

        modes.each { |mode| (@problems[mode][id] ||= []).concat(binding.problems) }
        nil
      end

      def labels_without_items(step)
        step.each ? step.labels - [step.each] : step.labels
      end

      def errors(problems, &wanted)
        problems.flat_map do |id, found|
          step = @dag.steps[id]
          found = found.select(&wanted) if wanted
          found.map { |problem| DefinitionError.new("step #{Name.show(step.name)} #{problem.sentence}", place: step.place) }
        end
      end
    end
  end
end
