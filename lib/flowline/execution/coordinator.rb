# frozen_string_literal: true

module Flowline
  module Execution
    # The owner of one run, in the thread that called it. It alone asks the core what starts, hands attempts to a pool,
    # and applies their outcomes to the {State} of the run. Hooks and reporters are called in its thread.
    #
    #     core ──next──> Coordinator ──Attempt──> Pool (this thread, other threads, forked children)
    #                        ▲                      │
    #                        └──Inbox <── Outcome ──┘
    #
    # - Workers only call attempts. Whatever happens to one, its outcome, or the news of its death, is in the inbox.
    # - An attempt is known by its token as long as it is in flight. An outcome without an attempt in flight is too late,
    #   because the attempt was abandoned, and is dropped.
    # - An exception from outside may hit this thread anywhere. A message stays in the inbox until it has been handled, and
    #   handling one twice changes nothing, so that no outcome is lost.
    # - A run is stopped in three levels: 1 starts nothing more, 2 interrupts what runs, 3 interrupts steps that always run
    #   as well. An exception that is no failure of a step leads to level 2, another one to level 3.
    # @api private
    class Coordinator
      # The outcomes that are no failure of a step and stop the run.
      STOPPING = %i[interrupted died].freeze
      private_constant :STOPPING

      # @return [Result] how the run ended
      attr_reader :result
      # @return [Plan, nil] for a run that resumes another, or is a dry run
      attr_reader :plan
      # @return [Context]
      attr_reader :context

      # @param pipeline [Pipeline]
      # @param request [Request]
      # @param background [Boolean] whether other threads may stop the run
      def initialize(pipeline, request, background: false)
        @dag = pipeline.dag
        @timeout = request.timeout
        @context = Context.new(pipeline.name, request.params, request.values, request.input, request.secrets)
        @run = Native::Run.new(@dag.graph, request.go_on?)
        pipeline.resources.share(@run)
        @section = Executor::Section.new if background
        @inbox = Inbox.new
        @in_flight = {}
        @works = {}
        @token = @level = 0
        prepare(pipeline, request)
        @pid = Process.pid
      ensure
        @recording&.close unless @pid
      end

      # Runs the pipeline to its end. An exception that is not a StandardError, a +throw+, or the death of the thread ends
      # the run in good order, steps that always run included, and then continues.
      # @param executor [#open_pool]
      # @return [Result]
      def call(executor)
        @recording.forget(*@presets.outdated) if @presets
        @recording.start(@context, @warnings, @provenance)
        begin
          start(executor)
          drive
          well = true
        ensure
          finish(well) if Process.pid == @pid # A step may have forked, and its child unwinds to here.
        end
        result
      ensure
        @recording.close
      end

      # Starts nothing more, steps that always run excepted. Any thread may call it, also in a signal handler.
      # @return [void]
      def cancel
        @level = 1 if @level.zero?
        return if !@started || @state.over?

        @state.error ||= CancelledError.new(:interrupted)
        @run.stop(:cancelled, false)
        @inbox << [:look]
      end

      # Interrupts what runs: at first not the steps that always run, the second time everything.
      # @return [void]
      def cancel_now
        cancel
        @level = (@level + 1).clamp(2, 3)
        @run.stop(:cancelled, true) if stopping_all? && @started && !@state.over?
        @inbox << [:interrupt]
        @section.interrupt(:user)
        @section.interrupt(:always) if stopping_all?
      end

      # @return [Boolean] whether steps that always run are stopped as well
      def stopping_all?
        @level == 3
      end

      # @return [Array(Symbol, Object)] where a step stands, and what it waits for, if it does
      def state(id)
        @run.state(id)
      end

      # Notifies of a step whose callable is about to be called, in a thread of the pool or in this one. A worker waits for
      # +before_step+ hooks, because they may fail the step.
      # @param attempt [Attempt]
      # @return [void]
      # @raise [HookError] a +before_step+ hook raised
      def announce(attempt)
        return begin_call(attempt) if Thread.current.equal?(@thread)

        reply = Queue.new if @hooked && attempt.first?
        @inbox << [:begin, attempt, reply] if reply || @announced || attempt.step.options[:rate]
        error = reply&.pop
        raise error if error
      end

      private

      # What is there of earlier runs, and those who are notified, in this order.
      def prepare(pipeline, request)
        @warnings = []
        @environment = Environment.new(pipeline, request, @run, @context, @warnings, self)
        @recording = Recording.of(pipeline, request)
        @provenance = Provenance.new(@dag, @run, @context, @environment.caching, @environment.outputs)
        make_plan(pipeline, request) if request.continues? || request.dry?
        observers = request.reporters
        observers = [Hooks.new(pipeline.hooks, @context, @warnings), *observers] unless pipeline.hooks.empty?
        @announced = observers.any?
        @hooked = pipeline.hooks[:before_step]&.any?
        observers = [@recording, *observers] if @recording.stored?
        notifier = Events::Notifier.new(observers, @context, @dag.steps, @warnings, @section)
        @state = State.new(pipeline, @run, @environment, @recording, notifier, @warnings)
        @reuse = Reuse.new(@dag, @run, @presets, @provenance, @recording, @state) if @presets
        @plain = notifier.empty? && @section.nil? && !@environment.hints? && !@timeout && pipeline.plain? && !@presets&.open&.any?
      end

      def make_plan(pipeline, request)
        @plan = Plan.new(pipeline, request, @recording, @environment.caching, @context)
        @environment.presets = @presets = @plan.presets unless request.dry?
      end

      def start(executor)
        @thread = Thread.current
        @run.limit(@timeout) if @timeout
        @pool = executor.open_pool(@inbox, @section)
        @environment.middleware = middleware
        @plain &&= @pool.inline? && @environment.middleware.empty?
        expect_times if @pool.capacity > 1
        @context.run_id unless @plain # A forked child has it from here.
        @state.notify(:run_started)
        @started = true
        preset if @reuse
        cancel if @level.positive?
      rescue HookError => e
        @state.error = e
        @started = true
        @state.stop(:failed)
      end

      # From the outermost to the innermost.
      def middleware
        isolate = Isolate.new if @dag.steps.any? { |step| step.options[:isolate] }
        Middleware.new([isolate, *@pool.entries, *Flowline.config.middleware].compact)
      end

      # With several workers the order matters.
      def expect_times
        timings = @recording.timings
        @run.expect(@dag.steps.map { |step| timings[step.name] }) unless timings.empty?
      end

      # That a step was restored is no news for the recording.
      def preset
        @reuse.preset(@environment.outputs)
        @warnings.concat(@presets.warnings)
        @announced || @presets.unselected.any? ? @state.drain_ended : @state.pass_over_ended
      end

      # Works until every step has ended and nothing is in flight.
      def drive
        return drive_plain if @plain

        loop do
          receive
          following = room? ? @run.next : Float::INFINITY
          @state.drain_ended if @timeout || @level.positive? # The core may have stopped the run.
          case following
          when Integer then hand_over(following)
          when Float then await(following)
          else @in_flight.empty? ? break : await(Float::INFINITY)
          end
        end
      end

      # Does the same for steps that are called and nothing else, in this thread: one call of the core for each.
      def drive_plain
        calls, outputs = @environment.calls, @environment.outputs
        following = @run.next
        while following
          if Integer === following
            outputs[following] = calls[following].call(outputs, @context)
            following = @run.succeed(following)
          else
            @inbox.wait(following)
            following = @run.next
          end
        end
      rescue StandardError => e
        fail_plain(following, e)
        retry
      rescue ScriptError, SystemStackError, NoMemoryError => e
        fail_plain(following, e)
        raise
      end

      def fail_plain(id, error)
        raise error unless Integer === id && !@state.ended?(id)

        @state.fail(id, @state.step_error(id, error), :failed)
      end

      # @return [Boolean] whether the pool takes another attempt. If it does not, the core is not asked, so the run's time is
      #   checked here.
      def room?
        return true if @in_flight.size < @pool.capacity

        @state.stop(:timed_out) if @timeout && !@run.stopped? && @run.elapsed >= @timeout
        false
      end

      def await(seconds)
        seconds = [seconds, @timeout - @run.elapsed].min if @timeout && !@run.stopped?
        seconds = [seconds, @patience - now].min if @patience
        @inbox.wait(seconds.infinite? ? nil : [seconds, 0.0].max)
        abandon { |attempt| stopping_all? || !attempt.always? } if @patience && now >= @patience
      end

      # Handles the messages that are there.
      def receive
        while (message = @inbox.first)
          handle(message)
          @inbox.shift
        end
      end

      def handle(message)
        return settle(message) if Outcome === message

        kind, subject, *facts = message
        case kind
        when :begin then reply(subject, facts.first)
        when :supplied then @works[subject].supplied(*facts)
        when :source_failed then @works[subject].source_failed(*facts)
        when :interrupt then interrupt
        end
      end

      # Hands over an attempt of the step that the core starts, unless it need not be called.
      def hand_over(id)
        @current = id
        work = @works[id] || open(id)
        facts = work&.start
        submit(Attempt.new(@environment, @token += 1, id, *facts)) if facts
        @current = nil
      rescue StandardError => e
        fail_opening(id, e)
      rescue ScriptError, SystemStackError, NoMemoryError => e # Of a source of items.
        fail_opening(id, e)
        raise
      end

      def submit(attempt)
        @in_flight[attempt.token] = attempt
        outcome = @pool.submit(attempt)
        settle(outcome) if outcome
      end

      # @return [WholeStep, nil] nil: the step has ended, or the core starts it again for its items
      def open(id)
        return if @reuse&.end?(id)
        return @works[id] = WholeStep.new(id, @state) if @dag.steps[id].each.nil? || @environment.conditions?(id)

        open_items(id)
      end

      def open_items(id)
        @state.start(id)
        @environment.check_input(id)
        mapped = @works[id] = MappedStep.new(id, @state, @environment, @recording, method(:puller))
        # There is a limit in any case: a pool may take all that it is given before it calls any of it.
        mapped.open([@dag.steps[id].options[:concurrency], @pool.capacity].compact.min.clamp(1, Resources::MOST), @reuse&.items(id))
        @state.drain_ended # The run may have been stopped meanwhile.
        nil
      end

      # What raises before the first attempt is the step's failure.
      def fail_opening(id, error)
        raise error if StoreError === error || @state.ended?(id) || @in_flight.any? { |_, attempt| attempt.id == id }

        @current = nil
        @state.fail(id, @state.step_error(id, error), :failed)
      end

      # What reads the items of a lazy source.
      def puller(mapped, items, most)
        return Items::Puller.new(items, most) { pull(mapped, items) } if @pool.inline? && Fiber.current_scheduler.nil?

        failed = ->(error) { @inbox << [:source_failed, mapped.id, error] }
        Items::Producer.new(items, most, failed) do
          @inbox << [:supplied, mapped.id, items.more, items.exhausted?]
          !items.exhausted?
        end
      end

      def pull(mapped, items)
        return false if mapped.over?

        read = -> { @section ? @section.call(:user) { items.more } : items.more }
        count, error, limit = @environment.limits.produce(@dag.steps[mapped.id].options[:run_if] == :always, &read)
        error || limit ? mapped.source_failed(error, limit) : mapped.supplied(count, items.exhausted?)
      rescue ScriptError, SystemStackError, NoMemoryError => e
        mapped.source_failed(e)
      end

      # Records an outcome, applies it, and raises what ends the run, if that is what the outcome brings. From the moment when
      # it is recorded the attempt is not in flight any more, so that it is not applied twice.
      def settle(outcome)
        attempt = @in_flight[outcome.token] or return
        work = @works[attempt.id]
        work.record(attempt, outcome)
        @in_flight.delete(outcome.token)
        @warnings.concat(outcome.warnings - @warnings) if outcome.warnings
        stop_for(outcome) if STOPPING.include?(outcome.status)
        outcome.status == :opened ? open_or_fail(attempt.id) : work.settle(attempt, outcome)
        close_sources if @run.stopped?
        raise outcome.fatal if outcome.fatal

        @thread.kill if outcome.status == :died && @level < 2
      end

      # Before the step is reported, so that its dependents count as interrupted, too.
      def stop_for(outcome)
        @state.error ||= CancelledError.new(:interrupted, outcome.fatal, running: running)
        @run.stop(:cancelled, false)
      end

      def open_or_fail(id)
        open_items(id)
      rescue StandardError => e
        raise if StoreError === e || @state.ended?(id)

        @state.fail(id, @state.step_error(id, e), :failed)
      end

      def begin_call(attempt)
        @state.start(attempt.id) if attempt.first?
        @run.begin(attempt.id) if @in_flight.key?(attempt.token) && !@state.ended?(attempt.id)
      end

      def reply(attempt, queue)
        begin_call(attempt)
        queue&.push(nil)
      rescue StandardError => e
        raise unless queue

        queue << e
      end

      # The run ends, whatever interrupts that.
      def finish(well)
        wind_up unless well
      ensure
        begin
          close_sources(@works.keys)
          abandon { true }
          @pool&.shutdown
        ensure
          conclude
        end
      end

      def wind_up
        @state.error ||= CancelledError.new(:interrupted, $!, running: running)
        @level = 2 if @level < 2
        stop_and_drive
        well = true
      ensure
        unless well
          @level = 3
          stop_and_drive
        end
      end

      def stop_and_drive
        @run.stop(:cancelled, stopping_all?)
        return unless @pool

        @plain = false
        @started = true
        cancel_lost
        interrupt
        @state.drain_ended
        drive
      end

      # Cancels the steps of which no outcome will come: what was called in this thread, or about to be handed over.
      def cancel_lost
        lost = [@current].compact
        lost.concat(@in_flight.each_value.map(&:id)) && @in_flight.clear if @pool.inline?
        @current = nil
        known = @in_flight.each_value.map(&:id)
        lost.concat(@run.running.reject { |id| known.include?(id) || MappedStep === @works[id] })
        lost.uniq.each { |id| @state.cancel(id) }
      end

      def interrupt
        @patience = now + Executor::GRACE + 1 # A process that is killed has its own grace.
        @in_flight.each_value { |attempt| @pool.interrupt(attempt) if stopping_all? || !attempt.always? }
      end

      # Gives up attempts that do not end.
      def abandon(&chosen)
        @patience = nil
        rest = @in_flight.values.select(&chosen)
        return if rest.empty?

        rest.each do |attempt|
          @pool.abandon(attempt)
          @in_flight.delete(attempt.token)
          @state.cancel(attempt.id)
        end
        @warnings << "#{rest.size == 1 ? "a step" : "#{rest.size} steps"} did not stop, and may still run"
      end

      # Sources are closed before other steps clean up.
      def close_sources(ids = @works.keys.select { |id| @state.ended?(id) })
        ids.each { |id| @works[id].close_source }
      end

      # Notifies of what is left, records the end, and notifies of that.
      def conclude
        @state.close
      ensure
        @state.error ||= TimeoutError.new(nil, limit: @timeout, scope: :run) if @run.status == :timed_out && @run.failures.empty?
        failed_store = StoreError === $! # It would fail again.
        Thread.handle_interrupt(Executor::Section::NEVER) do
          @result = @state.result
          @recording.finish(@result) unless failed_store
        end
        @state.notify(:run_finished, nil, @result)
      end

      def running
        @run.running.map { |id| @dag.steps[id].name }
      end

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
