# frozen_string_literal: true

require_relative "calls"
require_relative "definition/class_body"
require_relative "request"

module Flowline
  # A graph with params, pools, hooks and options: what {Flowline.define} returns. It is frozen and a run never changes
  # it, so that several threads may run it at once.
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

    extend Definition::ClassBody

    # Options that make more of a step than a call.
    CARE = %i[cache each timeout isolate retries run_if].freeze
    private_constant :CARE

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
    # @return [Hash{Symbol => Object}] the options of {Options::DEFINE} it was given
    attr_reader :settings
    # @return [Array<Pipeline>] the pipelines it includes or nests
    attr_reader :parts
    # @return [Calls]
    # @api private
    attr_reader :calls
    # @return [Resources]
    # @api private
    attr_reader :resources
    # @return [Hash{Integer => true}] the steps that want to be cached
    # @api private
    attr_reader :cached
    # @return [Hash{Symbol => Object}] of a pipeline without a name, what its last run left to be resumed
    # @api private
    attr_reader :memory
    # @return [String] what its cache keys begin with; without a name, nothing else has it
    # @api private
    attr_reader :cache_name

    class << self
      # @param definition [Definition]
      # @return [Pipeline]
      # @raise [DefinitionError] everything in it that nothing outside can mend
      # @api private
      def build(definition)
        new(definition)
      end

      # Tells whoever {observe}s of a pipeline, or a pipeline class.
      # @api private
      def announce(pipeline)
        @observer&.call(pipeline)
      end

      # @param dag [DAG]
      # @return [Pipeline] one of just this graph
      # @api private
      def of(dag)
        definition = Definition.new
        definition.steps.concat(dag.steps)
        definition.groups.concat(dag.groups.values)
        new(definition)
      end

      # @param object [Object]
      # @return [Pipeline, nil] the pipeline that this is
      # @api private
      def from(object)
        return object if object.is_a?(Pipeline)

        object.pipeline if object.is_a?(Class) && object < Pipeline
      end

      # Tells the observer of every pipeline that is defined until the block ends.
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
    def initialize(definition)
      @settings = definition.settings.dup.freeze
      @name = Name.of(settings[:name]).name if settings[:name].is_a?(String) || settings[:name].is_a?(Symbol)
      @params, @pools, @parts = [definition.params, definition.pools, definition.parts].map { |declared| declared.dup.freeze }
      @hooks = definition.hooks.transform_values { |list| list.dup.freeze }.freeze
      connect(definition)
      DefinitionError.check(definition.problems + final_problems)
      prepare
      freeze
    end

    # @return [String, nil] what it is for
    def description
      settings[:description]
    end

    # @return [Array<Step>] in definition order
    def steps
      dag.steps
    end

    # Runs it.
    # @param arguments [Hash] the options of {Options::RUN}, and the pipeline's params
    # @option arguments [Symbol, #execute] :executor (:sequential) or +:parallel+, +:process+, one of yours; see {Executor}
    # @option arguments [Integer] :max_threads (twice the processors, but 16 at most) steps at a time under +:parallel+
    # @option arguments [Integer] :max_processes (the processors) steps at a time under +:process+
    # @option arguments [Symbol, #call, Array] :reporter (nil) +:console+, +:json+, an object with
    #   +call(event)+, or several
    # @option arguments [Object] :input (none) what steps without dependencies get, instead of the context
    # @option arguments [Hash] :context ({}) values for the context
    # @option arguments [Hash] :params ({}) the params, explicitly
    # @option arguments [Symbol] :on_error (:stop) or +:continue+
    # @option arguments [Boolean] :check_types (false) whether +input:+ and +output:+ of steps are checked
    # @option arguments [Boolean] :resume (false) take up the latest run with these params, if it did not succeed
    # @option arguments [Symbol, Array<Symbol>] :from (nil) run these again and everything downstream
    # @option arguments [String, Symbol, Array] :only (nil) run just these: +"a"+, +"+a"+, +"a+"+, +"tag:x"+
    # @option arguments [Boolean] :dry_run (false) run nothing, return a {Plan}
    # @option arguments [Numeric] :timeout (nil) seconds for the whole run
    # @option arguments [Cache, Boolean, Object] :cache (true) where steps are cached that ask for it; +false+: nowhere
    # @option arguments [Boolean] :skip_cache (false) write the cache but don't read it
    # @option arguments [Boolean] :checkpoint (true) whether outputs are recorded
    # @option arguments [Boolean] :keep_checkpoint (false) keep outputs after a success, too
    # @option arguments [Symbol] :durability (:process) what recorded outputs survive: +kill -9+, or +:power+
    # @return [Result, Plan] whether steps failed or not
    # @raise [CheckpointError] outputs are needed that are recorded nowhere; {LockedError}: the run to resume is alive
    # @raise [StoreError] the store cannot be used
    # @raise [ParamError] params and options that are missing, unknown or of the wrong type
    # @raise [DefinitionError] what {#validate!} raises
    # @example
    #   result = pipeline.run(date: "2024-01-01", reporter: :console)
    #   result.success? # => true
    def run(**arguments)
      runner, request = prepare_run(arguments)
      request.dry? ? runner.plan : runner.call(request.executor)
    end

    # Runs it in a thread of its own, and returns at once.
    # @param arguments [Hash] as for {#run}
    # @return [Run, Plan]
    # @raise [Error] what {#run} raises before anything runs
    # @example
    #   run = pipeline.start(date: "2024-01-01", executor: :parallel)
    #   run.wait.success? # => true
    def start(**arguments)
      runner, request = prepare_run(arguments)
      request.dry? ? runner.plan : Run.new(runner, dag, pools.keys, request.executor)
    end

    # {#run}, but a run that does not succeed raises.
    # @return [Result]
    # @raise [Error] the result's error, and what {#run} raises
    def run!(**arguments)
      result = run(**arguments)
      return result if result.success?

      error = result.error || CancelledError.new(:interrupted)
      error.result = result
      raise error
    end

    # @return [true]
    # @raise [DefinitionError] everything that is wrong with the pipeline
    def validate!
      DefinitionError.check(problems)
      true
    end

    # @return [Array<DefinitionError>] everything that is wrong with the pipeline
    def problems
      dag.problems + calls.problems + resources.problems
    end

    # A new pipeline: this one and another's steps and params.
    # @param other [Pipeline, Class]
    # @param options [Hash] as for {Definition#include}
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

    # @return [Boolean] whether its steps are called and nothing else
    # @api private
    def plain?
      @plain
    end

    # @param name [Symbol]
    # @return [Fingerprint] see {Code#fingerprint}
    # @api private
    def fingerprint(name)
      @code.fingerprint(name)
    end

    # @param step [Step]
    # @return [String] see {Code#digest}
    # @api private
    def imprint(step)
      @code.digest(step)
    end

    # @param step [Step]
    # @return [String, nil] see {Code#unrestorable}
    # @api private
    def unrestorable(step)
      @code.unrestorable(step)
    end

    # Digests what the blocks of all steps have captured.
    # @api private
    def fingerprints
      steps.each { |step| fingerprint(step.name) }
    end

    private

    def prepare_run(arguments)
      DefinitionError.check(dag.problems + calls.problems(input: arguments.key?(:input)) + resources.problems)
      request = Request.new(self, arguments)
      [Runner.new(self, request), request]
    end

    def connect(definition)
      @dag = DAG.new(definition.steps.dup, definition.groups).freeze
      @calls = Calls.new(dag, params.keys)
      @resources = Resources.new(steps, pools)
    end

    def prepare
      @plain = calls.conditions.empty? && steps.all? { |step| step.options.empty? || CARE.none? { |option| step.options.key?(option) } }
      @memory = {}
      @code = Code.new(dag)
      @cached = {}
      steps.each_with_index { |step, id| @cached[id] = true if !step.options.empty? && step.options[:cache] }
      @cached.freeze
      @cache_name = name || "unnamed-#{Random.urandom(8).unpack1("H*")}" unless @cached.empty?
      @cached.each_key { |id| fingerprint(steps[id].name) }
    end

    # The mistakes that no including pipeline can correct.
    def final_problems
      dag.problems.grep(DuplicateStepError) + calls.final_problems
    end
  end
end
