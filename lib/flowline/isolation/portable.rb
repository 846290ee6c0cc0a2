# frozen_string_literal: true

module Flowline
  class Isolation
    # What a parent can make of an exception of its child: words in any case, and the exception itself if it can be
    # dumped, at least without what it holds.
    # @api private
    module Portable
      class << self
        # @param error [Exception]
        # @return [Array] what {restore} takes
        def of(error)
          lighten(error)
          [Error.account(error), error.backtrace, dump(error), (of(error.cause) if error.cause)]
        end

        # Its class may be one that only the child has loaded.
        # @param words [String]
        # @param backtrace [Array<String>, nil]
        # @param bytes [String, nil] the exception
        # @param cause [Array, nil] what the same makes its cause
        # @return [Exception]
        def restore(words, backtrace = nil, bytes = nil, cause = nil)
          return Marshal.load(bytes) if bytes # rubocop:disable Security/MarshalLoad -- from our own child

          remote(words, backtrace, cause && restore(*cause))
        rescue StandardError
          restore(words, backtrace, nil, cause)
        end

        private

        def remote(words, backtrace, cause)
          raise RemoteError, words, backtrace || [], cause: cause
        rescue RemoteError => e
          e
        end

        # The result of a run within the step holds all of that run.
        def lighten(error)
          error.result = nil if Error === error
        end

        # @return [String, nil] nil: it cannot be dumped
        def dump(error)
          Marshal.dump(error)
        rescue StandardError
          pared = pare(error)
          Marshal.dump(pared) if pared
        end

        # @return [Exception, nil] the same without those of its variables that cannot be dumped, if it has the same to say
        def pare(error)
          pared = error.dup
          pared.instance_variables.each { |name| pared.remove_instance_variable(name) unless dumps?(pared.instance_variable_get(name)) }
          return if Error.words(pared) != Error.words(error)

          cause = error.cause
          raise pared, cause: cause && (pare(cause) || remote(Error.account(cause), cause.backtrace, nil))
        rescue StandardError => e
          e if e.equal?(pared) && dumps?(e)
        end

        def dumps?(value)
          Marshal.dump(value)
          true
        rescue StandardError
          false
        end
      end
    end
  end
end
