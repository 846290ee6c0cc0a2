# frozen_string_literal: true

require "io/console"
require "io/wait"
require "pty"

module Flowline
  module Reporter
    # Takes over standard output and standard error as far as they are the terminal, so that what steps, loggers and programs
    # print goes through one pair of pseudo-terminal ends, in order and with whole lines. For them it is still a terminal.
    #
    #   step, logger, child ──> descriptors 1 and 2 ──> slave │ master ──> {#read} ──> the lines above the live rows
    #
    # A reporter's own lines have their place in that order: {#mark} writes a mark among the output, and {#read} puts the lines
    # where it finds the mark. The last mark shows that everything written before it has been read.
    # @api private
    class Capture
      # Seconds to wait for the last mark. The kernel moves text between the two ends a moment after it was written.
      PATIENCE = 2.0
      # Bytes that are read at once.
      SIZE = 1 << 16
      # The longest line that is held back until it ends.
      LONGEST = 1 << 16
      private_constant :PATIENCE, :SIZE, :LONGEST

      # @return [IO] readable when there is output
      attr_reader :master

      # @param terminal [IO] the terminal that is written to
      # @raise [SystemCallError] there is no pseudo-terminal
      def initialize(terminal)
        @master, @slave = PTY.open
        @slave.raw!
        @token = "\0flowline-#{Random.urandom(8).unpack1("H*")}:"
        @mark = /#{Regexp.escape(@token)}(\d+);/n
        @marked = {}
        @count = 0
        @buffer = "".b
        @pid = ::Process.pid
        redirect(terminal)
      end

      # @return [IO] the terminal itself
      attr_reader :terminal

      # @param rows [Integer]
      # @param columns [Integer]
      # @return [void]
      def resize(rows, columns)
        @slave.winsize = [rows, columns]
      end

      # Puts lines into the output at this point.
      # @param lines [String, nil] whole lines
      # @return [Integer] the number of the mark
      def mark(lines)
        @marked[@count += 1] = lines
        @slave.write("#{@token}#{@count};")
        @slave.flush
        @count
      end

      # @return [Integer] how many marks were made
      attr_reader :count

      # @return [Integer] how many of them were found
      def found
        @count - @marked.size
      end

      # @return [Boolean] whether the last {#read} has read more than marks
      def heard?
        @heard
      end

      # Reads what is there.
      # @return [String] whole lines
      def read
        lines = "".b
        @heard = false
        while (chunk = @master.read_nonblock(SIZE, exception: false)).is_a?(String)
          @buffer << chunk
          take(lines)
          break if lines.bytesize > SIZE * 4
        end
        lines
      rescue SystemCallError # The other end is gone.
        lines
      end

      # @return [String] the beginning of a line that has not ended, without an unfinished mark
      def partial
        @buffer[/\A[^\0]*/n]
      end

      # Gives the streams back.
      # @return [String] everything that was written and not read yet
      def close
        restore
        rest = last_words
        rest << @buffer << (@buffer.empty? || @buffer.end_with?("\n") ? "" : "\n")
      ensure
        close_ends
      end

      # Closes the pseudo-terminal. Programs that steps have left behind may still write to it: that is printed, until they end.
      # @return [void]
      def close_ends
        @slave.close
        return if @master.closed?

        @master.read_nonblock(1, exception: false) == :wait_readable ? forward : @master.close
      rescue SystemCallError # The other end is closed.
        @master.close
      end

      # Gives the streams back at once.
      # @return [void]
      def restore
        return if @streams.empty? || ::Process.pid != @pid

        @streams.each do |stream, saved, sync|
          stream.flush
          stream.reopen(saved)
          stream.sync = sync
          saved.close
        end
        @streams.clear
      end

      private

      # Prints what is still written, in a thread, to the stream that steps would write to now.
      def forward
        Thread.new do
          Thread.current.report_on_exception = false
          stream = [STDERR, STDOUT].find(&:tty?) || @terminal # rubocop:disable Style/GlobalStdStream
          loop { stream.write(@master.readpartial(SIZE)) }
        rescue SystemCallError, IOError # The last program has ended, or the terminal is gone.
          @master.close
        end
      end

      # Reads until the last mark, which has no room while there is much to read.
      def last_words
        rest = "".b
        mark = +"#{@token}#{@count += 1};"
        @marked[@count] = nil
        limit = Clock.now + PATIENCE
        while @marked.key?(@count) && Clock.now < limit
          written = mark.empty? ? 0 : @slave.write_nonblock(mark, exception: false)
          mark.slice!(0, written) if written.is_a?(Integer)
          @master.wait_readable(PATIENCE / 100)
          rest << read
        end
        rest
      end

      def redirect(terminal)
        @terminal = terminal.dup.tap { |io| io.sync = true }
        @streams = [STDOUT, STDERR].select(&:tty?).map { |stream| [stream, stream.dup, stream.sync] } # rubocop:disable Style/GlobalStdStream
        @streams.each do |stream, _, _|
          stream.flush
          stream.reopen(@slave)
          stream.sync = true
        end
      end

      # Moves whole lines from the buffer.
      def take(lines)
        while (match = @mark.match(@buffer))
          @heard ||= !match.pre_match.empty?
          lines << match.pre_match
          lines << "\n" unless lines.empty? || lines.end_with?("\n")
          lines << @marked.delete(match[1].to_i).to_s.b
          @buffer = match.post_match
        end
        @heard ||= !@buffer.empty?
        final = @buffer.rindex("\n") or return
        lines << @buffer.slice!(0..final)
      end
    end
  end
end
