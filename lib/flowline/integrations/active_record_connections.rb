# frozen_string_literal: true

module Flowline
  module Integrations
    # The middleware that returns the database connections of a worker thread to their pool, so that other threads can use them.
    # @api private
    module ActiveRecordConnections
      # @return [Boolean] whether Active Record is loaded
      def self.there?
        defined?(::ActiveRecord::Base) ? true : false
      end

      # @return [Object] what the block returns
      def self.call(_attempt = nil)
        yield
      ensure
        ::ActiveRecord::Base.connection_handler.clear_active_connections!
      end
    end
  end
end
