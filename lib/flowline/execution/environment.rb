# frozen_string_literal: true

module Flowline
  module Execution
    # The data that the attempts of a run share. Attempts read it in any thread; only the coordinator changes the outputs.
    # @api private
    class Environment
      NONE = {}.freeze
      private_constant :NONE

      # @return [DAG]
      attr_reader :dag
      # @return [Array<Step>]
      attr_reader :steps
      # @return [Native::Run]
      attr_reader :run
      # @return [Array<Arguments::BoundCall>] by step
      attr_reader :calls
      # @return [Context]
      attr_reader :context
      # @return [Array<Object>] by step, of those that have ended
      attr_reader :outputs
      # @return [Array<String>] what went wrong so far without failing anything
      attr_reader :warnings
      # @return [Hash{Integer => Hash{Symbol => Numeric}}] by step, what it reported
      attr_reader :reports
      # @return [Hash{Integer => true}, nil] the steps whose callable takes the context; nil: there is none
      attr_reader :contextual
      # @return [Gates, nil] the conditions of nested pipelines
      attr_reader :gates
      # @return [Serialising, Serialising::Unlimited]
      attr_accessor :serialising
      # @return [Middleware]
      attr_reader :middleware
      # @return [Resumption, nil] what the run resumes, if it was to resume a run
      attr_accessor :resumption
      # @return [Events::Details, nil] the events that only some observers want; nil: there is no such observer
      attr_accessor :details
      # @return [Boolean, nil] whether a reporter may show the labels of items that go on
      attr_accessor :monitored
      # @return [Hash{Integer => Object}, nil] the outputs that the run was given, by step
      attr_accessor :given
      # @return [Planning::Presets, nil]
      attr_accessor :presets

      # @param pipeline [Pipeline]
      # @param request [Planning::RunOptions]
      # @param coordinator [Coordinator]
      def initialize(pipeline, request, coordinator)
        @dag = pipeline.dag
        @steps = @dag.steps
        take_calls(pipeline, request.input?)
        @context = Context.of(pipeline, request)
        continues = request.continue_on_error?
        @stops_at_failures = !continues
        @run = Native::Run.new(@dag.graph, continues)
        pipeline.resources.share(@run)
        @outputs = (request.freeze_outputs? ? FrozenOutputs : Array).new(@dag.size)
        @warnings = []
        @reports = NONE
        @pipeline = pipeline
        @request = request
        @timeout = request.timeout
        caching unless pipeline.cached.empty? # Now: workers may ask later, several at a time.
        @hints = TypeHints if request.check_types?
        @coordinator = coordinator
        @bare = @suspended = false
        @surrounds = true # Until it is known.
        @middleware = Middleware.none
      end

      # @return [Limits] created in the coordinator's thread by the first that needs it: most short runs don't
      def limits = @limits ||= Limits.new(@run, @timeout, @dag)

      # @return [Recording::Provenance] the same
      def provenance = @provenance ||= Recording::Provenance.new(self)

      # @return [Cache::Lookup]
      def caching
        @caching ||= Cache::Lookup.new(@pipeline, @request, limits, @warnings)
      end

      # @param id [Integer]
      # @return [Boolean] whether the step's output may come from a cache
      def caches?(id)
        @pipeline.cached.key?(id) && caching.caches?(id)
      end

      # A step reports numbers while it is called ({Context#report}).
      # @param id [Integer] the step
      # @param numbers [Hash{Symbol => Numeric}]
      # @return [void]
      def reported(id, numbers)
        report_of(id).merge!(numbers)
      end

      # A step writes into the state of the pipeline while it is called.
      # @param id [Integer] the step
      # @param key [String]
      # @param bytes [String, nil] nil: the value is deleted
      # @return [void]
      def wrote(id, key, bytes)
        context.ledger.add(id, { key => bytes })
      end

      # Only a step with a cache asks whether the state was read, and that is not called from here.
      # @return [void]
      def read_state(_id); end

      # @return [Array(Integer, Integer, nil)] the step and the number of the attempt, for lines of the log
      def source(id)
        [id, 1, nil]
      end

      # @return [nil] what a step wrote is in the ledger
      def written(_id); end

      # Adds up what an attempt of a step, or of one of its items, reported.
      # @param id [Integer] the step
      # @param numbers [Hash{Symbol => Numeric}]
      # @return [void]
      def add_report(id, numbers)
        report_of(id).merge!(numbers) { |_, before, more| before + more }
      end

      # @return [Boolean] whether the failure of a step stops the run
      def stops_at_failures?
        @stops_at_failures
      end

      # Sets what is called around each attempt, before the first one.
      # @param entries [Array<#call>]
      # @param bare [Boolean] whether callables are called and nothing else, in whatever thread
      # @return [void]
      def surround(entries, bare)
        @middleware = entries.empty? ? Middleware.none : Middleware.new(entries)
        @bare = bare
        @surrounds = !(bare || (entries.empty? && @timeout.nil? && !limits.groups?))
      end

      # @return [Boolean]
      def bare?
        @bare
      end

      # @return [Boolean] whether middleware or the run's time limit surrounds every call
      def surrounds?
        @surrounds
      end

      # Keeps batches from calling further steps until the coordinator has applied a failure.
      # @return [void]
      def suspend
        @suspended = true
      end

      # @return [void]
      def continue
        @suspended = false
      end

      # @return [Boolean]
      def suspended?
        @suspended
      end

      # @return [Boolean] whether type hints are checked
      def hints?
        !@hints.nil?
      end

      # @return [Boolean] whether the run has a time limit
      def timed?
        !@timeout.nil?
      end

      # @return [Boolean] whether the step has conditions
      def conditions?(id)
        @conditions.key?(id) || (@gates&.guards?(id) == true)
      end

      # @return [Boolean] whether all conditions of the step say what they must
      def conditions_hold?(id)
        return true if !conditions?(id) || @presets&.reuses?(id)

        limits.ask { (@gates.nil? || @gates.open?(id, @outputs, @context)) && Environment.hold?(@conditions[id] || [], @outputs, @context) }
      end

      # @param conditions [Array<Array(Arguments::BoundCall, Boolean)>] and what each must return
      # @return [Boolean] whether all of them do
      def self.hold?(conditions, outputs, context)
        conditions.all? { |call, wanted| (call.call(outputs, context) ? true : false) == wanted }
      end

      # @return [Boolean] whether the run was stopped, and the attempt is not to be made any more
      def stopped?(attempt)
        (@run.stopped? || (@timeout && limits.up?)) && (!attempt.always? || @coordinator.interrupting?(true))
      end

      # Notifies the observers of the run that the callable is about to be called.
      # @raise [HookError] a before_step hook raised
      def announce(attempt)
        @coordinator.announce(attempt)
      end

      # An attempt waits for another one that computes the same cached value. Nil: nobody wants to know.
      # @return [Proc, nil]
      def lock_notice(attempt)
        -> { @coordinator.in_thread { @details.locked(attempt) } } if @details
      end

      # @raise [TypeError]
      def check_input(id)
        @hints&.check_input(@steps[id], checked_inputs(id, @steps[id]))
      end

      # @raise [TypeError]
      def check_output(id, output)
        @hints&.check_output(@steps[id], output)
      end

      # @param name [Symbol] a step or a nested pipeline
      # @return [Object] its output
      def output(name)
        @dag.output(name, @outputs)
      end

      # @return [Hash{Symbol => Object}] what each dependency of a step gave it, by label
      def inputs(step)
        step.labels.zip(step.depends_on).to_h { |label, name| [label, output(name)] }
      end

      # @return [String, nil] what to do about a failure of the step
      def hint(id, error)
        step = @steps[id]
        bound = @dag.within(step.group).flat_map { |group| group.params.keys }
        Arguments::Undeclared.hint(error, step, @context.params.keys | bound) if NameError === error
      end

      # @return [Hash{Symbol => String}] the same in words, without values
      def describe_inputs(id)
        inputs(@steps[id]).transform_values { |value| TypeHints.describe(value) }
      end

      private

      # A run without reports has none to begin with.
      def report_of(id)
        @reports = {} if @reports.frozen?
        @reports[id] ||= {}
      end

      def take_calls(pipeline, input)
        table = pipeline.calls
        @calls = table.for(input: input)
        @conditions = table.conditions
        @contextual = table.contextual unless table.contextual.empty?
        @gates = Gates.new(pipeline) unless table.group_conditions.empty?
      end

      # Returns the values that the +input:+ of a step is about: what its dependencies gave it, without the nil of those that have
      # no output; or the run's input.
      def checked_inputs(id, step)
        return inputs(step).reject { |_, value| value.nil? && step.options.key?(:run_if) } unless step.depends_on.empty?

        @calls[id].takes_input? ? { "of the run": @context.input } : {}
      end
    end
  end
end
