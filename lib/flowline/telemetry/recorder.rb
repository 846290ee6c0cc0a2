# frozen_string_literal: true

module Flowline
  module Telemetry
    # The observer that turns the events and the attempts of one run into spans and metrics, and gives them to the {Exporter}.
    # Events arrive in the coordinator's thread, attempts in those of workers.
    # @api private
    class Recorder
      # The attempts of a step that have a span each: the first ones, and further ones that fail. The others are counted.
      MOST = 1000
      # The retries of a step that its span has as events.
      RETRIES = 20
      private_constant :MOST, :RETRIES

      # A step that has started: when, and its retries.
      Started = Struct.new(:time, :retries)
      private_constant :Started

      # The events that it wants.
      EVENTS = (Event::ALWAYS + Waits::EVENTS + %i[cache]).freeze
      private_constant :EVENTS

      # @return [Attempts, nil] the middleware around attempts; nil: their spans are not exported
      attr_reader :entry
      # @return [String] the name of the pipeline
      attr_reader :pipeline

      # @param environment [Execution::Environment]
      # @param exporter [Exporter]
      # @param spans [Boolean] whether spans are exported; if not, only metrics are
      def initialize(environment, exporter, spans: true)
        @context = environment.context
        @exporter = exporter
        @meter = exporter.meter
        @began = Clock.nanoseconds(@context.started_at)
        @warnings = environment.warnings
        @pipeline = @context.pipeline_name || "unnamed"
        @trigger = Recording::Trigger.current
        @parent = TraceParent.current
        @exports = spans && exporter.traces? && (@parent.nil? || @parent.sampled)
        @entry = Attempts.new(self) if @exports
        @started = {}
        @waits = Waits.new { |reason, seconds| @meter.record("flowline.wait.duration", seconds, pipeline: @pipeline, reason: reason) }
        @outcomes = Hash.new(0)
        @counts = Hash.new { |counts, step| counts[step] = [0, 0] }
      end

      # @return [Array<Symbol>] the events that it wants
      def event_names
        EVENTS
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        @waits.call(event)
        case event.name
        when :run_started then begin_run(event)
        when :step_started then begin_step(event)
        when :step_retried then retried(event)
        when :cache then @meter.count("flowline.cache.lookups", 1, pipeline: @pipeline, result: event.result.hit ? :hit : :miss)
        when :step_finished then end_step(event)
        when :run_finished then end_run(event)
        end
      end

      # @return [Integer] how many steps have started and not ended
      def running
        @started.size
      end

      # An attempt has ended, in this thread. Nothing here fails it.
      # @param attempt [Execution::Attempt]
      # @param times [Array(Integer, Integer)]
      # @param status [Symbol]
      # @param error [Exception, nil]
      # @return [void]
      def attempt(attempt, times, status, error)
        name = attempt.step.name.name
        return unless room?(name, status)

        failure = Failure.of(error, @context) if status == :failed
        @exporter << [spans, :attempt, name, attempt.number, times, { status: status, item: attempt.index&.succ, failure: failure }]
      rescue StandardError => e
        warning = "telemetry failed: #{TypeHints.kind(e)}: #{Error.words(e)}"
        @warnings << warning unless @warnings.include?(warning)
      end

      private

      def spans
        @spans ||= Spans.new(@context.run_id, @context.pipeline_name, @parent)
      end

      # Two threads may count one number too few, which does no harm.
      def room?(name, status)
        counts = @counts[name]
        (counts[0] += 1) <= MOST || (status == :failed && (counts[1] += 1) <= MOST)
      end

      def begin_run(event)
        spans
        @resumed = event.resumed&.run_id
        @meter.watch(self)
      end

      def begin_step(event)
        @started[event.step] = Started.new(event.time)
      end

      def retried(event)
        again = event.result
        started = @started[event.step] or return
        started.retries ||= []
        return if started.retries.size >= RETRIES

        started.retries << [Clock.nanoseconds(event.time), again.attempt, again.wait, Failure.of(again.error, @context)]
      end

      def end_step(event)
        result = event.result
        @outcomes[result.status] += 1
        waits = @waits.take(event.step)
        started = @started.delete(event.step) or return
        name = result.name.name
        began = result.started || (started.time - @context.started_at) # A step that was interrupted has no times.
        duration = result.duration || (event.time - started.time)
        @meter.record("flowline.step.duration", duration, pipeline: @pipeline, step: name, status: result.status)
        @meter.count("flowline.attempts", attempts(result), pipeline: @pipeline, step: name)
        export(:step, name, times(began, duration), facts(result, started.retries, waits)) if @exports
      end

      # @return [Integer] the calls of a step, those for all of its items included
      def attempts(result)
        items = result.items
        items ? items.done + items.failed + items.retries : result.attempts
      end

      def facts(result, retries, waits)
        { status: result.status, reason: result.reason, attempts: result.attempts, failure: Failure.of(result.error, @context),
          waits: waits, retries: retries, items: result.items&.to_h&.slice(:done, :failed, :restored) }
      end

      def end_run(event)
        result = event.result
        @meter.unwatch(self)
        @meter.record("flowline.run.duration", result.duration, pipeline: @pipeline, status: result.status)
        export(:run, times(0.0, result.duration),
               { status: result.status, outcomes: @outcomes, failure: Failure.of(result.error, @context), resumed: @resumed, trigger: @trigger })
      end

      # Exports a span, which is built when it is sent.
      def export(kind, *facts)
        @exporter << [spans, kind, *facts] if @exports
      end

      # @param started [Float] in seconds from the start of the run
      def times(started, duration)
        began = @began + (started * 1e9).round
        [began, began + (duration * 1e9).round]
      end
    end
  end
end
