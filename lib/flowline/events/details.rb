# frozen_string_literal: true

module Flowline
  module Events
    # The events that only some observers want ({Event::DETAILS}). It is there in runs with such observers only, and called in
    # the coordinator's thread, as all that changes a run or notifies of it.
    # @api private
    class Details
      # Seconds after which counts of items that have changed are looked at again.
      PAUSE = 0.2
      private_constant :PAUSE

      # @param notifier [Notifier]
      # @param environment [Execution::Environment]
      # @param pools [Array<Symbol>] their names
      # @return [Details, nil] nil: no observer wants any of it
      def self.of(notifier, environment, pools)
        new(notifier, environment, pools) if Event::DETAILS.any? { |name| notifier.wants?(name) }
      end

      def initialize(notifier, environment, pools)
        @notifier = notifier
        @environment = environment
        @pools = pools
        @run = environment.run
        @steps = environment.steps
        @open = {} # By step, the attempts that have started and not finished, by token.
        @tallies = {} # By step, the items whose counts have changed since the last event.
        @waits = {} # By step, the wait of the last event.
        @counts = {} # By step, the counts of the last event.
        @level = 0
        @run.watch if @notifier.wants?(:step_waiting)
      end

      # @return [Boolean] whether an observer wants the lines that steps log
      def lines?
        @notifier.wants?(:log)
      end

      # An attempt is about to be called, although a cache was asked.
      # @param attempt [Execution::Attempt]
      # @return [void]
      def missed(attempt)
        notify_lookup(attempt.step, false, attempt.missed, attempt) if attempt.missed && attempt.number == 1
      end

      # A cache had the output of a step, or of an item.
      # @param id [Integer] the step
      # @param attempt [Execution::Attempt, nil]
      # @return [void]
      def hit(id, attempt = nil)
        notify_lookup(@steps[id], true, nil, attempt)
      end

      # @param attempt [Execution::Attempt]
      # @param began [Float, nil] when it was called, in seconds from the start of the run; nil: now
      # @return [void]
      def started(attempt, began)
        @waits.delete(attempt.id) unless attempt.index # It waits for nothing any more.
        return unless @notifier.wants?(:attempt_started) || @notifier.wants?(:attempt_finished)

        facts = Event::Attempt.new(attempt.number, attempt.index, attempt.label, time(began || @run.elapsed))
        (@open[attempt.id] ||= {})[attempt.token] = facts
        @notifier.notify(:attempt_started, attempt.step, facts.dup.freeze)
      end

      # An attempt has an outcome.
      # @param attempt [Execution::Attempt]
      # @param outcome [Execution::Outcome]
      # @return [void]
      def settled(attempt, outcome)
        return hit(attempt.id, attempt) if outcome.status == :cached

        facts = @open[attempt.id]&.delete(attempt.token) or return
        finish(attempt.step, facts, status(outcome), (outcome.ended || @run.elapsed) - (outcome.began || @run.elapsed), outcome)
      end

      # Items of a step have ended.
      # @param id [Integer]
      # @param tally [Execution::Items::Tally]
      # @return [void]
      def progressed(id, tally)
        return unless @notifier.wants?(:items_progress)

        @run.progress(id) ? notify_items(id, tally) : @tallies[id] = tally
      end

      # The coordinator is about to wait: notifies of the steps that have begun to wait, and of items.
      # @return [Float, nil] the seconds after which to look again at the latest
      def look
        @run.waits.each { |id, state| notify_wait(id, wait(state)) } if @notifier.wants?(:step_waiting)
        @tallies.keys.each { |id| notify_items(id, @tallies[id]) if @run.progress(id) } # rubocop:disable Style/HashEachMethods -- it is changed
        PAUSE unless @tallies.empty?
      end

      # An attempt waits until another one has computed the same cached value.
      # @param attempt [Execution::Attempt]
      # @return [void]
      def locked(attempt)
        notify_wait(attempt.id, Event::Wait.new(:lock)) if @notifier.wants?(:step_waiting)
      end

      # A line was logged or printed.
      # @param id [Integer] the step; -1: the run itself
      # @param line [Event::Line]
      # @return [void]
      def logged(id, line)
        @notifier.notify(:log, (@steps[id] unless id.negative?), line)
      end

      # A step has ended, and observers are notified of that next.
      # @param id [Integer]
      # @param status [Symbol]
      # @param tally [Execution::Items::Tally, nil]
      # @return [void]
      def ended(id, status, tally)
        open = @open.delete(id) || {}
        status = :cancelled unless %i[failed timed_out].include?(status)
        open.each_value { |facts| finish(@steps[id], facts, status, Time.now - facts.started_at) }
        notify_items(id, tally) if tally && @notifier.wants?(:items_progress)
        @counts.delete(id)
      end

      # The run is being cancelled, if it is.
      # @param level [Integer] see {Execution::Cancellation}
      # @param requester [String, nil]
      # @return [void]
      def cancelling(level, requester = nil)
        return unless level > @level

        @level = level
        running = @run.running.map { |id| @steps[id].name }
        clean_ups = level > 2 ? [] : @steps.each_index.select { |id| @steps[id].outlasts_stop? && !@run.ended?(id) }.map { |id| @steps[id].name }
        @notifier.notify(:run_cancelling, nil, Event::Cancelling.new(level > 1, requester, running, clean_ups - running).freeze)
      end

      private

      def time(seconds)
        @environment.context.started_at + seconds
      end

      def status(outcome)
        case outcome.status
        when :succeeded then :succeeded
        when :retry then outcome.limit ? :timed_out : :failed
        when :failed, :timed_out then outcome.status
        else :cancelled
        end
      end

      def finish(step, facts, status, duration, outcome = nil)
        facts.status = status
        facts.duration = duration.round(9)
        facts.error = outcome&.error
        facts.wait = outcome&.wait
        @notifier.notify(:attempt_finished, step, facts.freeze)
      end

      def notify_lookup(step, hit, reason, attempt)
        @notifier.notify(:cache, step, Event::Lookup.new(hit, reason, attempt&.index, attempt&.label).freeze) if @notifier.wants?(:cache)
      end

      def notify_items(id, tally)
        @tallies.delete(id)
        counts = tally.counts
        return if counts == @counts[id]

        @counts[id] = counts
        @notifier.notify(:items_progress, @steps[id], counts)
      end

      # A step whose rate lets its items start one by one waits all the time; there is one event.
      def notify_wait(id, wait)
        return if @waits[id] && @waits[id].to_a.first(2) == wait.to_a.first(2) && @steps[id].each

        @waits[id] = wait.freeze
        @notifier.notify(:step_waiting, @steps[id], wait)
      end

      # @return [Event::Wait] for a state of the core
      def wait(state)
        _, what, ends = state
        return Event::Wait.new(:pool, @pools[what]) if Integer === what

        Event::Wait.new(what || :worker, nil, (time(ends) if ends))
      end
    end
  end
end
