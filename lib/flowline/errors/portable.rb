# frozen_string_literal: true

module Flowline
  class Error
    # A substitute for an exception of another process that could not be marshalled.
    # @api private
    class Remote < StandardError
      include Error::Plain
    end

    # The run's time is up: in user code around the calls of steps, such as conditions, caches and hooks.
    # @api private
    class TimeUp < StandardError
      # @return [Hash] +limit:+ in seconds and +scope:+, +:step+ or +:run+
      attr_reader :limit

      # @param limit [Hash]
      def initialize(limit)
        @limit = limit
        super("the run's time limit of #{limit[:limit]} s is up")
      end
    end

    # An exception as data that can always be marshalled: the exception itself if it can be dumped, at least without some
    # instance variables; otherwise its message.
    # @api private
    class Portable
      # @param error [Exception]
      def initialize(error)
        @words = Error.account(error)
        @backtrace = error.backtrace
        @bytes = dump(error)
        @cause = Portable.new(error.cause) if error.cause
      end

      # @return [Exception] its class may be one that only the other process has loaded
      def exception
        restored || remote(@words, @backtrace, @cause&.exception)
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

      def restored
        error = Marshal.load(@bytes) if @bytes # rubocop:disable Security/MarshalLoad -- it is what we dumped ourselves
        error && @cause && Error.cause_of(error).nil? ? with_cause(error, @cause.exception) : error
      rescue StandardError
        nil
      end

      # Sets the cause, which Ruby does only for a raised exception.
      def with_cause(error, cause)
        backtrace = error.backtrace
        begin
          raise error, cause: cause
        rescue Exception => e # rubocop:disable Lint/RescueException -- it is what was raised just now
          e.set_backtrace(backtrace) if backtrace
          e
        end
      end

      def remote(words, backtrace, cause)
        raise Remote, words, backtrace || [], cause: cause
      rescue Remote => e
        e
      end

      # @return [String, nil] nil: it cannot be dumped
      def dump(error)
        Marshal.dump(error)
      rescue StandardError
        pared = pare(error)
        Marshal.dump(pared) if pared
      end

      # Removes the instance variables that cannot be dumped. (The cause is dumped with an exception.)
      # @return [Exception, nil] the copy, if its message is still the same
      def pare(error)
        pared = error.dup # Without the modules that it was extended with.
        pared.instance_variables.each { |name| pared.remove_instance_variable(name) unless Portable.dumps?(pared.instance_variable_get(name)) }
        return if Error.words(pared) != Error.words(error)

        pared = with_cause(pared, pare(error.cause) || remote(Error.account(error.cause), error.cause.backtrace, nil)) if error.cause
        pared if Portable.dumps?(pared)
      rescue StandardError
        nil
      end
    end
  end
end
