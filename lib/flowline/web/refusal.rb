# frozen_string_literal: true

module Flowline
  class Web
    # A request that is answered with an error: its status, and a message for the reader.
    # @api private
    class Refusal < StandardError
      # @return [Integer] of HTTP
      attr_reader :status
      # @return [Hash{String => String}] further headers of the answer
      attr_reader :headers

      # @param status [Integer]
      # @param message [String] what is wrong, and what to do
      # @param headers [Hash{String => String}] further ones of the answer
      def initialize(status, message, headers = {})
        @status = status
        @headers = headers
        super(message)
      end
    end
  end
end
