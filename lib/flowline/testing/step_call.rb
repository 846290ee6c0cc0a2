# frozen_string_literal: true

module Flowline
  module Testing
    # The call of one step of a pipeline alone: a run of +only:+ this step, with given outputs of its dependencies.
    # @api private
    class StepCall
      # The options of {Pipeline#run} that make sense for one step.
      OPTIONS = %i[input context params reporter executor max_threads max_processes check_types freeze_outputs timeout cache skip_cache
                   on_error capture].freeze
      private_constant :OPTIONS

      # @param pipeline [Pipeline, Class]
      # @param name [Symbol, String] a step or a nested pipeline
      # @param arguments [Hash{Symbol => Object}] outputs of dependencies, params and options of a run
      # @raise [ParamError, UnknownStepError, ArgumentError]
      def initialize(pipeline, name, arguments)
        @pipeline = Pipeline.from(pipeline) || raise(ArgumentError, "run_step: #{TypeHints.describe(pipeline)} is no pipeline")
        @pipeline.validate!
        @dag = @pipeline.dag
        @name = Name.of(name)
        @step = @dag[@name] || @dag.groups[@name] || raise(UnknownStepError.new(@name, @dag.index.keys + @dag.groups.keys))
        @problems = []
        @given, @params, @options = sort(arguments)
        @given = { **nothing, **@given }
        complain_of_missing
        raise ParamError, @problems unless @problems.empty?
      end

      # @return [StepResult]
      def call
        arguments = { cache: false, **@options, params: { **@options.fetch(:params, {}), **@params }, given: @given, only: @name }
        alone = @pipeline.without_hooks
        request = StepOptions.new(alone, arguments, taken)
        Execution::Coordinator.new(alone, request).call(request.executor)[@name]
      end

      private

      # @return [Array(Hash, Hash, Hash)] outputs by dependency, params, and options
      def sort(arguments)
        given, rest = arguments.partition { |name, _| dependencies.key?(name) }
        params, rest = rest.partition { |name, _| @pipeline.params.key?(name) }
        options, rest = rest.partition { |name, _| OPTIONS.include?(name) }
        @problems.concat(rest.map { |name, _| unknown(name) })
        [given.to_h.transform_keys(dependencies), params.to_h, options.to_h]
      end

      # @return [Hash{Symbol => Symbol}] the dependencies, by the names that may be given
      def dependencies
        @dependencies ||= @step.depends_on.to_h { |name| [name, name] }.merge(@step.labels.zip(@step.depends_on).to_h)
      end

      def unknown(name)
        suggestion = Name.suggest(name, dependencies.keys + @pipeline.params.keys + OPTIONS)
        suggestion = "; #{accepted}" if suggestion.empty?
        "run_step: #{Name.show(@name)} takes no #{Name.show(name)}:#{suggestion}"
      end

      def accepted
        kinds = { "it depends on" => @step.labels, "params are" => @pipeline.params.keys }
        kinds.map { |words, names| "#{words} #{names.empty? ? "nothing" : names.map { |known| Name.show(known) }.join(", ")}" }.join(", ")
      end

      # Returns nil for the outputs that nothing of the step takes.
      def nothing
        @step.is_a?(Step) ? (@step.depends_on - needed).to_h { |name| [name, nil] } : {}
      end

      # Returns the dependencies whose outputs the step, its conditions or its items need.
      def needed
        @needed ||= begin
          id = @dag.index[@name]
          calls = [@pipeline.calls.for(input: false)[id], @pipeline.calls.for(input: true)[id], *@pipeline.calls.conditions[id]&.map(&:first)]
          names = calls.compact.flat_map(&:inputs).map { |input| @dag.steps[input].name }
          @step.depends_on.select.with_index { |name, at| @step.labels[at] == @step.each || (@dag.ends(name) & names).any? }
        end
      end

      def complain_of_missing
        missing = @step.depends_on.zip(@step.labels).reject { |name, _| @given.key?(name) }.map(&:last)
        return if missing.empty?

        names = missing.map { |label| Name.show(label) }
        example = names.map { |name| "#{name}: …" }.join(", ")
        @problems << "run_step: #{Name.show(@name)} needs the output of #{names.join(" and ")}; give #{example}"
      end

      # @return [Array<Symbol>] the params that the step and its conditions take by name
      def taken
        return @pipeline.params.keys unless @step.is_a?(Step)

        callables = [@step.callable, *@step.options.values_at(:when, :unless).compact]
        callables.flat_map { |callable| Arguments::Signature.of(callable).parameters.map(&:last) }.compact
      end
    end
  end
end
