# frozen_string_literal: true

module Flowline
  # The methods that all caches share. A cache stores bytes; this module dumps and loads the values. Each read returns
  # a new copy, so that changing it never changes the cache.
  #
  # A class that includes the module defines only how the bytes are stored:
  #
  # - +read(key)+ returns the bytes, or +nil+ if there are none or they have expired. Any exception but a
  #   {CacheError} means that this entry is damaged.
  # - +write(key, bytes, ttl)+ stores the bytes; +ttl+ is a Float of seconds or +nil+.
  # - +delete(key)+ and +clear+ remove one entry or all.
  # - +lock(key) { }+, if other processes share the cache, excludes them while the block runs. The lock of one key
  #   must not block other keys. A +lock(key, waiting) { }+ also calls +waiting+, unless it is nil, once it has to wait.
  # - +read_multi(keys)+, if it can read several entries at once, returns a Hash with the bytes of those that are there. An entry
  #   may be left out. A run then asks for many outputs with one call.
  # - +identity+, if several objects are the same cache, returns an object that is equal for all of them.
  #
  # Keys are Strings; any other key is converted with +to_s+.
  #
  # @example
  #   cache = Flowline::Cache::Memory.new
  #   cache.fetch("rates", ttl: 60) { { "EUR" => 1.1 } }
  #   cache.get("rates")["EUR"] # => 1.1
  module Cache
    autoload :ActiveSupport, "#{__dir__}/cache/active_support"
    autoload :Lookup, "#{__dir__}/cache/lookup"
    autoload :File, "#{__dir__}/cache/file"
    autoload :Adapter, "#{__dir__}/cache/adapter"
    autoload :Memory, "#{__dir__}/cache/memory"

    # Raised by +read+ for bytes that differ from the bytes that were written.
    # @api private
    Damaged = Class.new(StandardError)

    # Exceptions that +Marshal+ may raise. It calls methods of the user's classes, which may have to be loaded first.
    # @api private
    TROUBLE = [StandardError, ScriptError, SystemStackError, NoMemoryError].freeze
    # The right to compute a key, which is valid only while its thread is inside the block of {#once}. Ruby unlocks the
    # mutex when the thread leaves the block, even if it is killed, so that no turn outlives its block.
    class Turn
      # @return [Thread]
      attr_reader :thread

      # @param thread [Thread]
      def initialize(thread)
        @thread = thread
        @inside = Mutex.new
      end

      # Calls the block, during which the turn is valid.
      def enter(&block)
        @inside.synchronize(&block)
      end

      # @return [Boolean]
      def valid?
        @inside.locked?
      end
    end

    # The current turns, by cache and key.
    # rubocop:disable Style/MutableConstant
    TURNS = {}
    # rubocop:enable Style/MutableConstant
    GUARD = Mutex.new
    FREED = ConditionVariable.new
    # Seconds after which a waiting thread looks again, in case it was not notified.
    AGAIN = 0.1
    # Built in advance, because an interrupt may arrive while Ruby builds a Hash.
    MASK = { Object => :never }.freeze
    # The thread variable for the lock that the thread holds in a cache that processes share.
    LOCK = :flowline_cache_lock
    private_constant :Turn, :TURNS, :GUARD, :FREED, :AGAIN, :MASK

    # @return [Memory] the one of this process
    def self.default
      GUARD.synchronize { @default ||= Memory.new }
    end

    # Converts an object to a cache.
    # @param object [Object] a cache, a store of ActiveSupport's, anything with +get+, +set+ and +exists?+, or +:rails+ for +Rails.cache+
    # @return [Cache, nil] +nil+ if it can't
    # @example
    #   Flowline::Cache.of(Rails.cache)
    def self.of(object)
      return (of(::Rails.cache) if defined?(::Rails.cache)) if object == :rails
      return object if self === object
      return Adapter.new(object) if %i[get set exists?].all? { |name| object.respond_to?(name) }

      # Compare names, so that nothing of ActiveSupport is loaded.
      ActiveSupport.new(object) if object.class.ancestors.map(&:to_s).include?("ActiveSupport::Cache::Store")
    end

    # @param key [String]
    # @return [Object, nil] a copy of the value; +nil+ if there is none
    # @raise [CacheError] the cache cannot be reached
    def get(key)
      lookup(key).last
    end

    # @param key [String]
    # @param value [Object] anything +Marshal+ knows how to dump
    # @param ttl [Numeric, nil] for how many seconds; +nil+: for as long as there is room
    # @return [Object] the value
    # @raise [CacheError] the value cannot be marshalled, or the cache cannot be reached
    def set(key, value, ttl: nil)
      store(key, value, ttl)
      value
    end

    # @param key [String]
    # @return [Boolean] whether there is a value, +nil+ included
    # @raise [CacheError] the cache cannot be reached
    def exists?(key)
      lookup(key).first
    end

    # Returns the cached value. If there is none, calls the block, and stores and returns its value. The block is called only
    # once for a key, even if many threads ask at the same time.
    # @param key [String]
    # @param ttl [Numeric, nil] seconds
    # @yieldreturn [Object] the value
    # @return [Object]
    # @raise [CacheError] the block's value cannot be marshalled, or the cache cannot be reached
    # @example
    #   cache.fetch("n", ttl: 60) { 1 } # => 1
    #   cache.fetch("n") { 2 }          # => 1
    def fetch(key, ttl: nil)
      found, value = lookup(key)
      return value if found

      once(key) do
        found, value = lookup(key)
        found ? value : set(key, yield, ttl: ttl)
      end
    end

    # Reads a value like {#get}, but distinguishes +nil+ from a missing entry. An unreadable entry is deleted and counts as
    # missing.
    # @param key [String]
    # @yieldparam problem [String] why an entry cannot be read; without a block it is a warning
    # @return [Array(Boolean, Object)] whether there is a value, and a copy of it
    # @raise [CacheError] the cache cannot be reached
    # @api private
    def lookup(key)
      bytes = read(key.to_s)
      # rubocop:disable Security/MarshalLoad -- it is what we dumped ourselves
      bytes ? [true, Marshal.load(bytes)] : [false, nil]
      # rubocop:enable Security/MarshalLoad
    rescue CacheError
      raise
    rescue *TROUBLE => e
      Caller.raise_foreign(e) { Marshal.load(bytes) } if bytes # rubocop:disable Security/MarshalLoad -- as above
      delete(key)
      problem = "cache entry #{key.inspect} could not be read (#{Error.words(e)[/.*/]}) and is computed again"
      block_given? ? yield(problem) : warn("flowline: #{problem}")
      [false, nil]
    end

    # Reads a value like {#lookup}, but changes nothing, not even the time of last use. An unreadable entry counts as missing.
    # @param key [String]
    # @return [Array(Boolean, Object)]
    # @api private
    def peek(key)
      bytes = look(key.to_s)
      bytes ? [true, Marshal.load(bytes)] : [false, nil] # rubocop:disable Security/MarshalLoad -- it is what we dumped ourselves
    rescue *TROUBLE => e
      Caller.raise_foreign(e) { Marshal.load(bytes) } if bytes # rubocop:disable Security/MarshalLoad -- as above
      [false, nil]
    end

    # Reads several values of a cache that has +read_multi+. Leaves out what cannot be read.
    # @param keys [Array<String>]
    # @return [Hash{String => Object}] copies of the values
    # @raise [CacheError] the cache cannot be reached
    # @api private
    def lookup_multi(keys)
      values = {}
      read_multi(keys).each do |key, bytes|
        values[key] = Marshal.load(bytes) # rubocop:disable Security/MarshalLoad -- it is what we dumped ourselves
      rescue *TROUBLE => e
        Caller.raise_foreign(e) { Marshal.load(bytes) } # rubocop:disable Security/MarshalLoad -- as above
      end
      values
    end

    # Reads bytes like +read+, without recording the use.
    # @api private
    def look(key)
      read(key)
    end

    # Records the uses of entries that it has not recorded yet, at the end of a run.
    # @return [void]
    # @api private
    def record_uses; end

    # Stores a value like {#set}. A block can inspect the bytes first.
    # @param key [String]
    # @param value [Object]
    # @param ttl [Numeric, nil] seconds
    # @yieldparam bytes [String] the bytes to be stored
    # @yieldreturn [Boolean] whether to keep it
    # @return [void]
    # @raise [CacheError] the value cannot be marshalled, or the cache cannot be reached
    # @api private
    def store(key, value, ttl = nil)
      begin
        bytes = Marshal.dump(value)
      rescue *TROUBLE => e
        raise CacheError.new(self, "#{TypeHints.kind(value)} could not be stored (#{Error.words(e)}); return plain data, or don't cache it")
      end
      write(key.to_s, bytes, ttl && Float(ttl)) if !block_given? || yield(bytes)
    end

    # Calls the block while no other thread runs a block for the same key. A thread inside a block never waits for a second
    # key, because two threads that wait for each other's keys would wait forever.
    #
    # Interrupts may arrive anywhere. A turn is registered in one expression, and is valid only inside its block, so
    # there is nothing to undo. Removing it keeps the table small and notifies the waiting threads at once.
    # @param key [String]
    # @param waiting [#call, nil] called once if another thread or process computes the same key
    # @return [Object] what the block returns
    # @api private
    def once(key, waiting = nil, &block)
      me = Thread.current
      return yield if GUARD.synchronize { TURNS.any? { |_, turn| turn.thread == me && turn.valid? } }

      id = [identity, key.to_s]
      turn = Turn.new(me)
      turn.enter do
        waiting&.call if TURNS[id]&.valid?
        GUARD.synchronize do
          FREED.wait(GUARD, AGAIN) while TURNS[id]&.valid?
          TURNS[id] = turn
        end
        method(:lock).arity == 1 ? lock(key.to_s, &block) : lock(key.to_s, waiting, &block)
      end
    ensure
      Thread.handle_interrupt(MASK) { Cache.remove(id, turn) } if turn
    end

    # Removes a turn that has ended, unless another turn has replaced it.
    # @api private
    def self.remove(id, turn)
      GUARD.synchronize do
        TURNS.delete(id) if TURNS[id].equal?(turn)
        FREED.broadcast
      end
    end

    # Removes the turns of an abandoned thread, so that other threads can compute its keys.
    # @api private
    def self.give_up(thread)
      GUARD.synchronize do
        thread.thread_variable_get(LOCK)&.release
        TURNS.delete_if { |_, turn| turn.thread == thread }
        FREED.broadcast
      end
    end

    # Excludes other processes while the block runs. A cache that no process shares has none to exclude.
    # @api private
    def lock(_key, _waiting = nil)
      yield
    end

    # @return [Object] a value that is equal for all objects that are the same cache
    # @api private
    def identity
      object_id
    end
  end
end
