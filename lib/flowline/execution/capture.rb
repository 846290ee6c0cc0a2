# frozen_string_literal: true

require_relative "capture/stream"

module Flowline
  module Execution
    # The middleware that adds what steps print to the log of the run: what they write to $stdout and $stderr in their own thread,
    # and, in a process of their own, whatever that process writes. It is printed as well, as without it.
    # @api private
    class Capture
      # The most bytes that are held of a line that has not ended yet.
      LONGEST = 1 << 16
      # The thread variable that has the capture of the step that is being called.
      CURRENT = :flowline_capture
      private_constant :LONGEST, :CURRENT

      # The lines of one attempt.
      class Sink
        # @param lines [Recording::Lines]
        # @param source [Array(Integer, Integer, Integer)]
        def initialize(lines, source)
          @lines = lines
          @source = source
          @rest = {}
          @lock = Mutex.new
        end

        # Adds what was printed, once its line has ended.
        # @param stream [Symbol]
        # @param texts [Array<Object>]
        # @return [void]
        def note(stream, texts)
          bytes = @lines.redact(texts.map { |text| text.to_s.b }.join)
          whole = @lock.synchronize do
            rest = @rest[stream] ||= +"".b
            ends = bytes.rindex("\n")
            next shorten(rest << bytes) unless ends

            @rest[stream] = bytes.slice(ends + 1..)
            rest << bytes.slice(0, ends)
          end
          add(stream, whole) if whole
        end

        # Adds lines without an end.
        # @return [void]
        def close
          @rest.each { |stream, rest| add(stream, rest) unless rest.empty? }
        end

        private

        def add(stream, bytes)
          @lines.add(@source, stream, bytes.force_encoding(Encoding::UTF_8))
        end

        # A bar of progress is written over and over: its last state stays. Of a long line the beginning stays.
        # @return [nil]
        def shorten(rest)
          return if rest.bytesize <= 2 * LONGEST

          again = rest.rindex("\r")
          again ? rest.slice!(0, again) : rest.slice!(LONGEST..)
          nil
        end
      end

      # @return [Sink, nil] of the step that this thread is calling
      def self.current
        Thread.current.thread_variable_get(CURRENT)
      end

      # @param lines [Recording::Lines]
      # @param steps [Hash{Step => Symbol}] what is captured of which step; see {Attempt#capture}
      def initialize(lines, steps)
        @lines = lines
        @steps = steps
        Stream.install
      end

      # @param attempt [Attempt]
      # @return [void]
      def call(attempt)
        attempt.capture = @steps[attempt.step] or return yield
        before = Capture.current
        sink = Sink.new(@lines, attempt.source)
        Thread.current.thread_variable_set(CURRENT, sink)
        yield
      ensure
        Thread.current.thread_variable_set(CURRENT, before) if sink
        sink&.close
      end

      # The run has ended.
      # @return [void]
      def close
        Stream.uninstall
      end
    end
  end
end
