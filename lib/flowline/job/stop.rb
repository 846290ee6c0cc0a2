# frozen_string_literal: true

module Flowline
  module Job
    # Watches whether the worker of a job is about to end, and cancels the run then: nothing more starts, and what runs finishes.
    #
    # The job is asked in two threads. The {Recording::Ticker} asks in its own, also while a long step runs. Between steps and items
    # the job's thread asks, as a reporter of the run, because the answer of some queues depends on the thread.
    # @api private
    class Stop
      EVENTS = %i[step_finished items_progress].freeze
      private_constant :EVENTS

      # @param job [Job]
      def initialize(job)
        @job = job
      end

      # Watches while the block runs.
      # @param coordinator [Execution::Coordinator]
      # @return [Object] what the block returns
      def watching(coordinator)
        @coordinator = coordinator
        Recording::Ticker.add(self)
        yield
      ensure
        Recording::Ticker.remove(self)
      end

      # @return [Boolean] whether the run was cancelled because the worker is about to end
      def requested?
        @requested == true
      end

      # @return [Array<Symbol>] the events that it wants
      def event_names
        EVENTS
      end

      # @return [void]
      def tick(_event = nil)
        return if @requested || @broken || !@job.stopping?

        @requested = true
        @coordinator.cancel
      rescue StandardError => e
        @broken = true
        @job.logger&.warn("[flowline] stopping? of #{@job.class} failed: #{Error.account(e)}; the run is not stopped when the worker ends")
      end
      alias call tick
    end
  end
end
