# frozen_string_literal: true

module Flowline
  module Reporter
    # Ctrl-Z in a terminal whose rows are redrawn: they are removed and the cursor is shown before the program stops, and drawn again
    # when it continues. An application that handles the signal itself is left alone.
    # @api private
    class Suspension
      SIGNAL = "TSTP"
      # The values of handlers that mean that nobody handles the signal.
      NOBODY = ["DEFAULT", "SYSTEM_DEFAULT", nil].freeze
      # Seconds after which the program counts as continued.
      LATEST = 2.0
      private_constant :SIGNAL, :NOBODY, :LATEST

      def initialize
        before = trap(SIGNAL) { @asked = true }
        NOBODY.include?(before) ? @trapped = true : trap(SIGNAL, before)
      rescue ArgumentError
        nil # There is no such signal here.
      end

      # Stops the program if that was asked for.
      # @yield gives the terminal back first
      # @return [void]
      def take
        return unless @asked

        @asked = false
        yield
        stop
      end

      # Handles the signal no longer.
      # @return [void]
      def close
        trap(SIGNAL, "DEFAULT") if @trapped
        @trapped = false
      end

      private

      # Stops the program, and returns when it continues. The signal may take a moment to reach this thread, which would draw meanwhile.
      def stop
        continued = false
        before = trap("CONT") { continued = true }
        ::Process.kill(:STOP, ::Process.pid)
        limit = now + LATEST
        sleep(0.01) until continued || now > limit
      ensure
        trap("CONT", before || "DEFAULT")
      end

      def now
        ::Process.clock_gettime(::Process::CLOCK_MONOTONIC)
      end
    end
  end
end
