# frozen_string_literal: true

module Flowline
  module Reporter
    # Says what still runs when a log has been silent for a while: after 30 seconds, after 60, then every two minutes.
    # @api private
    class Heartbeat
      # Seconds of silence after which it speaks.
      PAUSES = [30, 30, 120].freeze
      # Steps that it names.
      NAMED = 5
      private_constant :PAUSES, :NAMED

      # @param board [Board]
      # @param pauses [Array<Numeric>] seconds of silence before each line; the last one is repeated
      # @yieldparam line [String]
      def initialize(board, pauses: PAUSES, &write)
        @board = board
        @pauses = pauses
        @write = write
        @lock = Mutex.new
        @over = ConditionVariable.new
        @thread = Thread.new { work }
        @thread.report_on_exception = false
      end

      # Something was written.
      # @return [Float] when
      def beat
        @last = Clock.now
      end

      # @return [void]
      def stop
        @lock.synchronize do
          @stopped = true
          @over.signal
        end
        @thread.join
      end

      private

      def work
        heard = beat
        spoken = 0
        until wait_until(heard + @pauses[spoken.clamp(0, @pauses.size - 1)])
          quiet = @last == heard
          @write.call(line) if quiet
          spoken = quiet ? spoken + 1 : 0
          heard = quiet ? beat : @last
        end
      rescue SystemCallError, IOError
        nil # The next line of the run fails in the same way, and is reported.
      end

      # @return [Boolean] whether the run has ended meanwhile
      def wait_until(time)
        @lock.synchronize do
          @over.wait(@lock, time - Clock.now) until @stopped || Clock.now >= time
          @stopped
        end
      end

      def line
        running = @board.running
        names = running.first(NAMED).join(", ")
        names += " and #{running.size - NAMED} more" if running.size > NAMED
        "#{Time.now.strftime("%H:%M:%S")} still running: #{running.empty? ? "nothing; steps wait" : names}"
      end
    end
  end
end
