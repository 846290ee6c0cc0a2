# frozen_string_literal: true

module Flowline
  module Cache
    # A cache in this process, for all its threads. When it is full, the least recently used entry is evicted. A
    # forked child has a copy of its own.
    #
    # Another thread may hold the mutex when this one forks; Ruby unlocks it in the child. That thread may also have been in
    # the middle of a change, and any thread may be interrupted in one. Therefore each change is one expression without
    # calls of Ruby methods and without jumps, because Ruby checks for interrupts only there.
    class Memory
      include Cache

      # @param max_entries [Integer] the maximum number of values
      # @param max_bytes [Integer] how much they may take, marshalled; a larger one isn't stored
      def initialize(max_entries: 10_000, max_bytes: 64 * 1024 * 1024)
        @max_entries = max_entries
        @max_bytes = max_bytes
        @mutex = Mutex.new
        clear
      end

      # @return [String, nil] bytes
      # @api private
      def read(key)
        @mutex.synchronize do
          bytes, deadline = @entries[key]
          next drop(key) if deadline && deadline <= Clock.now

          # Move the entry to the end, because entries are in the order of their last use.
          @entries[key] = @entries.delete(key) if bytes
          bytes
        end
      end

      # @return [Hash{String => String}] bytes
      # @api private
      def read_multi(keys)
        keys.to_h { |key| [key, read(key)] }.compact
      end

      # @return [String, nil] bytes
      # @api private
      def look(key)
        bytes, deadline = @mutex.synchronize { @entries[key] }
        bytes unless deadline && deadline <= Clock.now
      end

      # @return [void]
      # @api private
      def write(key, bytes, ttl)
        deadline = Clock.now + ttl if ttl
        @mutex.synchronize do
          drop(key)
          next if bytes.bytesize > @max_bytes

          @bytes += (@entries[key] = [bytes, deadline])[0].bytesize
          drop(@entries.first[0]) while @entries.size > @max_entries || @bytes > @max_bytes
        end
      end

      # @param key [String]
      # @return [void]
      def delete(key)
        @mutex.synchronize { drop(key.to_s) }
      end

      # @return [void]
      def clear
        @mutex.synchronize do
          @bytes = 0
          @entries = {}
        end
      end

      private

      # @return [nil]
      def drop(key)
        @bytes -= @entries.delete(key)[0].bytesize if @entries.key?(key)
        nil
      end
    end
  end
end
