# frozen_string_literal: true

module Flowline
  module Cache
    # An +ActiveSupport::Cache::Store+ as a cache. Without a time to live, the store's own +expires_in+ applies. {#clear}
    # clears the whole store.
    class ActiveSupport < Adapter
      # @return [String, nil] bytes
      # @api private
      def read(key)
        ask(:read, key)
      end

      # @return [Hash{String => String}] bytes
      # @api private
      def read_multi(keys)
        found = ask(:read_multi, *keys)
        Hash === found ? found : {}
      end

      # @return [void]
      # @api private
      def write(key, bytes, ttl)
        options = ttl ? { expires_in: (ttl if ttl.finite?) } : {} # Nil: never, whatever the store's own expires_in.
        ask(:write, key, bytes, **options)
      end
    end
  end
end
