# frozen_string_literal: true

module Flowline
  # Support for other libraries, active if they are loaded.
  # @api private
  module Integrations
    autoload :ActiveRecordConnections, "#{__dir__}/integrations/active_record_connections"
    autoload :ChildSpans, "#{__dir__}/integrations/child_spans"
    autoload :Notifications, "#{__dir__}/integrations/notifications"
    autoload :OpenTelemetry, "#{__dir__}/integrations/open_telemetry"
    autoload :RailsExecutor, "#{__dir__}/integrations/rails_executor"
  end
end
