# frozen_string_literal: true

require_relative "definition/class_body"

module Flowline
  # A graph with params, pools, hooks and options, as {Flowline.define} returns it. A pipeline is frozen and a run never
  # changes it, so that several threads can run it at the same time.
  #
  # A subclass is a pipeline, too. It is declared with the same words and named after the class:
  #
  #   class Import < Flowline::Pipeline
  #     param :date, type: :date, required: true
  #     step(:fetch) { |ctx| API.fetch(ctx[:date]) }
  #   end
  #   Import.run(date: Date.today)
  class Pipeline
    autoload :Code, "#{__dir__}/pipeline/code"
    autoload :Snapshot, "#{__dir__}/pipeline/snapshot"
    autoload :Wholes, "#{__dir__}/pipeline/wholes"

    extend Definition::ClassBody

    # Options of steps that need more than one plain call.
    CARE = %i[cache capture each timeout isolate rate retries run_if].freeze
    # Options of runs that need a plan.
    PLANNED = %i[resume from only given dry_run].freeze
    private_constant :CARE, :PLANNED

    # @return [String, nil]
    attr_reader :name
    # @return [DAG] its graph, frozen
    attr_reader :dag
    # @return [Hash{Symbol => Param}]
    attr_reader :params
    # @return [Hash{Symbol => Integer}] its pools and their sizes
    attr_reader :pools
    # @return [Hash{Symbol => Array<#call>}]
    attr_reader :hooks
    # @return [Hash{Symbol => Object}] the options of {Definition::Options::DEFINE} that it was given
    attr_reader :settings
    # @return [Array<Pipeline>] the pipelines that it includes or nests
    attr_reader :parts
    # @return [Class, nil] the pipeline class that it is the pipeline of
    # @api private
    attr_reader :owner
    # @return [Arguments::CallTable]
    # @api private
    attr_reader :calls
    # @return [Execution::Resources]
    # @api private
    attr_reader :resources
    # @return [Hash{Integer => true}] the steps with +cache:+
    # @api private
    attr_reader :cached
    # @return [String] the prefix of its cache keys; unique if it has no name
    # @api private
    attr_reader :cache_name

    class << self
      # @param definition [Definition]
      # @param owner [Class, nil] the pipeline class that it is the pipeline of
      # @return [Pipeline]
      # @raise [DefinitionError] lists every mistake that no enclosing pipeline could fix
      # @api private
      def build(definition, owner: nil)
        new(definition, owner)
      end

      # Passes a new pipeline or pipeline class to the observer of {observe}.
      # @api private
      def announce(pipeline)
        @observer&.call(pipeline)
      end

      # @param dag [DAG]
      # @return [Pipeline] a pipeline that has only this graph
      # @api private
      def of(dag)
        definition = Definition.new
        definition.steps.concat(dag.steps)
        definition.groups.concat(dag.groups.values)
        new(definition)
      end

      # @param object [Object]
      # @return [Pipeline, nil] the object itself, or the pipeline of a pipeline class
      # @api private
      def from(object)
        return object if object.is_a?(Pipeline)

        object.pipeline if part?(object)
      end

      # @param object [Object]
      # @return [Boolean] whether it can be included and nested
      # @api private
      def part?(object)
        object.is_a?(Pipeline) || (object.is_a?(Class) && object < Pipeline)
      end

      # Calls the observer with every pipeline and pipeline class that is defined until the block ends.
      # @param observer [#call]
      # @api private
      def observe(observer)
        @observer = observer
        yield
      ensure
        @observer = nil
      end
    end
    private_class_method :new

    # @api private
    def initialize(definition, owner = nil)
      @owner = owner
      @settings = definition.settings.transform_values { |value| Definition::Frozen.copy(value) }.freeze
      @name = Name.of(settings[:name]).name if settings[:name].is_a?(String) || settings[:name].is_a?(Symbol)
      @params, @pools, @parts = [definition.params, definition.pools, definition.parts].map { |declared| declared.dup.freeze }
      @source_location = definition.source_location
      @hooks = definition.hooks.transform_values { |list| list.dup.freeze }.freeze
      connect(definition)
      DefinitionError.check(mistakes_of(definition))
      prepare
      freeze
    end

    # @return [String, nil] the line that defines it, as +file:line+
    def location
      @source_location&.join(":") || steps.first&.location
    end

    # @return [String, nil] its purpose
    def description
      settings[:description]
    end

    # @return [Array<Step>] in definition order
    def steps
      dag.steps
    end

    # Runs the pipeline.
    # @param arguments [Hash] the options of {Definition::Options::RUN}, and the pipeline's params
    # @option arguments [Symbol, #execute] :executor (:sequential) or +:parallel+, +:process+, or your own; see {Executor}
    # @option arguments [Integer] :max_threads (twice the processors, but 16 at most) steps at a time under +:parallel+
    # @option arguments [Integer] :max_processes (the processors) steps at a time under +:process+
    # @option arguments [Symbol, #call, Array] :reporter (nil) +:console+, +:json+, an object with
    #   +call(event)+, or several
    # @option arguments [Object] :input (none) the input of steps without dependencies, instead of the context
    # @option arguments [Hash] :context ({}) values for the context
    # @option arguments [Hash] :params ({}) params by Symbol or String
    # @option arguments [Symbol] :on_error (:stop) or +:continue+
    # @option arguments [Boolean] :check_types (false) whether +input:+ and +output:+ of steps are checked
    # @option arguments [Boolean] :freeze_outputs (false) whether outputs are deeply frozen, so that no step changes what others get
    # @option arguments [Boolean] :capture (true under +:process+, else false) whether the log of the run has what steps print
    # @option arguments [Boolean, String] :resume (false) resume the latest run with these params, if it did not succeed; or the
    #   run with this id. Without params: the latest run that can be resumed
    # @option arguments [Boolean, Symbol] :exclusive (nil) +true+: one run of the pipeline at a time; +:params+: one with the
    #   same params
    # @option arguments [Numeric] :exclusive_wait (nil) seconds to wait for a run that excludes this one
    # @option arguments [Symbol, Array<Symbol>] :from (nil) run these steps again, and everything downstream
    # @option arguments [String, Symbol, Array] :only (nil) run only these steps: +"a"+, +"+a"+, +"a+"+, +"tag:x"+
    # @option arguments [Hash{Symbol => Object}] :given ({}) outputs of steps and nested pipelines, by name. These steps are not
    #   called, and neither are steps that only they depend on. In the result they are +:restored+, with the reason +:given+
    # @option arguments [Boolean] :dry_run (false) run nothing, return a {Plan}
    # @option arguments [Numeric] :timeout (nil) seconds for the whole run
    # @option arguments [Cache, Boolean, Object] :cache (true) the cache of steps with +cache:+; +false+: none
    # @option arguments [Boolean] :skip_cache (false) write the cache but do not read it
    # @option arguments [Boolean] :checkpoint (true) whether outputs are recorded
    # @option arguments [Boolean] :keep_checkpoint (false) whether recorded outputs stay after a success
    # @option arguments [Symbol] :durability (:process) recorded outputs survive +kill -9+; with +:power+ also a loss of power
    # @return [Result, Plan] a result even if steps failed; a plan with +dry_run:+
    # @raise [CheckpointError] if outputs are needed that were not recorded; {LockedError} if a run is alive that
    #   excludes this one
    # @raise [StoreError] if the store cannot be used
    # @raise [ParamError] if params or options are missing, unknown or of the wrong type
    # @raise [DefinitionError] as {#validate!}
    # @example
    #   result = pipeline.run(date: "2024-01-01", reporter: :console)
    #   result.success? # => true
    def run(**arguments)
      coordinator, request = prepare_run(arguments)
      request.dry? ? coordinator.plan : coordinator.call(request.executor)
    rescue Error => e
      raise Backtrace.clean_all(e, caller)
    end

    # Starts a run in a thread of its own and returns at once.
    # @param arguments [Hash] as for {#run}
    # @return [Run, Plan]
    # @raise [Error] as {#run}, before anything runs
    # @example
    #   run = pipeline.start(date: "2024-01-01", executor: :parallel)
    #   run.wait.success? # => true
    def start(**arguments)
      coordinator, request = prepare_run(arguments, background: true)
      request.dry? ? coordinator.plan : Run.new(coordinator, dag, pools.keys, request.executor)
    end

    # Runs the pipeline, and raises if the run does not succeed.
    # @return [Result, Plan] a plan with +dry_run:+
    # @raise [Error] the error of the result, with a backtrace through the user's code; or as {#run}
    def run!(**arguments)
      result = run(**arguments)
      result.raise_error(caller) if Result === result && result.failed?
      result
    end

    # @return [true]
    # @raise [DefinitionError] lists every mistake
    def validate!
      DefinitionError.check(problems)
      true
    end

    # @return [Array<DefinitionError>] every mistake in the pipeline
    def problems
      dag.problems + calls.problems + resources.problems + @binding_problems
    end

    # Returns a new pipeline: this one with another's steps and params.
    # @param other [Pipeline, Class]
    # @param options [Hash] as for {Definition::Dsl#include}
    # @return [Pipeline]
    # @raise [DefinitionError]
    def include(other, **options)
      definition = Definition.new(**settings).take(self)
      definition.include(other, **options)
      Pipeline.build(definition).tap { |pipeline| Pipeline.announce(pipeline) }
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{name || "unnamed"} #{steps.size} steps>"
    end

    # @return [Hash{Symbol => Array<#call>}] its hooks, and those of its nested pipelines that are nested with +hooks: true+
    # @api private
    attr_reader :called_hooks

    # @return [Hash{Symbol => Object}] for a pipeline without a store, the record of its last run
    # @api private
    def memory
      Recording::Memory.current(@memory)
    end

    # @return [Pipeline] the same without hooks, and with a memory of its own
    # @api private
    def without_hooks
      dup.tap do |copy|
        copy.instance_exec do
          @called_hooks = {}.freeze
          @memory = {}
          freeze
        end
      end
    end

    # @return [Boolean] whether its steps need nothing but their calls
    # @api private
    def plain?
      @plain
    end

    # @param id [Integer]
    # @return [Identity::Fingerprint] see {Code#fingerprint}
    # @api private
    def fingerprint(id)
      @code.fingerprint(id)
    end

    # @param id [Integer]
    # @return [String] see {Code#digest}
    # @api private
    def step_digest(id, code = step_code(id))
      @code.digest(id, code)
    end

    # @return [Array<String>] see {Code#digests}
    # @api private
    def step_digests
      @code.digests
    end

    # @param id [Integer]
    # @return [String, Array] see {Code#now}
    # @api private
    def step_code(id)
      @code.now(id)
    end

    # @return [Hash{Integer => String}] see {Code#unrestorable}
    # @api private
    def unrestorable
      @code.unrestorable
    end

    # @return [Native::Snapshot] see {Snapshot#native}
    # @api private
    def snapshot
      @snapshot.native
    end

    # Digests the captured variables of the blocks of all steps.
    # @api private
    def fingerprints
      steps.each_index { |id| fingerprint(id) }
    end

    # @param arguments [Hash] as for {#run}
    # @param background [Boolean] whether the run has a thread of its own
    # @param root [String, nil] the directory of the store; nil: that of {Flowline.config}
    # @return [Array(Execution::Coordinator, Planning::RunOptions)] a run that has not begun
    # @raise [Error] as {#run}, before anything runs
    # @api private
    def prepare_run(arguments, background: false, root: nil)
      called = Clock.now
      Caller.may_run
      DefinitionError.check(@mistakes[arguments.key?(:input)])
      load_for(arguments) unless @plain && arguments.empty? && settings.empty? && !background
      request = Planning::RunOptions.new(self, arguments, called, root)
      [Execution::Coordinator.new(self, request, background: background), request]
    end

    private

    def connect(definition)
      @dag = DAG.new(definition.steps.dup, definition.groups).freeze
      @calls = Arguments::CallTable.new(dag, params.keys)
      @resources = Execution::Resources.new(steps, pools)
      @binding_problems = dag.groups.empty? ? [].freeze : Definition::Group::BoundParam.problems(dag, params).freeze
      others = resources.problems + @binding_problems
      @mistakes = [false, true].to_h { |input| [input, dag.problems + calls.problems(input: input) + others] }
      @called_hooks = with_hooks_of_groups
    end

    def with_hooks_of_groups
      groups = dag.groups.each_value.reject { |group| group.hooks.empty? }
      groups.each_with_object(groups.empty? ? hooks : hooks.dup) do |group, called|
        added = group.hooks.transform_values { |list| list.map { |hook| Events::GroupHook.new(group, dag.scope(group.name), hook) } }
        called.merge!(added) { |_, own, further| own + further }
      end.freeze
    end

    # Loads what a recorded run needs.
    def load_recording
      Loading.attempts
      Loading.of(Recording, Events, Identity, Store)
      Loading.now { Cache::Lookup }
    end

    # Loads what a run with these arguments needs, before anything of it begins.
    def load_for(arguments)
      Loading.attempts
      Loading.of(Planning) if PLANNED.any? { |option| arguments.key?(option) }
    end

    def prepare
      load_recording if name
      @plain = only_calls?
      @memory = {}
      @code = Code.new(dag)
      @snapshot = Snapshot.new(dag, calls, @code) if name
      @cached = {}
      steps.each_with_index { |step, id| @cached[id] = true if !step.options.empty? && step.options[:cache] }
      @cached.freeze
      @cache_name = name || "unnamed-#{Random.urandom(8).unpack1("H*")}" unless @cached.empty?
      @cached.each_key { |id| fingerprint(id) }
    end

    def only_calls?
      calls.conditions.empty? && calls.group_conditions.empty? && dag.groups.each_value.none?(&:timeout) &&
        steps.all? { |step| step.options.empty? || CARE.none? { |option| step.options.key?(option) } }
    end

    # Returns none unless there is one that no including pipeline can correct; then the others are listed, too. Mistakes of
    # single declarations come alone, because the mistakes of the graph may follow from them.
    def mistakes_of(definition)
      return definition.problems + final_problems unless definition.problems.empty?

      final_problems.empty? ? [] : problems
    end

    # Returns the mistakes that no including pipeline can correct.
    def final_problems
      dag.problems.grep(DuplicateStepError) + calls.final_problems
    end
  end
end
