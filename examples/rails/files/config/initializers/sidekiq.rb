# frozen_string_literal: true

Rails.application.config.active_job.queue_adapter = :sidekiq
Redis.silence_deprecations = true if Redis.respond_to?(:silence_deprecations=) # Sidekiq 6.4 has some with redis 4.6.
