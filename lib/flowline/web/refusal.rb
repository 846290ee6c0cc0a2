# frozen_string_literal: true

module Flowline
  class Web
    # A request that is answered with an error: its status, and a message for the reader.
    # @api private
    class Refusal < StandardError
      # @return [Integer] of HTTP
      attr_reader :status

      # @param status [Integer]
      # @param message [String] what is wrong, and what to do
      def initialize(status, message)
        @status = status
        super(message)
      end
    end
  end
end
