# frozen_string_literal: true

module Flowline
  module Testing
    # The jobs of pipelines that a test has enqueued.
    # @api private
    module Jobs
      # More jobs than this come of one that enqueues itself.
      MOST = 1_000
      private_constant :MOST

      class << self
        # @return [Integer] how many jobs were performed
        # @raise [Error]
        def drain
          queues = [(method(:next_active_job) if active_job?), (method(:next_of_sidekiq) if sidekiq?)].compact
          if queues.empty?
            raise Error,
                  "drain: there are no jobs to perform; set the queue adapter of Active Job to :test, or call Sidekiq::Testing.fake!"
          end

          done = 0
          while (perform = queues.lazy.filter_map(&:call).first)
            raise Error, "drain: #{MOST} jobs were performed, and there are more; a job enqueues itself" if done == MOST

            done += 1
            perform.call
          end
          done
        end

        private

        def active_job?
          defined?(::ActiveJob::Base) && test_adapters.any?
        end

        def test_adapters
          adapters = [::ActiveJob::Base, *::ActiveJob::Base.descendants].map(&:queue_adapter).uniq
          defined?(::ActiveJob::QueueAdapters::TestAdapter) ? adapters.grep(::ActiveJob::QueueAdapters::TestAdapter) : []
        end

        # @return [Proc, nil] performs the next job
        def next_active_job
          test_adapters.each do |adapter|
            payload = adapter.enqueued_jobs.find { |job| job?(job[:job]) } or next
            return lambda do
              adapter.enqueued_jobs.delete(payload)
              adapter.performed_jobs << payload
              ::ActiveJob::Base.deserialize(payload).perform_now
            end
          end
          nil
        end

        def sidekiq?
          defined?(::Sidekiq::Testing) && ::Sidekiq::Testing.fake?
        end

        # @return [Proc, nil] performs the next job
        def next_of_sidekiq
          payload = (defined?(::Sidekiq::Job) ? ::Sidekiq::Job : ::Sidekiq::Worker).jobs.find { |job| job?(job["wrapped"] || job["class"]) } or return
          lambda do
            ::Sidekiq::Queues.delete_for(payload["jid"], payload["queue"], payload["class"])
            Object.const_get(payload["class"]).process_job(payload)
          end
        end

        # @param job_class [Class, String]
        def job?(job_class)
          job_class = Object.const_get(job_class) if job_class.is_a?(String)
          job_class.include?(Job)
        end
      end
    end
  end
end
