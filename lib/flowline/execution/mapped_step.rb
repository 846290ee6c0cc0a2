# frozen_string_literal: true

module Flowline
  module Execution
    # A step that is called for each item of a dependency's output. The core starts it once, which opens it, then once for
    # every item, and at last to close it.
    # @api private
    class MappedStep
      # @return [Integer]
      attr_reader :id

      # @param id [Integer]
      # @param state [State]
      # @param environment [Environment]
      # @param recording [Recording]
      # @param make_producer [#call] makes what reads lazy items: gets this, the items, and how many are called for at a time
      def initialize(id, state, environment, recording, make_producer)
        @id = id
        @state = state
        @run = state.run
        @environment = environment
        @step = environment.steps[id]
        @recording = recording
        @make_producer = make_producer
      end

      # Begins with the items, the conditions having said yes.
      # @param most [Integer] how many are called for at a time
      # @param recorded [Recording::Items, nil] the items for which it need not be called
      # @return [void]
      # @raise [StandardError] there are no items to go over
      def open(most, recorded)
        source = @step.depends_on[@step.labels.index(@step.each)]
        @items = Items.new(@environment.output(source), source)
        @recorded = recorded
        @labels = Items::Labels.new(@step, @environment)
        @state.count(@id, @tally = Items::Tally.new(@run, @id, @items, @recording.subject.records?(@step)))
        @run.open(@id, most, fails_at)
        if @items.list?
          supplied(@items.total, true)
        else
          @producer = @make_producer.call(self, @items, most)
          @producer.start
        end
      end

      # @return [Boolean] whether its items are being read in another thread
      def reading? = @producer&.reading? == true

      # @return [Boolean] whether no more items are wanted
      def over?
        !@failure.nil? || @state.ended?(@id)
      end

      # Further items are there.
      # @param count [Integer]
      # @param exhausted [Boolean] whether they are the last
      # @return [void]
      def supplied(count, exhausted)
        return if over?

        @run.supply(@id, count)
        @run.exhaust(@id) if exhausted
      end

      # The source raised: no item is to blame.
      # @param error [Exception]
      # @return [void]
      def source_failed(error)
        @failure ||= StandardError === error ? [@state.step_error(@id, error), :failed] : error
        @run.exhaust(@id)
      end

      # @return [Array, nil] number, index and item of the next attempt; nil: the core is to be asked again
      def start
        index = @run.take(@id)
        return close unless index

        attempts = @run.item_attempts(@id, index)
        digest = digest(index) if @recorded || @recording.subject.records?(@step) # The call may change the item.
        recorded = @recorded&.find(index, digest)
        return attempt(attempts + 1, index) unless recorded

        @tally.record
        put(index, recorded.first, :restored, attempts.zero?)
        nil
      end

      # Records the output of an item, before anything else learns of it.
      # @param attempt [Attempt] for the item
      # @param outcome [Outcome]
      # @return [void]
      # @raise [StoreError]
      def record(attempt, outcome)
        return unless outcome.status == :succeeded && @recording.subject.records?(@step) && (digest = @items.digest(attempt.index))

        @tally.record if @recording.complete_item(@id, @step, attempt.index, digest, outcome.output)
      end

      # @param attempt [Attempt] for an item
      # @param outcome [Outcome]
      # @return [void]
      def settle(attempt, outcome)
        first = attempt.number == 1
        case outcome.status
        when :succeeded then put(attempt.index, outcome.output, :done, first, called: true)
        when :cached
          @tally.cache
          put(attempt.index, outcome.output, :done, first)
        when :retry then retries?(attempt) ? try_again(attempt, outcome) : fail(attempt, outcome)
        when :failed, :timed_out then fail(attempt, outcome)
        when :withdrawn then end_item(attempt.index, :withdrawn, first, false)
        else stop
        end
      end

      # Stops reading items.
      # @return [void]
      def close_source
        return if @producer.nil? || @producer.close

        @state.warn(["the source of step #{Name.show(@step.name)} did not stop, and may still run"])
      end

      private

      # @return [Array] number, index, item and label
      def attempt(number, index)
        item = @items[index]
        [number, index, item, (@labels.call(item) if @environment.details || (@environment.monitored && @step.options[:label]))]
      end

      def digest(index)
        @environment.serialising.call(always: @step.outlasts_stop?) { @items.digest(index) }
      end

      # @return [Integer, nil] how many failed items end the step; nil: they don't fail it
      def fails_at
        case @step.options[:on_item_error]
        when :collect then nil
        when :continue then @step.options[:max_failures] || Resources::MOST
        else 1
        end
      end

      # @return [Boolean] whether the attempt may be followed by another one
      def retries?(attempt)
        @failure.nil? && !@environment.stopped?(attempt) && (fails_at.nil? || @tally.failures.size < fails_at)
      end

      # How the step ends, unless it succeeds.
      # @return [Array(StepError, Symbol), Exception, nil]
      def ending
        @failure || (failed unless fails_at.nil? || @tally.failures.empty?)
      end

      # An item was interrupted. If others have failed before, that is how the step ended.
      def stop
        failure = ending
        Array === failure ? @state.fail(@id, *failure) : @state.cancel(@id)
      end

      def put(index, output, report, first, called: false)
        @items.put(index, output)
        end_item(index, report, first, called)
      end

      def end_item(index, report, first, called, wait = nil)
        @run.item(@id, index, report, called, wait)
        @environment.details&.progressed(@id, @tally)
        @state.drain_ended if @run.stopped?
        @producer&.worked_on(first)
      end

      def try_again(attempt, outcome)
        return if @state.ended?(@id)

        again = Event::Retry.new(outcome.error, attempt.number, outcome.wait, attempt.index, attempt.label || @labels.call(attempt.item))
        @state.notify(:step_retried, @step, again)
        end_item(attempt.index, :retry, attempt.number == 1, outcome.called?, outcome.wait)
      end

      def fail(attempt, outcome)
        limit = outcome.limit
        failure = item_error(attempt, outcome)
        @tally.failures << failure
        if stop_run(limit)
          @failure ||= [failure.original, :timed_out]
          return @state.fail(@id, *@failure) if fails_at.nil? # Otherwise the other items in flight come first.
        end
        fails_at ? @items.put(attempt.index, nil) : @items.put(attempt.index, failure)
        end_item(attempt.index, :failed, attempt.number == 1, outcome.called?)
      end

      # @return [ItemError]
      def item_error(attempt, outcome)
        label = attempt.label || @labels.call(attempt.item)
        attempts = { attempts: attempt.number }
        error = outcome.error unless outcome.limit
        error ||= TimeoutError.new(@step.name, **outcome.limit, **attempts, item: "item #{attempt.index + 1} (#{label})")
        ItemError.new(@step.name, error, position: attempt.index, item: attempt.item, label: label, **attempts,
                                         hint: @environment.hint(@id, error),
                                         detail: @environment.context.mask(Error.words(error)))
      end

      # @return [Boolean] whether it was the run's limit, which stops the run
      def stop_run(limit)
        return false unless limit && limit[:scope] == :run

        @state.stop(:timed_out)
        true
      end

      # All items have ended, or some of them ended the step.
      # @return [nil]
      def close
        return if @state.ended?(@id) # Its time was up meanwhile.

        close_source
        raise @failure if Exception === @failure

        failure = ending
        failure ? @state.fail(@id, *failure) : succeed
        nil
      end

      # @return [Array(StepError, Symbol)] how failed items end the step
      def failed
        return [ItemsError.new(@step.name, @tally.errors, counts: @tally.counts), :failed] if @step.options[:on_item_error] == :continue

        first = @tally.failures.first
        TimeoutError === first.original ? [first.original, :timed_out] : [first, :failed]
      end

      def succeed
        results = @items.results
        warn_of_collected(results) unless @tally.failures.empty?
        @environment.check_output(@id, results)
        @state.record(@id, results)
        @state.succeed(@id)
      rescue ::TypeError => e # Of a type hint.
        @state.fail(@id, @state.step_error(@id, e), :failed)
      end

      def warn_of_collected(results)
        failed = "#{@tally.failures.size} of #{results.size} items of step #{Name.show(@step.name)} failed"
        @state.warnings << "#{failed}, and resume: true tries them again; the first: #{@tally.errors.first.message}"
      end
    end
  end
end
