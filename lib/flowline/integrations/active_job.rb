# frozen_string_literal: true

module Flowline
  module Integrations
    # The part of {Job} for classes of Active Job.
    #
    # A job that returns to the queue is neither done nor failed: its +after_perform+ callbacks must not run, and no error must be
    # logged. So {#perform} throws, past the callbacks and the instrumentation, to {#perform_now}, which enqueues the job again with
    # the same id.
    # @api private
    module ActiveJob
      # @param job_class [Class]
      # @return [Boolean] whether it is one of Active Job
      def self.job?(job_class)
        defined?(::ActiveJob::Base) && job_class <= ::ActiveJob::Base
      end

      def self.included(job_class)
        super
        job_class.before_enqueue { check_params(*arguments) if given_params? }
      end

      # Runs the pipeline.
      # @param params [Hash] the params of the pipeline
      # @return [Result, nil] nil: an earlier delivery has succeeded
      # @raise [Error] as {Pipeline#run!}
      def perform(given = {}, **params)
        params = given.merge(params) if given.any?
        params = check_params(params) if takes_params?
        run_pipeline(params)
      end

      # Performs the job, and enqueues it again if the run was stopped, or another one excludes it.
      # @return [Object]
      def perform_now
        wait = catch(@flowline_requeue = Object.new) { return super }
        @flowline_requeue = nil
        retry_job(wait ? { wait: wait } : {}) || raise(Error, "#{self.class} #{job_id} could not be enqueued again")
        nil
      end

      # Refuses secrets on every way into the queue: +perform_all_later+ asks no callback.
      # @return [Hash]
      # @raise [ParamError]
      def serialize
        given = arguments.first
        Job.refuse_secrets(self.class.pipeline, given) if Hash === given && given_params?
        super
      end

      # @return [String]
      def flowline_id
        job_id
      end

      # Returns the job to the queue.
      # @param wait [Numeric, nil] seconds; nil: at once
      # @param error [Error] what is raised if there is no queue
      def flowline_requeue(wait, error)
        raise error if @flowline_requeue.nil? || at_once?

        throw @flowline_requeue, wait
      end

      # @return [Boolean] see {Job#stopping?}
      def stopping?
        super || (queue_adapter.respond_to?(:stopping?) && queue_adapter.stopping?)
      end

      private

      # Returns whether the arguments are the params: a +perform+ of the class may take others.
      def takes_params?
        method(:perform).owner == ActiveJob
      end

      # Returns whether the arguments are params that the caller gives now: those of a retry are in the queue already.
      def given_params?
        executions.to_i.zero? && takes_params?
      end

      # Returns whether the adapter performs jobs when they are enqueued, so that there is no queue to wait in.
      def at_once?
        ::ActiveJob::QueueAdapters::InlineAdapter === queue_adapter ||
          (queue_adapter.respond_to?(:perform_enqueued_jobs) && queue_adapter.perform_enqueued_jobs)
      end

      def check_params(given = {}, *others)
        Job::Arguments.check(self.class, others.empty? ? given : [given, *others])
      end
    end
  end
end
