# frozen_string_literal: true

module Flowline
  module Telemetry
    # Why something failed: the class of the exception, and its message without secrets.
    # @api private
    Failure = Struct.new(:type, :message) do
      # @param error [Exception, nil]
      # @param context [Context] knows what must not be seen
      # @return [Failure, nil]
      def self.of(error, context)
        return unless error

        original = (error.original if error.respond_to?(:original)) || error
        new(TypeHints.kind(original), context.mask(Error.words(original))[0, 2000])
      end
    end
  end
end
