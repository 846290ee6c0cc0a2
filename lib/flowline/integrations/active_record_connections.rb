# frozen_string_literal: true

module Flowline
  module Integrations
    # The middleware that returns the database connections of a worker thread to their pool, so that other threads can use them.
    # @api private
    module ActiveRecordConnections
      class << self
        # @return [Boolean] whether Active Record is loaded
        def there?
          defined?(::ActiveRecord::Base) ? true : false
        end

        # @return [Object] what the block returns
        def call(_attempt = nil)
          yield
        ensure
          release
        end

        # Returns the connections of this thread, unless a transaction is open: it belongs to a test that all threads share.
        # @return [void]
        def release
          pools.each do |pool|
            connection = pool.active_connection?
            pool.release_connection if connection && !connection.transaction_open?
          end
        end

        # @return [Integer, nil] how many workers can have a connection at a time, while the thread that runs the pipeline has one;
        #   nil: there is no database, or no limit
        def spare
          size = ::ActiveRecord::Base.connection_pool.size if there?
          [size - 1, 1].max if size
        rescue ::ActiveRecord::ActiveRecordError # It is not configured.
          nil
        end

        # @param workers [Integer] how many have a connection at a time
        # @return [String, nil] a warning that some of them have to wait for one
        def shortage(workers)
          return unless (most = spare) && workers > most

          "up to #{workers} steps run at a time, and the database pool has #{most} connection#{"s" if most > 1} for them, and 1 for the thread " \
            "that runs the pipeline; set pool: #{workers + 1} in config/database.yml, or max_threads: #{most}"
        end

        private

        def pools
          handler = ::ActiveRecord::Base.connection_handler
          handler.respond_to?(:each_connection_pool) ? handler.connection_pool_list(:all) : handler.all_connection_pools
        end
      end
    end
  end
end
