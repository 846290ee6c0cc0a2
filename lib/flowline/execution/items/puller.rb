# frozen_string_literal: true

module Flowline
  module Execution
    class Items
      # Reads the items of a lazy source while there is room for them, in the thread of the coordinator.
      # @api private
      class Puller
        # How many items may wait for another attempt while others are read.
        WAITING = 1000

        # @param items [Items]
        # @param most [Integer] how many items are called for at a time
        # @yield reads an item
        # @yieldreturn [Boolean] whether there may be more
        def initialize(items, most, &supply)
          @items = items
          @most = most
          @supply = supply
          @working = 0
        end

        # @return [void]
        def start
          fill
        end

        # An attempt for an item has ended.
        # @param first [Boolean] whether it was the first one for that item
        # @return [void]
        def worked_on(first)
          @working -= 1 if first
          fill
        end

        # Lets the source clean up, and reads no more.
        # @return [Boolean] whether it has
        def close
          @items.close
          true
        end

        private

        def fill
          @working += 1 while room? && @supply.call
        end

        def room?
          @working < @most && @items.open < @most + WAITING && !@items.exhausted?
        end
      end

      # Reads them in a thread of its own, so that a slow source delays nothing else.
      # @api private
      class Producer < Puller
        # @param failed [#call] gets the exception that ended the source
        def initialize(items, most, failed, &supply)
          super(items, most, &supply)
          @failed = failed
          @attempts = Queue.new
        end

        # @return [void]
        def start
          @thread = Thread.new { work }
          @thread.name = "flowline items"
          @thread.report_on_exception = false
        end

        # @param first [Boolean]
        # @return [void]
        def worked_on(first)
          @attempts << first
        end

        # Stops the thread. The source has some time to clean up.
        # @return [Boolean] whether the thread has ended
        def close
          seconds = @closed ? 0 : Executor::GRACE
          @closed = true
          @thread.nil? || !@thread.kill.join(seconds).nil?
        end

        private

        def work
          Executor::Threads.wrap { read }
          done = true
        rescue Exception => e # rubocop:disable Lint/RescueException -- the coordinator raises it
          error = e
        ensure
          @items.close
          @failed.call(error || ThreadError.new("the thread that read the items was killed")) unless done || @closed
        end

        def read
          fill
          until @items.exhausted? # No `loop`: it would rescue a StopIteration of the source.
            @working -= 1 if @attempts.pop
            fill
          end
        end
      end
    end
  end
end
