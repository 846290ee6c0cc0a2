# frozen_string_literal: true

module Flowline
  module Telemetry
    # Holds the spans and metrics of this process until a thread of its own has sent them.
    #
    # - Runs only append to a bounded list. If it is full, spans are dropped and counted, and that is said once.
    # - The thread starts with the first span or metric, and again in a forked process, which leaves the spans of its parent to its
    #   parent.
    # - An endpoint that does not answer is asked again after 1, 2, 4, … 30 seconds. Nothing is encoded meanwhile.
    # - At the exit of the process, what is left is sent within {EXIT} seconds, or until the endpoint fails.
    # @api private
    class Exporter
      # Seconds that the exit of the process is held up at most.
      EXIT = 5
      # The longest pause after a failure, in seconds.
      PAUSE = 30.0
      GUARD = Mutex.new
      private_constant :PAUSE, :GUARD

      # @return [Integer] how many spans could not be sent
      attr_reader :dropped

      # @param settings [Settings]
      # @param out [#puts] where problems are reported
      def initialize(settings, out = nil)
        @settings = settings
        @out = out
        @most = settings.queue
        @traces = settings.exports?("traces")
        reset
      end

      # @return [Boolean] whether spans are exported
      def traces?
        @traces
      end

      # @return [Meter] of this process
      def meter
        wake_up unless @pid == Process.pid && @thread
        @meter
      end

      # Takes a span, in any thread, and returns at once. It is built when it is sent.
      # @param span [Array] a {Spans}, what it builds, and the facts
      # @return [void]
      def <<(span)
        wake_up unless @pid == Process.pid && @thread
        @lock.synchronize do
          next drop(1) if @spans.size >= @most

          @spans << span
          @changed.signal if @spans.size == @settings.batch
        end
      end

      # Sends what is there.
      # @param seconds [Numeric] how long at most
      # @return [Boolean] whether everything was sent
      def flush(seconds)
        return true unless @thread && @pid == Process.pid

        deadline = Clock.now + seconds
        @lock.synchronize do
          wanted = (@flushes += 1)
          @deadline = deadline
          @changed.signal
          @flushed.wait(@lock, [deadline - Clock.now, 0.0].max) while @done < wanted && Clock.now < deadline && @thread.alive?
          @done >= wanted && @spans.empty? && @pending.empty? && @failures.zero?
        end
      end

      private

      def reset
        @pid = Process.pid
        @lock = Mutex.new
        @changed = ConditionVariable.new
        @flushed = ConditionVariable.new
        @spans = []
        @pending = []
        @meter = Meter.new
        @thread = nil
        @flushes = @done = @failures = @dropped = 0
        @retry_at = 0.0
        @read_at = Clock.now
        @said = false
      end

      def wake_up
        GUARD.synchronize do
          reset unless @pid == Process.pid
          next if @thread

          pid = @pid
          @thread = Thread.new { work }
          @thread.name = "flowline otlp"
          @thread.report_on_exception = false
          at_exit { close if Process.pid == pid }
        end
      end

      def close
        flush(EXIT)
        left = @lock.synchronize { @spans.size + @pending.size }
        @lock.synchronize { drop(left) } if left.positive?
        report
      end

      def work
        @senders = { traces: Sender.new(@settings, "traces"), metrics: Sender.new(@settings, "metrics") }
        loop do
          flush = @lock.synchronize { wait }
          send_all(flush)
          report
          @lock.synchronize { finish(flush) } if flush
        end
      end

      # @return [Integer, nil] the flush that is waited for
      def wait
        unless wanted?
          limit = [@failures.zero? ? @settings.delay : @retry_at - Clock.now, 0.01].max
          @changed.wait(@lock, limit)
        end
        @flushes if @flushes > @done
      end

      def wanted?
        @flushes > @done || (@failures.zero? && @spans.size >= @settings.batch)
      end

      def finish(flush)
        @done = flush
        @flushed.broadcast
      end

      # Sends batches until nothing is left, or the endpoint fails. A flush tries even an endpoint that has failed.
      def send_all(flush)
        return if !flush && Clock.now < @retry_at

        sent = post_spans(flush) while sent != false && fill_batch
        return if sent == false

        post_metrics(flush) if @settings.exports?("metrics") && (flush || Clock.now - @read_at >= @settings.interval)
      end

      # @return [Boolean] whether there is something to send
      def fill_batch
        @lock.synchronize { @pending = @spans.shift(@settings.batch) if @pending.empty? }
        !@pending.empty?
      end

      def body
        Payload.traces(@pending.map { |spans, kind, *facts| spans.public_send(kind, *facts) }, @settings.resource)
      end

      # @return [Boolean] whether the endpoint has taken them, or refused them for good
      def post_spans(flush)
        answer = @senders[:traces].post(body, *time_left(flush))
        return failed(answer) if answer.outcome == :later

        @failures = 0
        lost = answer.outcome == :sent ? answer.rejected : @pending.size
        @lock.synchronize do
          @pending = []
          drop(lost, answer.reason) if lost.positive?
        end
        true
      rescue StandardError => e # A bug, or data that cannot be encoded: the next batch may do better.
        @lock.synchronize do
          drop(@pending.size, "#{e.class}: #{Error.words(e)}")
          @pending = []
        end
        true
      end

      def post_metrics(flush)
        @read_at = Clock.now
        metrics = @meter.read
        return if metrics.empty?

        times = [@meter.started, Clock.time]
        @senders[:metrics].post(Payload.metrics(metrics, @settings.resource, times), *time_left(flush))
      end

      # @return [false]
      def failed(answer)
        @reason = answer.reason
        @retry_at = Clock.now + (answer.wait || [2**@failures, PAUSE].min)
        @failures += 1
        false
      end

      # @return [Array<Float>] the seconds that a request has during a flush
      def time_left(flush)
        flush ? [(@deadline - Clock.now).clamp(0.01, @settings.timeout)] : []
      end

      def drop(count, reason = nil)
        @dropped += count
        @reason = reason if reason
      end

      # Says once that spans were dropped.
      def report
        return if @said || @dropped.zero?

        @said = true
        text = "flowline: spans are not sent to #{Sender.new(@settings, "traces").address} and are dropped"
        (@out || $stderr).puts("#{text}#{": #{@reason}" if @reason}; Flowline::Telemetry.dropped counts them")
      rescue StandardError
        nil # There is no better place to say it.
      end
    end
  end
end
