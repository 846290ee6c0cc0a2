# frozen_string_literal: true

module Flowline
  # A job that runs a pipeline, for Active Job and for Sidekiq. The params of the pipeline are the arguments of the job.
  #
  #   class ImportJob < ApplicationJob
  #     include Flowline::Job
  #     pipeline Import
  #   end
  #   ImportJob.perform_later(date: Date.today)
  #
  #   class SyncJob
  #     include Sidekiq::Job
  #     include Flowline::Job
  #     pipeline "Sync", on_locked: :discard
  #   end
  #   SyncJob.perform_async(date: Date.today)
  #
  # A queue delivers a job at least once. The deliveries of one job belong together, because its id is recorded with its runs:
  #
  # - A delivery resumes the run of an earlier one that failed, was stopped or has crashed.
  # - If a run of the job has succeeded, a further delivery does nothing.
  # - Another job is another run, with the same params, too.
  #
  # When the worker is about to end, the run finishes what is running, and starts nothing more. The job returns to the queue,
  # and the next delivery continues with the steps and items that are left. A failed run raises its error, so that the queue
  # retries the job as it does others.
  #
  # All this needs a pipeline with a name, whose runs are recorded. Without one every delivery runs from the beginning.
  module Job
    autoload :Arguments, "#{__dir__}/job/arguments"
    autoload :ClassMethods, "#{__dir__}/job/class_methods"
    autoload :Delivery, "#{__dir__}/job/delivery"
    autoload :Requeue, "#{__dir__}/job/requeue"
    autoload :Settings, "#{__dir__}/job/settings"
    autoload :Stop, "#{__dir__}/job/stop"

    # Adds the parts for the queue that the class belongs to.
    # @api private
    def self.included(job_class)
      super
      queue = [Integrations::ActiveJob, Integrations::Sidekiq].find { |integration| integration.job?(job_class) } or
        raise DefinitionError, "#{job_class}: Flowline::Job is for subclasses of ActiveJob::Base, and for classes that include Sidekiq::Job; " \
                               "write `include Flowline::Job` below that"

      install
      job_class.extend(ClassMethods)
      job_class.include(queue)
    end

    # Learns of the end of workers of Sidekiq and delayed_job. The first job class that is loaded does it; a worker that loads its
    # job classes late calls it when it starts.
    # @return [void]
    def self.install
      [Integrations::Sidekiq, Integrations::DelayedJob].each { |queue| queue.install if queue.there? }
    end

    # Returns the params if they may go through a queue. It is for whatever pushes a job with a +perform+ of its own, such as
    # +enqueue:+ of {Web}: where the arguments are the params, they are checked anyway.
    # @param pipeline [Pipeline, Class]
    # @param params [Hash] by Symbol or String
    # @return [Hash] the same
    # @raise [ParamError] names every param that is secret
    # @example
    #   RunJob.perform_later(pipeline.name, Flowline::Job.refuse_secrets(pipeline, params), resume)
    def self.refuse_secrets(pipeline, params)
      Arguments.refuse_secrets(Pipeline.from(pipeline), params)
    end

    # Returns whether the worker is about to end, so that the run stops in good order. Sidekiq, delayed_job, and adapters of Active
    # Job with +stopping?+ (Rails 8.1) answer by themselves; a job for another queue overrides it. It is asked twice a second in
    # another thread, and between steps and items in the thread of the job.
    # @return [Boolean]
    # @example
    #   def stopping?
    #     super || GoodJob.current_thread_shutting_down?
    #   end
    def stopping?
      Integrations::Sidekiq.stopping? || Integrations::DelayedJob.stopping?
    end

    private

    # Runs the pipeline for this delivery of the job. The +perform+ of Flowline calls it; one of the class may call it with another
    # pipeline, so that one job class is for several.
    # @param params [Hash] by Symbol or String
    # @param pipeline [Pipeline, Class, String, Symbol, nil] a pipeline or the name of a constant; nil: the one that the class declares
    # @param resume [String, nil] a run that the first delivery resumes
    # @return [Result, nil] nil: an earlier delivery has succeeded
    # @raise [Error] as {Pipeline#run!}
    # @example
    #   class RunJob < ApplicationJob
    #     include Flowline::Job
    #
    #     def perform(name, params = {}, resume = nil)
    #       run_pipeline(params, pipeline: PIPELINES.fetch(name), resume: resume)
    #     end
    #   end
    def run_pipeline(params = {}, pipeline: nil, resume: nil)
      settings = self.class.flowline_settings
      Delivery.new(self, settings, settings.pipeline(pipeline), params, resume).call
    end
  end
end
