# frozen_string_literal: true

module Flowline
  class Mapping
    # Has the items of a source made in a thread of its own, for others to take: as many as are worked on at a time.
    # @api private
    class Feeder
      # The same in the thread that works on them.
      class Here
        # @param mapping [Mapping]
        # @yield makes an item
        def initialize(mapping, &supply)
          @mapping = mapping
          @supply = supply
        end

        # @return [void]
        def want
          @supply.call
        end
        alias start want

        # @return [void]
        def close
          @mapping.close_source
        end
      end

      # @param mapping [Mapping]
      # @param most [Integer] how many are worked on at a time
      # @param broken [#call] gets the exception that ended it
      # @yield makes an item
      # @yieldreturn [Boolean] whether there may be more
      def initialize(mapping, most, broken, &supply)
        @mapping = mapping
        @most = most
        @broken = broken
        @supply = supply
        @wanted = Queue.new
      end

      # @return [void]
      def start
        @thread = Thread.new { Thread.handle_interrupt(Object => :immediate) { feed } } # Whatever is deferred here.
        @thread.name = "flowline items"
        @thread.report_on_exception = false
      end

      # An item was worked on; another one may be made.
      # @return [void]
      def want
        @wanted << true
      end

      # @return [void]
      def close
        @closed = true
        @thread&.kill
      end

      private

      def feed
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
        @most.times { return unless @supply.call }
        nil while @wanted.pop && @supply.call
      end
    end
  end
end
