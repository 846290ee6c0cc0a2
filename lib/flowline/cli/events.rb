# frozen_string_literal: true

module Flowline
  module CLI
    # A reporter whose output is a result of the command, so that a failure to write it fails the command. A reader that has
    # seen enough, as `head`, is no failure.
    class Events
      # @param reporter [#call]
      # @param err [IO] gets the message if the output cannot be written
      def initialize(reporter, err)
        @reporter = reporter
        @err = err
      end

      # @return [Boolean] whether events are missing from the output
      def broken?
        @broken ? true : false
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        @reporter&.call(event)
      rescue SystemCallError, IOError => e
        @reporter = nil
        return if Errno::EPIPE === e

        @broken = true
        Signals.say(@err, "flowline: the events cannot be written: #{e.message}")
      end
    end
  end
end
