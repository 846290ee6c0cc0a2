# frozen_string_literal: true

module Flowline
  module Execution
    # The steps of a run that have started: of each, a {WholeStep} or a {MappedStep}.
    # @api private
    class Works
      # @param setup [Setup]
      # @param inbox [Inbox] gets what a producer of items has to say
      # @param pool [Executor::Pool] where attempts are called
      def initialize(setup, inbox, pool)
        @setup = setup
        @environment = setup.environment
        @state = setup.state
        @inbox = inbox
        @pool = pool
        @works = {}
      end

      # @return [WholeStep, MappedStep]
      def [](id)
        @works[id]
      end

      # @return [Boolean] whether it is a step whose items are being called for
      def mapped?(id)
        MappedStep === @works[id]
      end

      # @return [Boolean] whether items of a step are being read in another thread
      def reading? = @works.each_value.any? { |work| MappedStep === work && work.reading? }

      # Records an outcome, before anything else learns of it, together with what the attempt wrote into the state.
      # @param attempt [Attempt]
      # @param outcome [Outcome]
      # @return [void]
      # @raise [StoreError]
      def record(attempt, outcome)
        @environment.context.open_ledger.add(attempt.id, outcome.writes) if outcome.writes&.any?
        @setup.state.interrupted([attempt.id]) if outcome.began && Dispatcher::STOPPING.include?(outcome.status)
        @works[attempt.id].record(attempt, outcome)
      end

      # Decides what the start of a step, or of one of its items, leads to.
      # @return [Array, nil] the number of the next attempt, and of an item its index and itself; nil: there is none
      def start(id)
        failing(id) { (@works[id] || open_step(id))&.start }
      end

      # Begins with the items of a step, whose conditions have said yes. The core starts it again for each of them.
      # @return [nil]
      def open_items(id)
        failing(id) { read_items(id) }
      end

      # Closes the sources of the steps that have ended, before other steps clean up.
      # @return [void]
      def close_ended
        @works.each { |id, work| work.close_source if @state.ended?(id) }
      end

      # Closes all sources.
      # @return [void]
      def close
        @works.each_value(&:close_source)
      end

      private

      # An exception before the first attempt is the step's failure. One that is not a StandardError, of a source of items, also
      # ends the run.
      def failing(id)
        yield
      rescue StandardError => e
        fail_step(id, e)
      rescue ScriptError, SystemStackError, NoMemoryError => e
        fail_step(id, e)
        raise
      end

      def fail_step(id, error)
        raise error if StoreError === error || @state.ended?(id)

        @state.fail(id, @state.step_error(id, error), :failed)
        nil
      end

      def read_items(id)
        @state.start(id)
        @environment.check_input(id)
        mapped = @works[id] = MappedStep.new(id, @state, @environment, @setup.recording, method(:producer))
        # There is a limit in any case: a pool may take all that it is given before it calls any of it.
        most = [@environment.steps[id].options[:concurrency], @pool.capacity].compact.min.clamp(1, Execution::Resources::MOST)
        mapped.open(most, @setup.reuse&.items(id))
        @state.drain_ended # The run may have been stopped meanwhile.
        nil
      end

      # @return [WholeStep, nil] nil: the step has ended, or the core starts it again for its items
      def open_step(id)
        return if @setup.reuse&.end?(id)
        return @works[id] = WholeStep.new(id, @state) if @environment.steps[id].each.nil? || @environment.conditions?(id)

        read_items(id)
      end

      # @return [Items::Producer] what reads the items of a lazy source
      def producer(mapped, items, most)
        failed = ->(error) { @inbox << [:call, -> { mapped.source_failed(error) }] }
        Items::Producer.new(items, most, failed) { |count, exhausted| @inbox << [:call, -> { mapped.supplied(count, exhausted) }] }
      end
    end
  end
end
