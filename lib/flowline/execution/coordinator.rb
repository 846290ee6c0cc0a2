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
    # - A run is stopped in levels ({Cancellation}). An exception that is no failure of a step leads to level 2, another one
    #   to level 3.
    # @api private
    class Coordinator
      # The outcomes that are no failure of a step and stop the run.
      STOPPING = %i[interrupted died].freeze

      # @return [Result] how the run ended
      attr_reader :result

      # @param pipeline [Pipeline]
      # @param request [Planning::RunOptions]
      # @param background [Boolean] whether other threads may stop the run
      def initialize(pipeline, request, background: false)
        @timeout = request.timeout
        @section = Executor::Section.of_run(background, Recording.stored?(pipeline, request))
        @inbox = Inbox.new
        @in_flight = InFlight.new
        @token = 0
        @setup = Setup.new(pipeline, request, self, @section)
        @environment = @setup.environment
        @run = @environment.run
        @state = @setup.state
        @cancellation = Cancellation.new(@run, @state, @inbox, @section)
        @pid = Process.pid
      end

      # @return [Plan, nil] of a dry run
      def plan = @setup.plan

      # @return [Context]
      def context = @environment.context

      # Runs the pipeline to its end. An exception that is not a StandardError, a +throw+, or the death of the thread ends
      # the run in good order, steps that always run included, and then continues.
      # @param executor [#open_pool]
      # @return [Result]
      def call(executor)
        @section ? @section.surround { perform(executor) } : perform(executor)
        result
      end

      # Starts nothing more, steps that always run excepted. Any thread may call it, also in a signal handler.
      # @param requester [String, nil] who of another process asks for it
      # @return [void]
      def cancel(requester = nil) = @cancellation.cancel(requester)

      # Interrupts what runs: at first not the steps that always run, the second time everything.
      # @param requester [String, nil]
      # @return [void]
      def cancel_now(requester = nil) = @cancellation.cancel_now(requester)

      # Records the end of the run, because the program is about to end although user code holds the run.
      # @return [void]
      def give_up = (@state.give_up unless result)

      # @param always [Boolean] whether it is about steps that always run
      # @return [Boolean] whether what runs is interrupted
      def interrupting?(always) = always ? @cancellation.all? : @cancellation.now?

      # @return [Array(Symbol, Object)] where a step stands, and what it waits for, if it does
      def state(id) = @run.state(id)

      # The callable of an attempt is about to be called, in a thread of the pool or in this one.
      # @param attempt [Attempt]
      # @return [void]
      # @raise [HookError] a +before_step+ hook raised
      def announce(attempt) = @announcer.call(attempt, Thread.current.equal?(@thread))

      # Has something done in this thread: at once if the caller is in it.
      # @return [void]
      def tell(&notice) = Thread.current.equal?(@thread) ? yield : @inbox << [:call, notice]

      private

      def perform(executor)
        @setup.begin_recording(@in_flight, self)
        begin
          start(executor)
          drive
          well = true
        ensure
          finish(well) if Process.pid == @pid # A step may have forked, and its child unwinds to here.
        end
      ensure
        @setup.close
      end

      def start(executor)
        @thread = Thread.current
        @run.limit(@timeout) if @timeout
        @pool = executor.open_pool(@inbox, @section)
        @setup.surround(@pool)
        @plain = @setup.plain? && @pool.inline?
        equip unless @plain
        @setup.expect_times if @pool.capacity > 1
        context.run_id unless @plain # A forked child has it from here.
        @state.notify(:run_started, nil, @environment.resumption) { @setup.monitor(@pool, @in_flight) }
        @setup.preset
        @cancellation.begin
      rescue HookError, Error::TimeUp => e
        @state.error = e if HookError === e
        @state.stop(HookError === e ? :failed : :timed_out)
        @cancellation.begin
      end

      # Makes what a run needs that does more than call its steps in this thread.
      def equip
        @works ||= Works.new(@setup, @inbox, @pool)
        @announcer ||= Announcer.new(@setup, @inbox, @in_flight)
        @pace ||= Pace.new
        @batches ||= Batches.new(@setup, @in_flight, @pace, @pool)
        @plain = false
      end

      # Works until every step has ended and nothing is in flight.
      def drive
        return ShortPath.new(@environment, @state, @inbox).drive if @plain

        loop do
          receive
          following = room? ? @run.next : Float::INFINITY
          @state.drain_ended if @timeout || @cancellation.any? # The core may have stopped the run.
          case following
          when Integer then hand_over(following)
          when Float then await(following)
          else @in_flight.empty? ? break : await(Float::INFINITY)
          end
        end
      end

      # @return [Boolean] whether the pool takes another attempt. If it does not, the core is not asked, so the run's time is
      #   checked here.
      def room?
        return true if @in_flight.size < @pool.capacity || @in_flight.size < @pool.capacity + @pace.ahead(@pool, @batches.enabled?)

        @state.stop(:timed_out) if @timeout && !@run.stopped? && @run.elapsed >= @timeout
        false
      end

      def await(seconds)
        @in_flight.expect_end if @environment.limits.up?
        seconds = [seconds, @environment.limits.until_up, @in_flight.patience, @batches.patience, @environment.details&.look].compact.min
        seconds = VirtualTime.skip(@environment, @works, seconds) if @environment.limits.virtual? && @in_flight.empty? && @inbox.first.nil?
        @inbox.wait(seconds.infinite? ? nil : [seconds, 0.0].max)
        @batches.take_back.each { |id| hand_over_alone(id) } if @batches.patience && @inbox.first.nil?
        abandon_late if @in_flight.patience && !@in_flight.patience.positive?
      end

      # Abandons attempts that were interrupted, or whose time is up, and that have not ended.
      def abandon_late
        @cancellation.now? ? abandon { |attempt| interrupting?(attempt.always?) } : @in_flight.time_out(@pool, @environment.limits.of_run)
      end

      # Handles the messages that are there.
      def receive = @inbox.receive { |message| handle(message) }

      def handle(message)
        return settle(message) if Outcome === message

        kind, subject, *facts = message
        case kind
        when :begin then @announcer.answer(subject, *facts)
        when :call then subject.call
        when :look, :interrupt
          @environment.details&.cancelling(@cancellation.level, @cancellation.requester)
          interrupt if kind == :interrupt
        end
      end

      # Hands over an attempt of the step that the core starts, unless it need not be called.
      def hand_over(id)
        return submit(@batches.collect(id, @token += 1)) if @batches.enabled?

        @current = id
        facts = @works.start(id)
        submit(Attempt.new(@environment, @token += 1, id, facts)) if facts
        @current = nil
      end

      # For steps of a batch that were not called in it.
      def hand_over_alone(id) = @run.stopped? ? @state.withdraw(id) : submit(Attempt.new(@environment, @token += 1, id, @works.start(id)))

      def submit(attempt)
        @in_flight.add(attempt)
        outcome = @pool.submit(attempt)
        settle(outcome) if outcome
      end

      # Records an outcome, applies it, and raises what ends the run, if that is what the outcome brings. From the moment when
      # it is recorded the attempt is not in flight any more, so that it is not applied twice.
      def settle(outcome)
        attempt = @in_flight[outcome.token] or return
        return submit(attempt) if outcome.status == :withdrawn && !@environment.stopped?(attempt) # It was taken back.

        @run.stop(:cancelled, true) if @cancellation.all? # Perhaps {#cancel_now} is just about to do it.
        return settle_batch(attempt, outcome) if Batch === attempt

        @settling = [attempt, outcome]
        @works.record(attempt, outcome)
        @in_flight.delete(outcome.token)
        @environment.details&.settled(attempt, outcome)
        apply(attempt, outcome)
        @settling = nil
        @works.close_ended if @run.stopped?
        end_for(outcome)
      end

      def apply(attempt, outcome)
        @pace.note(outcome.ended - outcome.began) if outcome.began && outcome.ended
        @state.note(attempt.id, outcome)
        stop_for(outcome) if STOPPING.include?(outcome.status)
        @state.stop(:timed_out) if outcome.status == :withdrawn && !@run.stopped? # The core was not asked since the time was up.
        outcome.status == :opened ? @works.open_items(attempt.id) : @works[attempt.id].settle(attempt, outcome)
      end

      # Settles the outcome of a step whose settling was interrupted. (That of an item may have been applied already.)
      def settle_again
        attempt, outcome = @settling
        @settling = nil
        return if attempt.nil? || @works.mapped?(attempt.id) || outcome.status == :opened || !@run.running.include?(attempt.id)

        @works[attempt.id].record(attempt, outcome) if @in_flight[outcome.token]
        @in_flight.delete(outcome.token)
        apply(attempt, outcome)
      end

      def settle_batch(batch, outcome)
        @batches.apply(batch)
        @in_flight.delete(batch.token)
        stop_for(outcome) if STOPPING.include?(outcome.status)
        @batches.settle(batch, outcome).each { |id| hand_over_alone(id) }
        end_for(outcome)
      end

      # Raises what ends the run, if that is what the outcome brings.
      def end_for(outcome) = outcome.fatal ? raise(outcome.fatal) : (@thread.kill if outcome.status == :died && !@cancellation.now?)

      # Before the step is reported, so that its dependents count as interrupted, too.
      def stop_for(outcome)
        @state.error ||= CancelledError.new(:interrupted, outcome.fatal, running: @state.running)
        @run.stop(:cancelled, false)
      end

      # The run ends, whatever interrupts that.
      def finish(well)
        wind_up unless well
      ensure
        @plain && well ? conclude : all(-> { @works&.close }, -> { abandon { true } }, -> { @pool&.shutdown }, -> { conclude })
      end

      def conclude = @state.conclude(@timeout) { |result| @result = result }

      # Calls each, whatever interrupts another. (A worker that is left behind would keep the program from ending.)
      def all(first, *others)
        first.call
      ensure
        all(*others) unless others.empty?
      end

      def wind_up
        @cancellation.unwind(2, $!)
        drive_on
        well = true
      ensure
        unless well
          @cancellation.unwind(3, $!)
          drive_on
        end
      end

      def drive_on
        return unless @pool

        equip
        settle_again
        @environment.details&.cancelling(@cancellation.level, @cancellation.requester)
        cancel_lost
        interrupt
        @state.drain_ended
        drive
      end

      # Cancels the steps of which no outcome will come: what was called in this thread, or about to be handed over.
      def cancel_lost
        @state.interrupted(@in_flight.clear) if @pool.inline?
        known = @in_flight.steps
        @run.running.each { |id| @state.cancel(id) unless known.include?(id) || (@works.mapped?(id) && id != @current) }
        @current = nil
      end

      def interrupt = @in_flight.interrupt(@pool, @cancellation.all?)

      def abandon(&chosen) = @state.abandon(*@in_flight.abandon(@pool, &chosen))
    end
  end
end
