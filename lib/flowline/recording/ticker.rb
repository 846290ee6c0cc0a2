# frozen_string_literal: true

module Flowline
  module Recording
    # The thread that keeps other processes informed of the runs of this one, and passes their requests on. There is one a process
    # while runs are recorded; it is for runs that take longer than {EVERY}, and does nothing for shorter ones.
    # @api private
    module Ticker
      # Seconds from the start of a run to the first time that it is shown, and from then on between two times.
      EVERY = 0.5
      GUARD = Mutex.new
      private_constant :GUARD

      @broadcasts = {}.compare_by_identity

      class << self
        # @param broadcast [#tick] is called in another thread, again and again
        # @return [void]
        def add(broadcast)
          GUARD.synchronize do
            forget_parent unless @pid == Process.pid
            @broadcasts[broadcast] = Clock.now + EVERY
            start unless @thread&.alive?
          end
        rescue ThreadError # There are no threads to be had: the run is not shown.
          nil
        end

        # @param broadcast [#tick]
        # @return [void]
        def remove(broadcast)
          GUARD.synchronize { @broadcasts.delete(broadcast) }
        end

        private

        # The thread and the runs of a parent that has forked are not those of this process.
        def forget_parent
          @pid = Process.pid
          @broadcasts = {}.compare_by_identity
          @thread = nil
        end

        def start
          @thread = Thread.new { work }
          @thread.name = "flowline ticker"
          @thread.report_on_exception = false
        end

        def work
          while (pause = pause_or_end)
            sleep(pause)
            due.each(&:tick)
          end
        end

        # @return [Float, nil] seconds; nil: there is no run, and the thread ends
        def pause_or_end
          GUARD.synchronize do
            first = @broadcasts.each_value.min
            first ? [first - Clock.now, 0.0].max : @thread = nil
          end
        end

        def due
          GUARD.synchronize do
            @broadcasts.filter_map do |broadcast, time|
              next if time > Clock.now

              @broadcasts[broadcast] = Clock.now + EVERY
              broadcast
            end
          end
        end
      end
    end
  end
end
