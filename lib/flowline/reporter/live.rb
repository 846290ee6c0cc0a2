# frozen_string_literal: true

module Flowline
  module Reporter
    # Shows a run in a terminal while it goes on: the {View} of its {Board} in the lower rows, drawn ten times a second by a
    # thread of its own, and above them the lines of the run and whatever steps print.
    #
    # One run at a time has the terminal. If anything of it fails, the streams and the cursor are as they were before.
    # @api private
    class Live
      # Seconds between two frames.
      INTERVAL = 0.1
      # Seconds between two lines of the run below which its lines don't ask for their place among the output, if there was none
      # for a while: a mark costs a hand-over to the thread that reads.
      QUICK = 0.005
      QUIET = 0.5
      LOCK = Mutex.new
      private_constant :INTERVAL, :QUICK, :QUIET, :LOCK

      class << self
        # @return [Live, nil] the one that has the terminal
        attr_reader :current

        # @param terminal [Terminal]
        # @param board [Board]
        # @param width [Integer] of the names of steps
        # @return [Live, nil] nil: another run has the terminal, or this system has no pseudo-terminals
        def start(terminal, board, width)
          LOCK.synchronize do
            return if @current

            @current = new(terminal, board, width)
          end
        rescue SystemCallError, LoadError
          nil
        end

        # @param live [Live]
        # @return [void]
        def release(live)
          LOCK.synchronize { @current = nil if @current.equal?(live) }
        end

        # Gives the terminal back when the program ends in the middle of a run.
        # @return [void]
        def watch_exit
          @watch_exit ||= at_exit { @current&.abandon }
        end
      end

      # @api private
      def initialize(terminal, board, width)
        @terminal = terminal
        @board = board
        @width = width
        @pid = ::Process.pid
        @capture = Capture.new(terminal.io)
        @screen = Screen.new(terminal, @capture.terminal)
        @suspension = Suspension.new
        @wake, @waker = IO.pipe
        @tick = 0
        @pending = []
        @found = 0
        @heard = @spoken = Clock.now
        view
        Live.watch_exit
        @thread = Thread.new { work }
        @thread.name = "flowline live"
        @thread.report_on_exception = false
      end

      # Adds lines above the rows.
      # @param lines [Array<String>]
      # @return [void]
      # @raise [SystemCallError] the terminal is gone
      def append(lines)
        raise @failure if @failure

        text = @terminal.encode("#{lines.join("\n")}\n")
        at = Clock.now
        quick = at - @spoken < QUICK && at - @heard > QUIET && @found == @capture.count
        @spoken = at
        quick ? @pending << text : @capture.mark(text)
      end

      # Adds the last lines, and gives the terminal back.
      # @param lines [Array<String>]
      # @return [void]
      # @raise [SystemCallError] the terminal is gone
      def finish(lines)
        append(lines) unless lines.empty?
        stop
        @screen.close([*@pending, @capture.close].map(&:b).join)
      ensure
        Live.release(self)
      end

      # Gives the terminal back before the program ends without the end of the run.
      # @return [void]
      def leave
        finish([])
      rescue SystemCallError, IOError
        abandon
      end

      # Gives the streams and the cursor back at once.
      # @return [void]
      def abandon
        return if ::Process.pid != @pid

        @capture.restore
        @screen.close("")
      rescue SystemCallError, IOError
        nil
      ensure
        Live.release(self)
      end

      private

      def work
        following = Clock.now + INTERVAL
        until @stopped
          listen if IO.select([@capture.master, @wake], nil, nil, [following - Clock.now, 0].max)
          next if Clock.now < following

          draw
          following = Clock.now + INTERVAL
        end
      rescue SystemCallError, IOError => e
        @failure = e
        abandon
        @capture.close_ends # Otherwise writers would wait until it is read.
      end

      def draw
        @suspension.take { @screen.close("") }
        state = @board.state
        partial = @capture.partial
        state.partial = Text.line(Error.text(partial.split("\r").last.to_s)) unless partial.empty?
        @tick += 1
        rows = @screen.steady?(@terminal.size(@capture.terminal)) ? view.rows(state, @tick) : []
        rows = view.rows(state, @tick) until rows.empty? || @size == @terminal.size(@capture.terminal) # It may have been resized just now.
        @screen.frame(@pending.shift(@pending.size).map(&:b).join, rows)
      end

      def listen
        @pending << @capture.read
        @found = @capture.found # Now that its lines are there, others may follow them.
        @heard = Clock.now if @capture.heard?
      end

      # @return [View] for the size that the terminal has
      def view
        lines, columns = size = @terminal.size(@capture.terminal)
        return @view if @size == size

        @size = size
        @capture.resize(lines, columns)
        @view = View.new(columns, lines, width: @width, unicode: @terminal.unicode?)
      end

      def stop
        @suspension.close
        @stopped = true
        @waker.write(".")
        @thread.join
        raise @failure if @failure
      ensure
        [@wake, @waker].each(&:close)
      end
    end
  end
end
