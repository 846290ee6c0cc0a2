# frozen_string_literal: true

module Flowline
  # Support for other libraries, active if they are loaded.
  # @api private
  module Integrations
    autoload :ActiveJob, "#{__dir__}/integrations/active_job"
    autoload :ActiveRecordConnections, "#{__dir__}/integrations/active_record_connections"
    autoload :AppPipelines, "#{__dir__}/integrations/app_pipelines"
    autoload :ChildSpans, "#{__dir__}/integrations/child_spans"
    autoload :DelayedJob, "#{__dir__}/integrations/delayed_job"
    autoload :Notifications, "#{__dir__}/integrations/notifications"
    autoload :OpenTelemetry, "#{__dir__}/integrations/open_telemetry"
    autoload :Railtie, "#{__dir__}/integrations/railtie"
    autoload :RailsExecutor, "#{__dir__}/integrations/rails_executor"
    autoload :Sidekiq, "#{__dir__}/integrations/sidekiq"

    # @return [Array<#call>] the middleware that application code needs in a thread that the application has not started. The thread
    #   that starts such threads, and waits for them, has to be the one that asks
    def self.around
      [RailsExecutor.entry, (ActiveRecordConnections if ActiveRecordConnections.there?)].compact
    end

    # Calls the block within such middleware.
    # @param entries [Array<#call>] of {around}
    # @return [Object] what the block returns
    def self.wrap(entries, &block)
      entries.reduce(block) { |inner, entry| -> { entry.call(nil, &inner) } }.call
    end
  end
end
