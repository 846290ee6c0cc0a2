# frozen_string_literal: true

module Flowline
  module Execution
    class Items
      # Reads the items of a lazy source while there is room for them, in a thread of its own: a slow source delays nothing
      # else, and its code has the stack of a thread. (A Fiber's is a quarter of that.)
      # @api private
      class Producer
        # How many items may wait for another attempt while others are read.
        WAITING = 1000

        # @param items [Items]
        # @param most [Integer] how many items are called for at a time
        # @param failed [#call] gets the exception that ended the source
        # @yield learns in this thread of what was read
        # @yieldparam count [Integer] further items
        # @yieldparam exhausted [Boolean] whether they are the last
        def initialize(items, most, failed, &supply)
          @items = items
          @most = most
          @failed = failed
          @supply = supply
          @around = Integrations.around
          @working = 0
          @attempts = Queue.new
        end

        # @return [void]
        def start
          @thread = Thread.new { work }
          @thread.name = "flowline items"
          @thread.report_on_exception = false
        end

        # An attempt for an item has ended.
        # @param first [Boolean] whether it was the first one for that item
        # @return [void]
        def worked_on(first)
          @attempts << first
        end

        # @return [Boolean] whether it reads the source, and does not wait for room
        def reading?
          @thread&.alive? == true && (@attempts.num_waiting.zero? || !@attempts.empty?)
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
          Integrations.wrap(@around) { read }
          done = true
        rescue Exception => e # rubocop:disable Lint/RescueException -- the coordinator raises it
          error = e
        ensure
          @failed.call(error || ThreadError.new("the thread that read the items was killed")) unless done || @closed
        end

        def read
          @items.read do
            @working += 1
            @supply.call(1, false)
            wait_for_room
          end
          @supply.call(0, true)
        end

        def wait_for_room
          until @working < @most && @items.open < @most + WAITING
            first = @attempts.pop
            @working -= 1 if first
          end
        end
      end
    end
  end
end
