# frozen_string_literal: true

module Flowline
  module Cache
    # A cache in a directory: it outlives the process, and processes share it. Values are checked when they are
    # read; what was used longest ago goes when there is no more room.
    class File
      include Cache

      # How many writes until it looks whether there is room.
      TIDY = 100
      # How many seconds a use is not worth writing down again.
      RECENT = 60
      # Kernel locks of keys are numbered from here.
      LOCKS = 1 << 40
      private_constant :TIDY, :RECENT, :LOCKS

      # @return [String] the directory
      attr_reader :path

      # @param path [String, nil] the directory; +nil+: +cache+ within that of the store
      # @param max_bytes [Integer] how much it may hold
      def initialize(path = nil, max_bytes: 1 << 30)
        @root = ::File.expand_path(Flowline.config.root) unless path
        @path = ::File.expand_path(path || ::File.join(@root, "cache"))
        @max_bytes = max_bytes
        @writes = 0
      end

      # @return [String, nil] bytes
      # @raise [Damaged] they are not those that were written
      # @api private
      def read(key)
        row = call(:read, name(key), now).first or return
        call(:used, name(key), now) if row.last && row.first < now - RECENT
        row.last || raise(Damaged, "its bytes are gone or damaged")
      end

      # @return [String, nil] bytes; nothing is made where there is nothing
      # @api private
      def look(key)
        Store.existing(path)&.call(:read, name(key), now)&.first&.last
      end

      # @return [void]
      # @api private
      def write(key, bytes, ttl)
        @database = nil unless @database&.there?
        call(:write, name(key), (now + ttl if ttl), now, payload: bytes)
        # The first one, too: many short processes would never come to the last.
        tidy if (@writes % TIDY).zero? || bytes.bytesize > @max_bytes / TIDY
        @writes += 1
      end

      # @param key [String]
      # @return [void]
      def delete(key)
        call(:delete, name(key.to_s), false)
      end

      # @param prefix [String, nil] only keys that begin like this
      # @return [void]
      def clear(prefix = nil)
        (prefix ? [name(prefix), prefix.b] : [nil]).each { |start| call(:delete, start, true) }
        call(:collect)
      end

      # @return [Array<Hash{Symbol => Object}>] what it holds: +key+, +size+ in bytes, +used_at+, +expires_at+
      def entries
        call(:entries, now).map do |key, size, used, expires|
          { key: key, size: size, used_at: Time.at(used), expires_at: expires && Time.at(expires) }
        end
      end

      # @api private
      alias identity path

      # Excludes other processes, where a lock can be had.
      # @api private
      def lock(key)
        id = LOCKS + Native.digest(key)[0, 9].to_i(16)
        store = acquire(id)
        yield
      ensure
        store&.release(id)
      end

      private

      # @return [Store, nil] that holds the lock
      def acquire(id)
        pause = 0.001
        store = database
        while store.acquire(id)
          sleep(pause)
          pause = [pause * 2, 0.05].min
        end
        store
      rescue StoreError
        nil
      end

      # SQLite has text in UTF-8, and bytes.
      def name(key)
        text = key.encode("UTF-8")
        text.valid_encoding? ? text : key.b
      rescue EncodingError
        key.b
      end

      def now
        Time.now.to_f
      end

      def database
        return @database if @database && @pid == Process.pid

        @pid = Process.pid
        @database = Store.at(path, within: @root)
      end

      def tidy
        call(:evict, now, @max_bytes)
        call(:collect)
      end

      # A database that is damaged as a whole is begun anew.
      def call(...)
        database.call(...)
      rescue StoreError => e
        raise CacheError.new(self, "#{e.path} #{e.what}") unless e.damaged?

        warn("flowline: cache #{path} is damaged and begins anew; what it was is in #{Store::FILE}.damaged")
        ["", "-wal", "-shm"].each do |ending|
          file = ::File.join(path, Store::FILE + ending)
          ::File.rename(file, "#{file}.damaged") if ::File.exist?(file)
        end
        @database = nil
        database.call(...)
      end
    end
  end
end
