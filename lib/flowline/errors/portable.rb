# frozen_string_literal: true

module Flowline
  class Error
    # A substitute for an exception of another process that could not be marshalled.
    # @api private
    class Remote < StandardError
      include Error::Plain
    end

    # An exception as data that can always be marshalled: the exception itself, or without the instance variables that cannot be
    # dumped; otherwise its class, or the nearest ancestor that the other process has, with its message. Class, message, backtrace
    # and cause stay the same in any case.
    #
    # Within {redact}, messages have no secrets, and an exception that has one is not dumped itself.
    # @api private
    class Portable
      # @param context [Context, nil] knows the secrets
      # @return [Object] what the block returns, in which exceptions are dumped for readers other than the run itself
      def self.redact(context)
        return yield unless context&.secrets?

        before = Thread.current[:flowline_redact]
        begin
          Thread.current[:flowline_redact] = context
          yield
        ensure
          Thread.current[:flowline_redact] = before
        end
      end

      # @param text [String]
      # @return [String] within {redact} without secrets
      def self.redacted(text)
        context = Thread.current[:flowline_redact]
        context ? context.mask(text) : text
      end

      # @param error [Exception]
      def initialize(error)
        @words = Portable.redacted(Error.words(error))
        @account = Portable.redacted(Error.account(error))
        @backtrace = Backtrace.of(error)
        @classes = error.class.ancestors.grep(Class).take_while { |type| type != ::Exception }.filter_map(&:name)
        cause = Error.cause_of(error)
        @cause = Portable.new(cause) if cause
        @bytes = dump(error)
        @bytes = nil if @bytes && Thread.current[:flowline_redact]&.secret_in?(@bytes)
      end

      # @return [Exception] its class may be one that only the other process has loaded
      def exception
        error = restored || substitute
        error.set_backtrace(@backtrace) if @backtrace && Backtrace.of(error) != @backtrace
        @cause ? caused(error, @cause.exception) : error
      rescue StandardError
        remote
      end

      # @param value [Object]
      # @return [Boolean] whether it can be marshalled
      def self.dumps?(value)
        Marshal.dump(value)
        true
      rescue StandardError
        false
      end

      private

      # @return [Exception, nil] the exception itself, if it can be read here and says the same
      def restored
        error = Marshal.load(@bytes) if @bytes # rubocop:disable Security/MarshalLoad -- it is what we dumped ourselves
        return error if error.nil? || Error.words(error) == @words

        error = error.exception(@words)
        error if Error.words(error) == @words
      rescue *Cache::TROUBLE
        nil
      end

      # @return [Exception] of the nearest class that is here, made without its +initialize+
      def substitute
        exact, *others = @classes
        type = known(exact) if exact
        words = type ? @words : @account
        type ||= others.filter_map { |name| known(name) }.first || Remote
        return remote if type.equal?(StandardError) || !(type <= StandardError)

        error = type.allocate
        ::Exception.instance_method(:initialize).bind_call(error, words)
        Error.words(error) == words ? error : remote
      end

      def remote
        Remote.new(@account).tap { |error| error.set_backtrace(@backtrace || []) }
      end

      # @return [Class, nil]
      def known(name)
        type = Object.const_get(name)
        type if type.is_a?(Class) && type <= ::Exception
      rescue *Cache::TROUBLE
        nil
      end

      # Sets the cause, which Ruby does only for a raised exception.
      def caused(error, cause)
        return error if Error.cause_of(error)

        backtrace = Backtrace.of(error)
        begin
          raise error, cause: cause
        rescue Exception => e # rubocop:disable Lint/RescueException -- it is what was raised just now
          e.set_backtrace(backtrace) if backtrace
          e
        end
      end

      # @return [String, nil] nil: it cannot be dumped
      def dump(error)
        Marshal.dump(error)
      rescue StandardError
        pared = pare(error)
        Marshal.dump(pared) if pared
      end

      # Removes the instance variables that cannot be dumped, and the cause, which is dumped with an exception.
      # @return [Exception, nil] the copy
      def pare(error)
        pared = error.class.allocate # Neither with a cause nor with the modules that it was extended with.
        ::Exception.instance_method(:initialize).bind_call(pared, ::Exception.instance_method(:to_s).bind_call(error))
        error.instance_variables.each do |name|
          value = error.instance_variable_get(name)
          pared.instance_variable_set(name, value) if Portable.dumps?(value)
        end
        pared if Portable.dumps?(pared)
      rescue StandardError
        nil
      end
    end
  end
end
