# frozen_string_literal: true

module Flowline
  module Execution
    # Dispatches the steps of a run as attempts, for its {Coordinator} and in its thread: asks the core what starts, hands
    # attempts to the pool, and applies their outcomes to the {State}. A run whose steps are only called in this thread takes
    # the {ShortPath} instead.
    #
    #     core ──next──> hand_over ──Attempt──> Pool (this thread, other threads, forked children)
    #                       ▲                     │
    #     State <── settle ─┴── Inbox <── Outcome ┘
    #
    # Workers only call attempts. Whatever becomes of one, its outcome or the news of its death is in the inbox. An attempt is
    # known by its token as long as it is in flight. The outcome of an abandoned attempt has no attempt in flight, and is
    # dropped.
    #
    # An exception from outside may arrive at any line. Three things keep it from losing an outcome or applying one twice:
    #
    # - A message stays in the inbox until it has been handled.
    # - +@settling+ has the attempt and the outcome that are being settled. A later {#drive_on} settles them again, unless the
    #   core knows of the end already. From the moment when an outcome is recorded its attempt is not in flight any more.
    # - +@current+ is the step that the core has started and that is not in flight yet. {#drive_on} cancels it.
    #
    # It must never happen that two threads are in here, that the core learns of an output before it is recorded, or that a
    # dependent starts before observers are notified of what it depends on.
    # @api private
    class Dispatcher
      # The outcomes that are no failure of a step and stop the run.
      STOPPING = %i[interrupted died].freeze

      # @param setup [Setup]
      # @param inbox [Inbox]
      # @param pool [Executor::Pool]
      # @param cancellation [Cancellation]
      def initialize(setup, inbox, pool, cancellation)
        @environment = setup.environment
        @run = @environment.run
        @limits = @environment.limits
        @timed = !@limits.of_run.nil?
        @state = setup.state
        @inbox = inbox
        @in_flight = setup.in_flight
        @pool = pool
        @cancellation = cancellation
        @token = 0
        @works = Works.new(setup, inbox, pool)
        @announcer = Announcer.new(setup, inbox)
        @pace = Pace.new
        @batches = Batches.new(setup, @pace, pool)
      end

      # Works until every step has ended and nothing is in flight.
      # @return [void]
      def drive
        loop do
          receive
          following = room? ? @run.next : Float::INFINITY
          @state.drain_ended if @timed || @cancellation.any? # The core may have stopped the run.
          case following
          when Integer then hand_over(following)
          when Float then await(following)
          else @in_flight.empty? ? break : await(Float::INFINITY)
          end
        end
      end

      # Works on after an exception has ended {#drive}, or the short path. The run is being stopped.
      # @return [void]
      def drive_on
        settle_again
        @environment.details&.cancelling(@cancellation.level, @cancellation.requester)
        cancel_lost
        interrupt
        @state.drain_ended
        drive
      end

      # See {Coordinator#announce}.
      # @param attempt [Attempt]
      # @param here [Boolean] whether this is the coordinator's thread
      # @return [void]
      # @raise [HookError]
      def announce(attempt, here) = @announcer.call(attempt, here)

      # Closes the sources of items.
      # @return [void]
      def close = @works.close

      # Abandons what is still in flight.
      # @return [void]
      def abandon_rest = abandon { true }

      private

      # @return [Boolean] whether the pool takes another attempt. If it does not, the core is not asked, so the run's time is
      #   checked here.
      def room?
        return true if @in_flight.size < @pool.capacity || @in_flight.size < @pool.capacity + @pace.ahead(@pool, @batches.enabled?)

        @state.stop(:timed_out) if @timed && !@run.stopped? && @limits.up?
        false
      end

      def await(seconds)
        @in_flight.expect_end if @limits.up?
        seconds = [seconds, @limits.until_up, @in_flight.patience, @batches.patience, @environment.details&.look].compact.min
        seconds = VirtualTime.skip(@environment, @works, seconds) if @limits.virtual? && @in_flight.empty? && @inbox.first.nil?
        @inbox.wait(seconds.infinite? ? nil : [seconds, 0.0].max)
        @batches.take_back.each { |id| hand_over_alone(id) } if @batches.patience && @inbox.first.nil?
        abandon_late if @in_flight.patience && !@in_flight.patience.positive?
      end

      # Abandons attempts that were interrupted, or whose time is up, and that have not ended.
      def abandon_late
        return @in_flight.time_out(@pool, @limits.of_run) unless @cancellation.now?

        abandon { |attempt| attempt.always? ? @cancellation.all? : true }
      end

      def abandon(&chosen) = @state.abandon(*@in_flight.abandon(@pool, &chosen))

      def interrupt = @in_flight.interrupt(@pool, @cancellation.all?)

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
      def hand_over_alone(id)
        @run.stopped? ? @state.withdraw(id) : submit(Attempt.new(@environment, @token += 1, id, @works.start(id)))
      end

      def submit(attempt)
        @in_flight.add(attempt)
        outcome = @pool.submit(attempt)
        settle(outcome) if outcome
      end

      # Records an outcome, applies it, and raises what ends the run, if that is what the outcome brings.
      def settle(outcome)
        attempt = @in_flight[outcome.token] or return
        return submit(attempt) if outcome.status == :withdrawn && !@environment.stopped?(attempt) # It was taken back.

        @run.stop(:cancelled, true) if @cancellation.all? # Perhaps {Cancellation#cancel_now} is just about to do it.
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
      def end_for(outcome)
        raise outcome.fatal if outcome.fatal

        Thread.current.kill if outcome.status == :died && !@cancellation.now?
      end

      # Before the step is reported, so that its dependents count as interrupted, too.
      def stop_for(outcome)
        @state.error ||= CancelledError.new(:interrupted, outcome.fatal, running: @state.running)
        @run.stop(:cancelled, false)
      end

      # Cancels the steps of which no outcome will come: what was called in this thread, or about to be handed over.
      def cancel_lost
        @state.interrupted(@in_flight.clear) if @pool.inline?
        known = @in_flight.steps
        @run.running.each { |id| @state.cancel(id) unless known.include?(id) || (@works.mapped?(id) && id != @current) }
        @current = nil
      end
    end
  end
end
