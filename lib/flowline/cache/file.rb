# frozen_string_literal: true

module Flowline
  module Cache
    # A cache in a directory. It outlives the process, and processes can share it. Values are verified when they are
    # read. When the cache is full, the least recently used entries are evicted.
    class File
      include Cache

      # The seconds within which a second use of an entry is not recorded.
      RECENT = 60
      # The seconds between two records of uses, because those of many entries that are used at once are recorded together; and how
      # long a record may wait for other processes.
      PAUSE = 0.2
      private_constant :RECENT, :PAUSE

      # @return [String] the directory
      attr_reader :path

      # @param path [String, nil] the directory; +nil+: +cache+ within that of the store
      # @param max_bytes [Integer] how much it may hold
      def initialize(path = nil, max_bytes: 1 << 30)
        @root = Store.path(Flowline.config.root) unless path
        @path = Store.path(path || ::File.join(@root, "cache"))
        @max_bytes = max_bytes
        @used = []
        @used_at = 0.0
      end

      # @return [String, nil] bytes
      # @raise [Damaged] the bytes are missing, or differ from the ones that were written
      # @api private
      def read(key)
        time = now
        name = name(key)
        entry = ask { |store| store.entry(name, time, patience: Store.patience) } or return
        raise Damaged, "its bytes are gone or damaged" unless entry.value

        use(name, time) if entry.used < time - RECENT
        entry.value
      end

      # Reads several entries. Leaves out large values, because each needs a descriptor.
      # @return [Hash{String => String}] bytes
      # @api private
      def read_multi(keys)
        time = now
        names = keys.map { |key| name(key) }
        found = {}
        stale = []
        ask do |store|
          store.values(names, time, patience: Store.patience) do |at, bytes, used|
            found[keys[at]] = bytes
            stale << names[at] if used < time - RECENT
          end
        end
        stale.each { |name| use(name, time) }
        found
      end

      # Records the uses that are not recorded yet. Nothing is lost if that fails: the order in which entries are evicted is a guess.
      # @return [void]
      # @api private
      def record_uses(time = now)
        used = @used
        @used = []
        @used_at = time
        ask { |store| store.touch(used, time, patience: PAUSE) } unless used.empty?
      rescue CacheError
        nil
      end

      # @return [String, nil] bytes; nothing is made where there is nothing
      # @api private
      def look(key)
        Store.existing(path, patience: Store.patience)&.entry(name(key), now, patience: Store.patience)&.value
      end

      # @return [void]
      # @api private
      def write(key, bytes, ttl)
        expires = now + ttl if ttl&.finite?
        ask { |store| store.put(name(key), bytes, now: now, most: @max_bytes, expires: expires, patience: Store.patience) }
      end

      # @param key [String]
      # @return [void]
      def delete(key)
        ask { |store| store.drop_entries(name(key.to_s), patience: Store.patience) }
      end

      # @param prefix [String, nil] only keys that begin like this
      # @return [void]
      def clear(prefix = nil)
        return ask(&:drop_entries) unless prefix

        [name(prefix), prefix.b].each { |start| ask { |store| store.drop_entries(start, prefix: true) } }
      end

      # @return [Array<Hash{Symbol => Object}>] its entries: +key+, +size+ in bytes, +used_at+, +expires_at+
      def entries
        ask { |store| store.entries(now) }.map do |entry|
          { key: entry.key, size: entry.bytes, used_at: Time.at(entry.used), expires_at: entry.expires && Time.at(entry.expires) }
        end
      end

      # @api private
      alias identity path

      # Excludes other processes, if a lock is available. The lock is released whatever interrupts the block.
      # @api private
      def lock(key, waiting = nil)
        lock = begin
          database.lock
        rescue StoreError
          nil
        end
        Thread.current.thread_variable_set(LOCK, lock)
        acquire(lock, Native.digest(key), waiting) if lock
        yield
      ensure
        lock&.release
      end

      private

      def use(name, time)
        @used << name
        record_uses(time) unless (time - @used_at).between?(0, PAUSE)
      end

      def acquire(lock, digest, waiting)
        pause = 0.001
        until lock.acquire(digest)
          waiting&.call
          waiting = nil
          sleep(pause)
          pause = [pause * 2, 0.05].min
        end
      rescue StoreError
        nil # Without the lock, the value may be computed twice.
      end

      # Returns the key as UTF-8 text or as bytes, because SQLite has no other Strings.
      def name(key)
        return key if key.encoding == Encoding::UTF_8 && key.valid_encoding?

        text = key.encode("UTF-8")
        text.valid_encoding? ? text : key.b
      rescue EncodingError
        key.b
      end

      def now
        Time.now.to_f
      end

      def database
        @database ||= Store.at(path, within: @root, patience: Store.patience)
      end

      # Calls the block with the database. Creates the database again if it was removed or is damaged as a whole.
      def ask(&question)
        yield database
      rescue StoreError => e
        @database = nil
        case e.kind
        when :gone then nil
        when :damaged then set_aside
        else raise CacheError.new(self, "#{e.path} #{e.what}")
        end
        ask_again(&question)
      end

      def ask_again
        yield database
      rescue StoreError => e
        raise CacheError.new(self, "#{e.path} #{e.what}")
      end

      def set_aside
        warn("flowline: cache #{path} is damaged and starts empty; the damaged file is now #{Store::SQLite::FILE}.damaged")
        ["", "-wal", "-shm"].each do |ending|
          file = ::File.join(path, Store::SQLite::FILE + ending)
          ::File.rename(file, "#{file}.damaged") if ::File.exist?(file)
        end
      end
    end
  end
end
