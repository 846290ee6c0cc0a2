# frozen_string_literal: true

module Flowline
  module Cache
    # Any object with +get+, +set+ and +exists?+ as a cache. The object receives binary Strings and must return them
    # unchanged. Its exceptions are raised as a {CacheError} with the original as +cause+.
    class Adapter
      include Cache

      # @param object [#get, #set] for times to live, its +set+ must take +ttl:+
      def initialize(object)
        @object = object
      end

      # Reads bytes. An empty String counts as missing, because {#delete} stores one.
      # @return [String, nil] bytes
      # @api private
      def read(key)
        bytes = ask(:get, key)
        bytes unless bytes == ""
      end

      # @return [void]
      # @api private
      def write(key, bytes, ttl)
        ttl = nil if ttl&.infinite? # An object without times to live can store it as well.
        raise CacheError.new(@object, "its `set` takes no ttl:; give it one") if ttl && !ttl?

        ask(:set, key, bytes, **{ ttl: ttl }.compact)
      end

      # @param key [String]
      # @return [void]
      # @raise [CacheError] the object raised
      def delete(key)
        @object.respond_to?(:delete) ? ask(:delete, key.to_s) : ask(:set, key.to_s, "")
      end

      # @return [void]
      # @raise [CacheError] the object raised, or has no +clear+
      def clear
        ask(:clear)
      end

      # Returns the same identity for all adapters of one object.
      # @return [Integer]
      # @api private
      def identity
        @object.object_id
      end

      private

      def ttl?
        @object.method(:set).parameters.any? { |kind, name| name == :ttl ? kind.start_with?("key") : kind.end_with?("rest") }
      end

      def ask(name, ...)
        @object.public_send(name, ...)
      rescue StandardError => e
        raise CacheError.new(@object, "#{name}: #{TypeHints.kind(e)}: #{Error.words(e)}; fix it, or run with cache: false")
      end
    end
  end
end
