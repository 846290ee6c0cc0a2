# frozen_string_literal: true

module Flowline
  # The state of a pipeline: a few named values that stay between its runs, such as the time up to which rows were read.
  #
  #   step(:fetch) do |ctx|
  #     rows = Orders.since(ctx.state.fetch(:until, Time.at(0)))
  #     ctx.state[:until] = rows.map(&:updated_at).max unless rows.empty?
  #     rows
  #   end
  #
  # A step writes; the run that succeeds commits what its steps have written, those that it restored included. Until then only
  # the run itself reads it. A step that fails has written nothing, and neither has an attempt that is retried.
  #
  # Values are copied when they are written, and frozen when they are read, so assign a new value instead of changing one. The
  # state of a pipeline without a name stays in the memory of its process.
  class State
    # The maximum size of a value in bytes of +Marshal+ data.
    MOST = 256 * 1024

    # @param ledger [Recording::Ledger]
    # @param sink [#wrote, nil] gets what a step writes; nil: the context is not that of a step
    # @param id [Integer, nil] the step
    # @api private
    def initialize(ledger, sink = nil, id = nil)
      @ledger = ledger
      @sink = sink
      @id = id
    end

    # @param key [Symbol, String]
    # @return [Object, nil] the value, frozen; nil: there is none
    # @raise [Error] the value cannot be read, because its class is gone; or the key is neither a Symbol nor a String
    def [](key)
      bytes = find(key)
      bytes && load(key, bytes)
    end

    # @param key [Symbol, String]
    # @param default [Object] if there is no value
    # @yieldreturn [Object] if there is no value
    # @return [Object] the value, frozen
    # @raise [KeyError] there is neither a value nor a default
    def fetch(key, *default)
      bytes = find(key)
      return load(key, bytes) if bytes
      return yield(key) if block_given?

      default.fetch(0) do
        raise KeyError.new("the state has no #{Name.show(key)}#{Name.suggest(key, to_h.keys, known: "there are")}", receiver: self, key: key)
      end
    end

    # @param key [Symbol, String]
    # @return [Boolean]
    def key?(key)
      !find(key).nil?
    end

    # Writes a value. It is committed when the run has succeeded.
    # @param key [Symbol, String]
    # @param value [Object] that +Marshal+ can dump, and small
    # @raise [Error] the value cannot be serialised, is too large or holds a secret, as the key may not either, or the context is not that of a step
    def []=(key, value)
      write(key, dump(key, value))
    end

    # Deletes a value. The deletion is committed when the run has succeeded.
    # @param key [Symbol, String]
    # @return [Object, nil] the value that it had
    # @raise [Error] the context is not that of a step
    def delete(key)
      before = self[key]
      write(key, nil)
      before
    end

    # @return [Hash{Symbol => Object}] a copy, with frozen values
    def to_h
      @ledger.values.merge(own).compact.to_h { |key, bytes| [key.to_sym, load(key, bytes)] }
    end

    # @return [String] without values
    def inspect
      "#<#{self.class} #{@ledger.values.merge(own).compact.keys.join(", ")}>"
    end

    private

    def own
      @sink&.read_state(@id)
      @sink&.written(@id) || {}
    end

    # @return [String] as the value is stored
    def named(key)
      return Error.text(key) if key.is_a?(Symbol) || key.is_a?(String)

      raise Error, "a key of ctx.state is a Symbol or a String, not #{key.nil? ? "nil" : "a value of class #{TypeHints.kind(key)}"}"
    end

    def find(key)
      name = named(key)
      own.fetch(name) { @ledger.values[name] }
    end

    def write(key, bytes)
      raise Error, "ctx.state can be changed only through the ctx that the block of a step takes; hooks and conditions read it" unless @sink

      name = named(key)
      raise Error, "state: a key holds the value of a secret param; use a digest of it" if @ledger.masks?(name)

      @sink.wrote(@id, name, bytes)
    end

    def dump(key, value)
      bytes = serialise(key, value)
      return bytes if bytes.bytesize <= MOST && (nil.equal?(value) || !@ledger.secret_in?(bytes))

      large = "takes #{bytes.bytesize} bytes, and #{MOST} are possible; store a reference to it" if bytes.bytesize > MOST
      raise Error, "state #{Name.show(key)}: the value #{large || "holds the value of a secret param"}"
    end

    def serialise(key, value)
      Marshal.dump(value)
    rescue *Cache::TROUBLE => e
      Caller.raise_foreign(e) { Marshal.dump(value) }
      raise Error, "state #{Name.show(key)}: the value cannot be serialised: #{Error.words(e)[/.*/]}; " \
                   "write plain data, such as numbers, texts and times"
    end

    def load(key, bytes)
      value = Marshal.load(bytes) # rubocop:disable Security/MarshalLoad -- written by this pipeline
      Ractor.shareable?(value) ? value : Ractor.make_shareable(value)
    rescue *Cache::TROUBLE => e
      name = Name.show(key)
      raise Error, "state #{name}: the value cannot be read: #{Error.words(e)[/.*/]}; delete it with: flowline state PIPELINE --delete #{name}"
    end
  end
end
