# frozen_string_literal: true

module Flowline
  module Planning
    # The options of a run: the keywords of +run+, checked and coerced.
    # @api private
    class RunOptions
      NONE = {}.freeze
      NOBODY = [].freeze
      private_constant :NONE, :NOBODY

      # @return [Hash{Symbol => Object}] the params, coerced
      attr_reader :params
      # @return [Hash{Symbol => Hash{Symbol => Object}}] by nested pipeline with bound params, the params that its steps get
      attr_reader :scopes
      # @return [Hash{Symbol => Object}] the values passed as +context:+
      attr_reader :values
      # @return [Object] the executor
      attr_reader :executor
      # @return [Given, nil] the outputs of steps that are not called; nil: there are none
      attr_reader :given
      # @return [Array<#call>] the reporters
      attr_reader :reporters
      # @return [String, nil] the directory of the store, for pipelines with a name
      attr_reader :root

      # @param pipeline [Pipeline]
      # @param arguments [Hash] the options of {Definition::Options::RUN}, and params
      # @param called [Float] when the run was called for, on the monotonic clock
      # @param root [String, nil] the directory of the store; nil: that of {Flowline.config}
      # @raise [ParamError] everything that is wrong
      def initialize(pipeline, arguments, called, root = nil)
        @called = called
        @pipeline = pipeline
        @declared = pipeline.params
        @root = root || Flowline.config.root if pipeline.name
        @problems = []
        @settings = pipeline.settings
        @options = @values = @scopes = @params = NONE
        arguments = Name.keys(arguments, @problems)
        take_options(arguments) unless arguments.empty?
        take_params(gather(arguments)) if given?(arguments)
        @scopes = bind_scopes(pipeline.dag) if @problems.empty? && !pipeline.dag.groups.empty?
        @given = Given.of(pipeline, @options[:given], @problems) if @options.key?(:given)
        resolve_objects
        Error.raise_at_caller(ParamError.new(@problems)) unless @problems.empty?
        freeze
      end

      # @return [Boolean] whether an +input:+ was given, be it +nil+
      def input? = @options.key?(:input)

      # @return [Object, nil] the +input:+
      def input = @options[:input]

      # @return [Boolean] whether steps that don't depend on a failure still run
      def continue_on_error? = @settings[:on_error] == :continue

      # @return [Boolean] whether type hints are checked
      def check_types? = @settings[:check_types] == true

      # @return [Boolean] whether outputs are deeply frozen
      def freeze_outputs?
        @settings[:freeze_outputs] == true
      end

      # @return [Boolean, nil] whether the log has what steps print; nil: the executor decides
      def capture
        @settings[:capture]
      end

      # @return [Boolean] whether it uses the work of an earlier run
      def continues?
        !@options.empty? && (resume? || selects?)
      end

      # @return [Boolean] whether a plan says what becomes of its steps
      def planned?
        !@options.empty? && (continues? || dry? || !given.nil?)
      end

      # @return [Boolean] whether it resumes a run that did not succeed
      def resume?
        @options[:resume] ? true : false
      end

      # @return [Store::Run, nil] the run to resume, if its params were adopted or its id was given
      attr_reader :target

      # @return [true, Symbol, nil] the runs that it excludes: +true+: all of the pipeline; +:params+: those with equal params
      def exclusive
        @settings[:exclusive] || nil
      end

      # @return [Numeric, nil] seconds to wait for runs that exclude it
      def exclusive_wait
        @options[:exclusive_wait]
      end

      # @return [Float] when the run was called for, on the monotonic clock: that of the command line, if it calls
      def called
        Recording::Trigger.since || @called
      end

      # @return [Boolean] whether it names the steps to run
      def selects?
        !@options.empty? && !(only || from).nil?
      end

      # @return [Symbol, String, Array, nil] the steps to run
      def only
        @options[:only]
      end

      # @return [Symbol, String, Array, nil] the steps to run again, with everything downstream
      def from
        @options[:from]
      end

      # @return [Boolean] whether it is a dry run
      def dry?
        @options[:dry_run] == true
      end

      # @return [Boolean] whether the run is recorded in the store
      def store?
        Flowline.config.store
      end

      # @return [Boolean] whether outputs are recorded
      def checkpoint?
        @settings[:checkpoint] != false
      end

      # @return [Boolean] whether outputs stay recorded after a success
      def keep?
        @settings[:keep_checkpoint] == true
      end

      # @return [Integer, nil] how many runs of the pipeline stay in history; nil: as many as usual
      def keep_runs
        @settings[:keep_runs]
      end

      # @return [Boolean] whether records survive a power failure
      def sync_to_disk?
        @settings[:durability] == :power
      end

      # @return [Numeric, nil] the run's time limit in seconds
      def timeout
        @settings[:timeout]
      end

      # @return [Cache, nil] where steps are cached that don't say it themselves; +nil+: none is
      def cache
        given = [@options[:cache] == true ? @pipeline.settings[:cache] || true : @settings[:cache], Flowline.config.cache].compact.first
        Cache.of(given) || Cache.of(Flowline.config.cache) || Cache.default unless given == false
      end

      # @return [Boolean] whether the cache is written but not read
      def skip_cache?
        @options[:skip_cache] == true
      end

      # @return [Integer] how many steps run at a time
      def workers
        executor.respond_to?(:workers) ? executor.workers : 1
      end

      # @return [String, nil] a warning of an option of the run that its executor does not take
      def ineffective = (Executor.ineffective(executor, @options) unless @options.empty?)

      # @return [Hash{Symbol => Object}] the params whose values must not appear anywhere
      def secrets
        return NONE if @params.empty? && @scopes.empty?

        secrets = @params.select { |name, _| @declared[name].secret? }
        @scopes.each_key do |scope|
          @pipeline.dag.groups[scope].params.each_value { |param| secrets[:"#{scope}.#{param.name}"] = @scopes[scope][param.name] if param.secret? }
        end
        secrets
      end

      # @param name [Symbol] of a param
      # @return [Boolean] whether no value was given, so that it has its default
      def omits?(name)
        !@named&.include?(name)
      end

      # @return [String] without values, some of which are secret
      def inspect
        "#<#{self.class}>"
      end

      private

      def take_options(arguments)
        @options = arguments.slice(*Definition::Options::RUN.keys)
        @problems.concat(option_problems)
        @settings = @settings.merge(@options)
        @problems << "run: exclusive_wait: needs exclusive: or resume:" if exclusive_wait && !(exclusive || resume?)
        @values = values_beside
      end

      # Returns whether params can be read, and whether there are any.
      def given?(arguments)
        !(arguments.empty? && @declared.empty?) && @options.fetch(:params, NONE).is_a?(Hash)
      end

      def gather(arguments)
        loose = arguments.empty? ? arguments : arguments.except(*Definition::Options::RUN.keys)
        explicit = Name.keys(@options.fetch(:params, NONE), @problems)
        (loose.keys & explicit.keys).each { |name| @problems << "param #{Name.show(name)} is given twice, also in params:" }
        given = loose.merge(explicit)
        (given.keys - @declared.keys).each do |name|
          @problems << "unknown param #{Name.show(name)}#{suggest(name, loose.key?(name))}"
        end
        given
      end

      # Suggests the pipeline's params first, then options of run.
      def suggest(name, loose)
        return Name.suggest(name, @declared.keys, known: "known are") unless loose

        near = Name.suggest(name, @declared.keys)
        return near unless near.empty?

        Definition::Options.hint(Definition::Options::RUN, name) ||
          Name.suggest(name, @declared.keys + Definition::Options::RUN.keys, known: "known are")
      end

      # An option that makes no sense may have been meant for a param of that name.
      def option_problems
        return [] if Definition::Options.accept?(Definition::Options::RUN, @options)

        @options.flat_map do |name, value|
          problems = Definition::Options.problems(Definition::Options::RUN, { name => value }) { "run" }
          problems.map { |problem| "#{problem}#{Param.namesake(name, @declared)}" }
        end
      end

      # Coerces the params. With +resume:+, those of the run to resume may take their place.
      def take_params(given)
        return @params = coerce(given) unless resume? && @problems.empty?

        adoption = Adoption.new(@pipeline, Recording::Resumable.new(@pipeline, (@root if store?), timeout || Store::PATIENCE), @options[:resume])
        adoption.call(given) do |params|
          @params = coerce(params)
          [@params, Recording::Subject.of(@pipeline, self).identity] if @problems.empty?
        end
        @target = adoption.run
      end

      def coerce(given)
        @named = given.keys
        @declared.transform_values do |param|
          value_of(param, given)
        rescue Definition::Type::Mismatch => e
          namesake = Param.namesake(param.name, @declared) if @options.key?(param.name) && !given.key?(param.name)
          @problems << "param #{Name.show(param.name)} #{e.message}#{namesake}"
          nil
        end
      end

      def value_of(param, given)
        param.value(given)
      end

      # Binds the params of nested pipelines, outer ones first.
      def bind_scopes(dag)
        groups = dag.groups.each_value.reject { |group| group.params.empty? }
        groups.sort_by { |group| dag.within(group.name).size }.each_with_object({}) do |group, scopes|
          outer = scopes.fetch(dag.scope(group.parent), @params)
          scopes[group.name] = outer.merge(group.params.transform_values { |param| bound_value(group, param, outer) })
        end
      end

      def bound_value(group, param, outer)
        param.value(outer)
      rescue Definition::Type::Mismatch => e
        @problems << "param #{Name.show(param.name)} of #{Name.show(group.name)} #{e.message}"
        nil
      end

      def values_beside
        values = @options[:context] || NONE
        return values unless values.is_a?(Hash) && values.any?

        values = values.transform_keys { |key| key.is_a?(String) ? key.to_sym : key }
        (values.keys & @declared.keys).each { |name| @problems << "context: #{Name.show(name)} is a param; pass it as #{Name.show(name)}:" }
        values
      end

      def resolve_objects
        @executor = resolve { Executor.resolve(@settings[:executor], @problems.empty? ? @settings : NONE) }
        given = @options.fetch(:reporter) { Flowline.config.reporter }
        Loading.of(Events) if given # And with them Reporter.
        @reporters = given ? resolve { Reporter.resolve(given) } : NOBODY
      end

      def resolve
        yield
      rescue ParamError => e
        @problems.concat(e.problems)
        nil
      end
    end
  end
end
