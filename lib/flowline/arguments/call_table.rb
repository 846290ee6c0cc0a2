# frozen_string_literal: true

module Flowline
  module Arguments
    # The call of every step of a pipeline, of its conditions and of its cache key, and of the conditions of nested pipelines:
    # resolved once, with and without an +input:+.
    # @api private
    class CallTable
      # @return [Hash{Integer => Array<Array(BoundCall, Boolean)>}] by step, its conditions and what each must return
      attr_reader :conditions
      # @return [Hash{Integer => true}] the steps whose callable takes the context
      attr_reader :contextual
      # @return [Hash{Symbol => Array<Array(BoundCall, Boolean)>}] the same by nested pipeline
      attr_reader :group_conditions
      # @return [Hash{Integer => Hash{Boolean => BoundCall}}] by step, and by whether the run has an input, the call of its +key:+
      attr_reader :keys

      # @param dag [DAG]
      # @param params [Array<Symbol>] the names of the pipeline's params
      def initialize(dag, params)
        @dag = dag
        @params = params
        @conditions = {}
        @group_conditions = {}
        @keys = {}
        @contextual = {}
        @problems = { true => {}, false => {} }
        @with_input = {}
        plain = build
        replaced = @with_input.each_with_object(plain.dup) { |(id, call), calls| calls[id] = call } unless @with_input.empty?
        @calls = { false => plain.freeze, true => (replaced || plain).freeze }
        [@conditions, @group_conditions, @keys, @contextual, @with_input, *@problems.values].each(&:freeze)
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
        @problems[false].select { |owner, _| @problems[true].key?(owner) }
      end

      def build
        index = @dag.index
        calls = []
        @dag.groups.each_value { |group| resolve_group_conditions(group) unless group.conditions.empty? }
        @dag.steps.each_with_index do |step, id|
          options = step.options
          prepare(step, id, options) unless options.empty?
          calls << ((BoundCall::Compiler.of_block(step, index) unless options.key?(:each)) || resolve(step, id))
          @contextual[id] = true if calls.last&.takes_context? || @with_input[id]&.takes_context?
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
        return compile(step, step.callable, sources, signature) unless step.depends_on.empty?

        call = compile(step, step.callable, sources, signature, modes: [false])
        # Only a step with positional parameters is called differently when there is an input.
        if call.nil? || signature.parameters.any? { |kind, _| %i[req opt rest].include?(kind) }
          @with_input[id] = compile(step, step.callable, sources, signature, modes: [true])
        end
        call
      end

      def resolve_conditions(step, id)
        sources = sources(step)
        @conditions[id] = compile_conditions(step, sources, step.group)
      end

      def resolve_group_conditions(group)
        sources = sources(group)
        @group_conditions[group.name] = compile_conditions(group, sources, group.parent)
      end

      # @param owner [Step, Definition::Group]
      # @param within [Symbol, nil] the nested pipeline whose params they get
      def compile_conditions(owner, sources, within)
        { when: true, unless: false }.filter_map do |word, wanted|
          condition = owner.options[word] or next
          [compile(owner, condition, sources, labels: owner.labels, first: Binding::CONTEXT, what: word, within: within), wanted]
        end
      end

      def resolve_key(step, id)
        key = step.options[:cache][:key] or return
        sources = sources(step)
        @keys[id] = [false, true].to_h { |input| [input, compile(step, key, sources, modes: [input], what: :key)] }
      end

      def sources(step)
        step.labels.zip(step.depends_on).to_h { |label, name| [label, @dag.source(name)] }
      end

      # @param owner [Step, Definition::Group]
      # @param modes [Array<Boolean>] the values of +input+ that this call is for
      # @param what [Symbol, nil] the option that the callable is the value of
      # @param within [Symbol, nil] the nested pipeline whose params it gets
      def compile(owner, callable, sources, signature = Signature.of(callable), modes: [false, true], labels: labels_without_items(owner),
                  first: owner.each && Binding::ITEM, what: nil, within: owner.group)
        params = within ? @params | @dag.within(within).flat_map { |group| group.params.keys } : @params
        binding = Binding.resolve(signature.parameters, dependencies: labels, params: params, input: modes == [true], first: first)
        return scoped(BoundCall::Compiler.of(callable, signature, binding, sources), binding, within) if binding.problems.empty?

        modes.each { |mode| (@problems[mode][owner] ||= []).concat(binding.problems.map { |problem| problem.of(what) }) }
        nil
      end

      def scoped(call, binding, within)
        scope = @dag.scope(within) if within && binding.contextual?
        scope ? BoundCall::Scoped.new(call, scope) : call
      end

      def labels_without_items(step)
        step.each ? step.labels - [step.each] : step.labels
      end

      def errors(problems, &wanted)
        problems.flat_map do |owner, found|
          found = found.select(&wanted) if wanted
          found.map { |problem| DefinitionError.new("step #{Name.show(owner.name)} #{problem.sentence}", location: owner.location) }
        end
      end
    end
  end
end
