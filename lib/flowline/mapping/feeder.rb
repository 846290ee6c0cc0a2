# frozen_string_literal: true

module Flowline
  class Mapping
    # Has the items of a source made while there is somebody to work on them.
    # @api private
    class Feeder
      # How many may wait for another attempt while others are made.
      KEPT = 1000

      # @param mapping [Mapping]
      # @param most [Integer] how many are worked on at a time
      # @yield makes an item
      # @yieldreturn [Boolean] whether there may be more
      def initialize(mapping, most, &supply)
        @mapping = mapping
        @most = most
        @supply = supply
        @working = 0
      end

      # @return [void]
      def start
        fill
      end

      # An item was worked on.
      # @param first [Boolean] whether that was its first attempt
      # @return [void]
      def worked_on(first)
        @working -= 1 if first
        fill
      end

      # Lets the source clean up, and makes no more.
      # @return [Boolean] whether it has
      def close
        @mapping.close_source
        true
      end

      private

      def fill
        @working += 1 while room? && @supply.call
      end

      def room?
        @working < @most && @mapping.kept < @most + KEPT && !@mapping.exhausted?
      end
    end

    # The same in a thread of its own, which waits for the source alone.
    # @api private
    class ThreadedFeeder < Feeder
      # @param broken [#call] gets the exception that ended it
      def initialize(mapping, most, broken, &supply)
        super(mapping, most, &supply)
        @broken = broken
        @attempts = Queue.new
      end

      # @return [void]
      def start
        @thread = Thread.new { Thread.handle_interrupt(Object => :immediate) { work } } # Whatever is deferred here.
        @thread.name = "flowline items"
        @thread.report_on_exception = false
      end

      # @param first [Boolean]
      # @return [void]
      def worked_on(first)
        @attempts << first
      end

      # It has some time to do so.
      # @return [Boolean] whether its thread has ended
      def close
        wait = @closed ? 0 : Executor::GRACE
        @closed = true
        @thread.nil? || !@thread.kill.join(wait).nil?
      end

      private

      def work
        Executor.within_rails { make }
        done = true
      rescue Exception => e # rubocop:disable Lint/RescueException -- a worker raises it
        error = e
      ensure
        @mapping.close_source
        Executor.release
        @broken.call(error || ThreadError.new("the thread that made the items was killed")) unless done || @closed
      end

      def make
        fill
        until @mapping.exhausted? # No `loop`: it would rescue a StopIteration of the source.
          @working -= 1 if @attempts.pop
          fill
        end
      end
    end
  end
end
