# frozen_string_literal: true

module Flowline
  module Execution
    # The batches of a run: whether steps are handed over in batches, and what becomes of a batch.
    # @api private
    class Batches
      # @param setup [Setup]
      # @param pace [Pace]
      # @param pool [Executor::Pool]
      def initialize(setup, pace, pool)
        @environment = setup.environment
        @run = @environment.run
        @state = setup.state
        @in_flight = setup.in_flight
        @pace = pace
        @under_way = false
        @enabled = @environment.bare? && pool.queues? && setup.reuse.nil?
      end

      # @return [Boolean] whether the next step is handed over with others
      def enabled?
        @enabled && @pace.quick?
      end

      # Starts further steps, if there are some.
      # @param id [Integer] a step that was started
      # @param token [Integer]
      # @return [Batch]
      def collect(id, token)
        ids = [id]
        ids << id while ids.size < Batch::SIZE && Integer === (id = @run.next)
        @under_way = true
        Batch.new(@environment, token, ids)
      end

      # Applies what the steps of a batch came to.
      # @param batch [Batch]
      # @return [void]
      # @raise [StoreError]
      def apply(batch)
        while (id, output, began, ended = batch.done.first)
          unless @state.ended?(id)
            @state.called_at(id, began)
            @state.record(id, output, ended)
            @state.succeed(id, ended)
            @pace.note(ended - began)
          end
          batch.done.shift
        end
      end

      # Ends the step that raised, or was interrupted.
      # @param batch [Batch]
      # @param outcome [Outcome]
      # @return [Array<Integer>] the steps that were not called
      # @raise [StoreError]
      def settle(batch, outcome)
        if outcome.error
          @state.fail(batch.id, @state.step_error(batch.id, outcome.error), :failed)
          @environment.continue
        elsif batch.id
          @state.cancel(batch.id)
        end
        batch.take_back
      end

      # @return [Float, nil] the seconds after which the coordinator looks for calls that take long
      def patience
        Batch::PATIENCE if @under_way
      end

      # Applies what has returned before such calls.
      # @return [Array<Integer>] the steps that wait for them
      def take_back
        @under_way = false
        @in_flight.batches.flat_map do |batch|
          apply(batch)
          batch.take_back
        end
      end
    end
  end
end
