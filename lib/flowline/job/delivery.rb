# frozen_string_literal: true

module Flowline
  module Job
    # One delivery of a job: what is to be done, the run, and what its end means for the queue.
    #
    # Runs are found by the id of the job, which is recorded with them, not by their params: another job with the same params
    # is another run. The latest run of the job decides:
    #
    #     none ─────────────────────────────> a new run
    #     succeeded ────────────────────────> nothing is left to be done
    #     failed, cancelled, crashed ───────> it is resumed, with its params; if it cannot be, a new run
    #     alive (another delivery runs) ────> LockedError
    #
    # Two deliveries at the same time: both may see that there is no run, but only one gets the lock of the identity. The other
    # one is refused even if the first has ended by then, because the run was called for before this delivery looked.
    # @api private
    class Delivery
      # @param job [Job]
      # @param settings [Settings]
      # @param pipeline [Pipeline]
      # @param params [Hash]
      # @param resume [String, nil] a run that is resumed if the job has none yet
      def initialize(job, settings, pipeline, params, resume)
        @called = Clock.now
        @job = job
        @settings = settings
        @pipeline = pipeline
        @params = params
        @resume = resume
        @id = job.flowline_id
        @stop = Stop.new(job)
      end

      # @return [Result, nil] nil: an earlier delivery has succeeded
      # @raise [Error] the run failed, so that the queue retries the job
      def call
        earlier = earlier_run
        return log(:info, "job #{@id} is done: #{run(earlier.run_id)} succeeded") if earlier&.status == "succeeded"

        settle(perform(earlier))
      rescue LockedError => e
        locked(e)
      end

      private

      # @return [Store::Run, nil] the latest run of this job
      def earlier_run
        return log(:warn, "the pipeline of #{@job.class} has no name: each delivery starts from the beginning") unless @pipeline.name
        return unless @id && Flowline.config.store

        runs = Store.existing(Flowline.config.root)&.runs(@pipeline.name)
        runs&.find { |run| run.trigger == Recording::Trigger.job(@id) }
      end

      # @return [Result]
      def perform(earlier)
        coordinator, request = earlier ? resume(earlier) || prepare : prepare(resume: @resume)
        @stop.watching(coordinator) { coordinator.call(request.executor) }
      rescue Error => e
        raise Backtrace.clean_all(e, caller)
      end

      # @return [Array(Execution::Coordinator, Planning::RunOptions), nil] nil: nothing of the run can be used any more
      def resume(earlier)
        prepare(resume: earlier.run_id)
      rescue LockedError
        raise
      rescue CheckpointError => e
        log(:warn, "#{e.message}; starts from the beginning")
      end

      def prepare(**options)
        exclusive = @pipeline.settings.fetch(:exclusive, :params)
        options = { exclusive: exclusive, **@settings.run_options, reporter: reporters, params: @params, **options }
        Recording::Trigger.with("job", job: @id, since: @called) { @pipeline.prepare_run(options) }
      end

      def reporters
        given = @settings.run_options.fetch(:reporter) { Reporter::Logger.new(@job.logger) if @job.logger }
        [*(given.is_a?(Array) ? given : [given]), @stop]
      end

      def settle(result)
        return result if result.success?
        return requeue(result.error, nil, "#{run(result.run_id)} was stopped because the worker ends") if stopped?(result)
        return log(:warn, "#{run(result.run_id)} was cancelled; the job is not retried") || result if cancelled?(result)
        return log(:error, "#{run(result.run_id)} failed; the job is not retried") || result unless @settings.raises?

        result.raise_error(caller)
      end

      def stopped?(result)
        result.status == :cancelled && @stop.requested?
      end

      # Returns whether somebody has cancelled the run, and will not want to see it again in a moment.
      def cancelled?(result)
        result.status == :cancelled && CancelledError === result.error && result.error.cause.nil?
      end

      def locked(error)
        case @settings.on_locked
        when :raise then raise error
        when :discard then log(:info, "#{error.message}; the job is discarded")
        else requeue(error, @settings.locked_wait, error.message)
        end
      end

      def requeue(error, wait, why)
        log(:info, "#{why}; the job returns to the queue#{" for #{wait} s" if wait}")
        @job.flowline_requeue(wait, error)
      end

      def run(run_id)
        "run #{run_id} of #{Name.show(@pipeline.name || "the pipeline")}"
      end

      # @return [nil]
      def log(level, text)
        @job.logger&.public_send(level, "[flowline] #{text}")
        nil
      end
    end
  end
end
