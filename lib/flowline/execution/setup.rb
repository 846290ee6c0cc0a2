# frozen_string_literal: true

module Flowline
  module Execution
    # The parts of one run, built from a pipeline and a request before anything runs.
    # @api private
    class Setup
      NONE = [].freeze
      private_constant :NONE

      # @return [Environment]
      attr_reader :environment
      # @return [Recording]
      attr_reader :recording
      # @return [Plan, nil] of a dry run
      attr_reader :plan
      # @return [State]
      attr_reader :state
      # @return [Ending] what ends the run
      attr_reader :ending
      # @return [Reuse, nil] for a run that resumes another
      attr_reader :reuse

      # @param pipeline [Pipeline]
      # @param request [Planning::RunOptions]
      # @param coordinator [Coordinator]
      # @param section [Executor::Section, nil] where the coordinator's thread may be interrupted
      def initialize(pipeline, request, coordinator, section)
        @pipeline = pipeline
        @request = request
        @section = section
        @environment = Environment.new(pipeline, request, coordinator)
        own = section unless section&.borrowed? # Of a thread that is ours.
        environment.serialising = Serialising.of(environment, coordinator, own)
        @recording = Recording.of(pipeline, request)
        environment.context.record_in(@recording)
        make_plan if request.planned?
        @readers = request.dry? ? NONE : Telemetry.observers(environment)
        @observed = !pipeline.called_hooks.empty? || request.reporters.any? || @readers.any?
        make_state(notifier(section))
        @reuse = Reuse.new(environment, @presets, recording, state) if @presets
        @background = !own.nil?
        ready = true
      ensure
        @recording&.close unless ready
      end

      # @return [InFlight] the attempts that the pool has
      def in_flight = @in_flight ||= InFlight.new

      # @return [Boolean] whether its steps are called and nothing else happens
      def plain?
        environment.bare? && !(recording.stored? || @background || @presets&.open&.any?)
      end

      # @return [Boolean] whether there are hooks, reporters or readers of telemetry
      def observed? = @observed

      # @return [Boolean] whether a hook may fail a step before it is called
      def hooked?
        @pipeline.called_hooks[:before_step]&.any? == true
      end

      # Begins the record of the run. If that is in a store, other processes see where the run stands, and may cancel it.
      # @param coordinator [Coordinator]
      # @return [void]
      # @raise [LockedError, StoreError]
      def begin_recording(coordinator)
        recording.forget(*@presets.outdated) if @presets
        recording.start(environment)
        lines = open_log(coordinator)
        return unless recording.stored?

        recording.broadcast(Standing.new(environment, state.tallies, in_flight, @pipeline.pools.keys, lines), coordinator, lines)
      end

      # Ends what was begun or set up for the run.
      # @return [void]
      def close
        @capture&.close
        environment.caching.close unless @pipeline.cached.empty?
      ensure
        recording.close
      end

      # Sets what is called around each attempt.
      # @param pool [Executor::Pool]
      # @return [void]
      def surround(pool)
        configured = Flowline.config.middleware
        entries = configured.empty? ? pool.entries : pool.entries + configured.to_a
        isolates = !@pipeline.plain? && environment.steps.any? { |step| step.options[:isolate] }
        Loading.of(Executor, Error) if isolates || pool.forks? # Before a worker needs them.
        entries = [Executor::Isolate.new, *entries] if isolates
        entries = [@capture, *entries] if (@capture = capture(pool))
        entries = @readers.filter_map(&:entry) + entries unless @readers.empty?
        environment.surround(entries, bare?(entries))
        warn_of_lacks(pool)
      end

      # @param pool [Executor::Pool]
      # @return [Monitor, nil] nil: no reporter would use it
      def monitor(pool)
        return unless @request.reporters.any?

        environment.monitored = true
        Monitor.new(environment, state, recording, @pipeline, [pool.capacity, in_flight])
      end

      # Tells the core how long steps took before, because with several workers the order matters.
      # @return [void]
      def expect_times
        timings = recording.timings
        environment.run.expect(environment.steps.map { |step| timings[step.name] }) unless timings.empty?
      end

      # Ends the steps that need not run, because the plan says so. That a step was restored is no news for the recording.
      # @return [void]
      def preset
        return unless reuse

        reuse.preset
        observed? || reuse.unselected? ? state.drain_ended : state.pass_over_ended
      end

      # Ends the steps whose outputs are in a cache, unless there is a plan, which has looked for them.
      # @return [void]
      # @raise [Error::TimeUp]
      def recall
        Recall.new(environment, state, @section).call unless reuse || @pipeline.cached.empty?
      end

      private

      # Warns of what the run asks for and does not get.
      def warn_of_lacks(pool)
        demands = @pipeline.resources.demands
        environment.warnings.concat(demands.beyond(pool)) unless demands.empty?
        ineffective = @request.ineffective and environment.warnings << ineffective
        shortage = pool.shortage(environment.steps) and environment.warnings << shortage
      end

      # @return [Boolean] whether its steps are called without conditions, limits, caches and observers
      def bare?(entries)
        entries.empty? && @pipeline.plain? && !(observed? || environment.hints? || @request.timeout)
      end

      def make_state(notifier)
        @state = State.new(environment, recording, notifier)
        @ending = Ending.new(environment, state, recording, notifier)
      end

      def make_plan
        planner = Planning::Planner.new(@pipeline, @request, recording, environment.caching, environment.context)
        return @plan = planner.plan if @request.dry?

        environment.warnings.concat(planner.warnings)
        environment.presets = @presets = planner.presets
        environment.given = @request.given&.outputs
        environment.resumption = planner.resumption
      end

      # @return [Recording::Lines, nil] nil: nobody wants the lines that steps log
      def open_log(coordinator)
        details = environment.details if environment.details&.lines?
        recalls = @request.reporters.any?
        return unless recording.stored? || details || recalls

        reader = ->(id, line) { coordinator.in_thread { details.logged(id, line) } } if details
        @lines = Recording::Lines.new(environment.context, Flowline.config.log_lines, keeps: recording.stored?, recalls: recalls, &reader)
        environment.context.log_in(@lines)
        @lines
      end

      # @return [Capture, nil] nil: nothing is captured that steps print
      def capture(pool)
        return unless @lines

        default = @request.capture.nil? ? pool.forks? && :streams : @request.capture
        wanted = environment.steps.each_with_object({}.compare_by_identity) do |step, ways|
          way = step.options.fetch(:capture, default)
          ways[step] = way == true ? :descriptors : way if way
        end
        Capture.new(@lines, wanted) unless wanted.empty?
      end

      def notifier(section)
        return Events::Unobserved unless observed? || recording.stored?

        Loading.attempts
        Loading.of(Events)
        reporters = @request.reporters + @readers
        notifier = Events::Notifier.new(own_observers, reporters, environment, section)
        environment.details = Events::Details.of(notifier, environment, @pipeline.pools.keys) unless reporters.empty?
        notifier
      end

      # The observers that are notified before the reporters.
      def own_observers
        return NONE if @pipeline.called_hooks.empty? && !recording.stored?

        hooks = Events::Hooks.new(@pipeline.called_hooks, environment) unless @pipeline.called_hooks.empty?
        [(recording if recording.stored?), hooks].compact
      end
    end
  end
end
