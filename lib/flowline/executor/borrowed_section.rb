# frozen_string_literal: true

module Flowline
  module Executor
    # The section of a run in a thread that is its caller's. Opening it costs next to nothing, because the thread may be interrupted
    # as long as the run goes on: an interruption that comes when the section is just closed ends the run like any exception
    # from outside. None arrives after the run.
    # @api private
    class BorrowedSection < Section
      # @return [Boolean]
      def borrowed?
        true
      end

      # Calls the block with the whole run. An interruption of this section ends it.
      # @return [void]
      def surround(&block)
        @thread = Thread.current
        Thread.handle_interrupt(CLOSED) { within_thread(&block) }
      end

      # Calls the block, which may be interrupted.
      # @param name [Object] what {#interrupt} calls it
      # @return [Object] what the block returns
      # @raise [Stopped] it was interrupted
      def call(name)
        return yield if @name

        begin
          @name = name
          yield
        ensure
          @name = nil
        end
      end

      private

      def within_thread(&block)
        Thread.handle_interrupt(OPEN, &block)
      rescue Stopped => e
        raise unless own?(e)
      ensure
        Thread.handle_interrupt(NEVER) { finish }
      end

      # Nothing is sent from now on.
      def finish
        @lock.synchronize { @over = true }
        drain if @stopped
      end

      def open?(name)
        super && !@over
      end
    end
  end
end
