# frozen_string_literal: true

module Flowline
  module Job
    # Raised by a job that has to return to its queue, where an exception is the way to say so. The middleware of
    # {Integrations::Sidekiq} catches it; without that, the queue retries the job as after any other error.
    class Requeue < Error
      # @return [Numeric, nil] seconds until the next delivery; nil: at once
      attr_reader :wait

      # @param wait [Numeric, nil]
      # @param error [Error] why
      # @api private
      def initialize(wait, error)
        @wait = wait
        super("the job returns to its queue: #{error.message}")
      end
    end
  end
end
