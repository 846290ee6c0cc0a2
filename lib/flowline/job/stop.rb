# frozen_string_literal: true

module Flowline
  module Job
    # Watches whether the worker of a job is about to end, and cancels the run then: nothing more starts, and what runs finishes.
    # The {Recording::Ticker} calls it in its thread.
    # @api private
    class Stop
      # @param job [Job]
      # @param coordinator [Execution::Coordinator]
      def initialize(job, coordinator)
        @job = job
        @coordinator = coordinator
      end

      # Watches while the block runs.
      # @return [Object] what the block returns
      def watching
        Recording::Ticker.add(self)
        yield
      ensure
        Recording::Ticker.remove(self)
      end

      # @return [Boolean] whether the run was cancelled because the worker is about to end
      def requested?
        @requested == true
      end

      # @return [void]
      def tick
        return if @requested || @broken || !@job.stopping?

        @requested = true
        @coordinator.cancel
      rescue StandardError => e
        @broken = true
        @job.logger&.warn("[flowline] stopping? of #{@job.class} failed: #{Error.account(e)}; the run is not stopped when the worker ends")
      end
    end
  end
end
