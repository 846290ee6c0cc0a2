# frozen_string_literal: true

module Flowline
  # The base class of all errors of Flowline. Each error has readers for its details, and composes a
  # message that says what happened, where, and what to do.
  class Error < StandardError
    autoload :Portable, "#{__dir__}/errors/portable"
    autoload :Remote, "#{__dir__}/errors/portable"
    autoload :TimeUp, "#{__dir__}/errors/run"

    # @return [Result, nil] how the run ended, partial results included, where +run!+ raised the error
    attr_accessor :result

    # Dumps the error as data: its instance variables that can be marshalled, with exceptions as {Portable} ones. The
    # {#result} is left out. (Ruby 3.1 does not call +marshal_load+ of exceptions.)
    # @return [String] what {._load} takes
    # @api private
    def _dump(_level)
      held = instance_variables.to_h { |name| [name, instance_variable_get(name)] }
      held.delete(:@result)
      held.transform_values! { |value| Exception === value ? Portable.new(value) : value }
      own = Error.cause_of(self)
      own = own && instance_variables.none? { |name| own.equal?(instance_variable_get(name)) } ? Portable.new(own) : nil
      Marshal.dump([Portable.redacted(message), backtrace, held.select { |_, value| Portable.dumps?(value) }, own])
    end

    # @param bytes [String]
    # @return [Error]
    # @api private
    def self._load(bytes)
      allocate.tap { |error| error.send(:restore, *Marshal.load(bytes)) } # rubocop:disable Security/MarshalLoad -- within Marshal.load
    end

    # @return [Exception, nil] the exception that was being handled when this one was raised
    # @api private
    def self.cause_of(error)
      ::Exception.instance_method(:cause).bind_call(error)
    end

    # Raises the error with a backtrace that starts at the user's own line, without our frames.
    # @api private
    def self.raise_at_caller(error)
      error.set_backtrace(Backtrace.clean(caller)) unless error.backtrace
      raise error
    end

    # Returns the message of any exception. The message may be in any encoding, may not be a String, or may raise.
    # @return [String] in UTF-8, so that it can be shown everywhere
    # @api private
    def self.words(exception)
      text(exception.message)
    rescue StandardError => e
      "(a message that cannot be read: #{TypeHints.kind(e)})"
    end

    # Marks exceptions of ours whose class name is left out of messages.
    # @api private
    module Plain
    end

    # @param words [String] its message, if not as it is
    # @return [String] its class and its message
    # @api private
    def self.account(exception, words = self.words(exception))
      return words if Plain === exception

      words.empty? ? TypeHints.kind(exception) : "#{TypeHints.kind(exception)}: #{words}"
    end

    # @return [String] the object as text in UTF-8
    # @api private
    def self.text(object)
      text = object.to_s
      text = text.encoding == Encoding::BINARY ? String.new(text, encoding: "UTF-8") : text.encode("UTF-8", invalid: :replace, undef: :replace)
      text.scrub
    rescue Encoding::ConverterNotFoundError # Ruby has no converter from UTF-7, for example.
      String.new(text, encoding: "UTF-8").scrub
    end

    # @param text [String]
    # @return [String] the same, in an encoding in which it can be searched for line breaks
    # @api private
    def self.splittable(text)
      text.encoding.ascii_compatible? ? text : self.text(text)
    end

    private

    def restore(message, backtrace, held, own)
      ::Exception.instance_method(:initialize).bind_call(self, message)
      held.each { |name, value| instance_variable_set(name, Portable === value ? value.exception : value) }
      caused_by(own.exception) if own
      set_backtrace(backtrace) if backtrace
    end

    # Sets the cause, which Ruby does only for a raised exception.
    def caused_by(error)
      raise self, cause: error
    rescue Error => e
      raise unless e.equal?(self)
    end
  end

  # Errors of runs: {Loading} loads them with the rest that runs need.
  %i[
    CacheError CancelledError CheckpointError HookError ItemError ItemsError LockedError ParamError StepError StoreError TimeoutError
    UnknownStepError
  ].each { |name| autoload name, "#{__dir__}/errors/run" }
end

require_relative "errors/definition"
