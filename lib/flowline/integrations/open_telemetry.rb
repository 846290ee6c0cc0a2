# frozen_string_literal: true

module Flowline
  module Integrations
    # The observer that makes spans of a run with the OpenTelemetry API: one of the run, below it one of each step that is
    # called, and below that one of each attempt.
    #
    # The run's parent is the current span where the run was started, else the one of the environment variable TRACEPARENT. An
    # attempt is the current span in its worker, and in its forked child, which inherits it. The spans that the child makes
    # return to this process with its answer ({ChildSpans}).
    # @api private
    class OpenTelemetry
      # So many runs are known, for runs that resume them.
      KNOWN = 1000
      @runs = {}
      @lock = Mutex.new

      class << self
        # @return [Boolean] whether spans can be made: the API is loaded, and has been given an implementation
        def there?
          return false unless defined?(::OpenTelemetry::Trace) && ::OpenTelemetry.respond_to?(:tracer_provider)

          provider = ::OpenTelemetry.tracer_provider
          !(defined?(::OpenTelemetry::Internal::ProxyTracerProvider) && provider.instance_of?(::OpenTelemetry::Internal::ProxyTracerProvider))
        end

        # @param run_id [String]
        # @param span_context [OpenTelemetry::Trace::SpanContext]
        # @return [void]
        def remember(run_id, span_context)
          @lock.synchronize do
            @runs.shift if @runs.size >= KNOWN
            @runs[run_id] = span_context
          end
        end

        # @return [OpenTelemetry::Trace::SpanContext, nil] that of a run of this process
        def find(run_id)
          @lock.synchronize { @runs[run_id] }
        end
      end

      # @param environment [Execution::Environment]
      def initialize(environment)
        @flowline = environment.context
        @warnings = environment.warnings
        @trigger = Recording::Trigger.current
        @tracer = ::OpenTelemetry.tracer_provider.tracer("flowline", VERSION)
        @parent = surroundings
        @lock = Mutex.new
        @steps = {}
        @waits = Telemetry::Waits.new
        @outcomes = Hash.new(0)
        @description = Telemetry::Spans.new(@flowline.run_id, @flowline.pipeline_name)
      end

      # @return [Array<Symbol>] the events that it wants
      def event_names
        Event::ALWAYS + Telemetry::Waits::EVENTS
      end

      # @return [#call] the middleware around attempts
      def entry
        method(:around)
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        @waits.call(event)
        case event.name
        when :run_started then begin_run(event)
        when :step_started then step(event.step, event.time)
        when :step_retried then retried(event)
        when :step_finished then end_step(event)
        when :run_finished then end_run(event)
        end
      end

      private

      # @return [OpenTelemetry::Context] in which the run is started
      def surroundings
        current = ::OpenTelemetry::Context.current
        return current if ::OpenTelemetry::Trace.current_span(current).context.valid?

        parent = Telemetry::TraceParent.current or return current
        flags = ::OpenTelemetry::Trace::TraceFlags.from_byte(parent.sampled ? 1 : 0)
        ids = [parent.trace_id, parent.span_id].map { |id| [id].pack("H*") }
        remote = ::OpenTelemetry::Trace::SpanContext.new(trace_id: ids.first, span_id: ids.last, trace_flags: flags, remote: true)
        within(::OpenTelemetry::Trace.non_recording_span(remote), current)
      end

      # @return [OpenTelemetry::Context] in which the span is the current one
      def within(span, surroundings)
        ::OpenTelemetry::Trace.context_with_span(span, parent_context: surroundings)
      end

      def begin_run(event)
        resumed = event.resumed&.run_id
        earlier = resumed && OpenTelemetry.find(resumed)
        @resumed = resumed
        @span = @tracer.start_span("run #{@flowline.pipeline_name || "unnamed"}", with_parent: @parent, start_timestamp: @flowline.started_at,
                                                                                  links: earlier && [::OpenTelemetry::Trace::Link.new(earlier)])
        @surroundings = within(@span, @parent)
        OpenTelemetry.remember(@flowline.run_id, @span.context)
      end

      # A worker may be quicker than the news of the start of its step.
      def step(step, time = Time.now)
        @lock.synchronize do
          @steps[step] ||= @tracer.start_span("step #{step.name}", with_parent: @surroundings, start_timestamp: time)
        end
      end

      # Calls an attempt, whose span is the current one meanwhile. No exception of a span fails it.
      def around(attempt, &block)
        span = begin_attempt(attempt) or return yield
        began = Clock.time
        begin
          ::OpenTelemetry::Context.with_current(within(span, @surroundings), &block)
          returned = true
        rescue Exception => e # rubocop:disable Lint/RescueException -- it is raised again
          raise
        ensure
          end_attempt(attempt, span, [began, Clock.time], Telemetry::Attempts.status(e, returned), e)
        end
      end

      def begin_attempt(attempt)
        name = Telemetry::Spans.name_of_attempt(attempt.step.name)
        @tracer.start_span(name, with_parent: within(step(attempt.step), @surroundings))
      rescue StandardError => e
        warn(e)
      end

      def end_attempt(attempt, span, times, status, error)
        failure = Telemetry::Failure.of(error, @flowline) if status == :failed
        facts = { status: status, item: attempt.index&.succ, failure: failure }
        finish(span, @description.attempt(attempt.step.name.name, attempt.number, times, facts))
      rescue StandardError => e
        warn(e)
      end

      def retried(event)
        again = event.result
        failure = Telemetry::Failure.of(again.error, @flowline)
        step(event.step).add_event("retry", timestamp: event.time, attributes: Telemetry::Spans.about_retry(again.attempt, again.wait, failure))
      end

      def end_step(event)
        result = event.result
        @outcomes[result.status] += 1
        waits = @waits.take(event.step)
        span = @lock.synchronize { @steps.delete(event.step) } or return
        facts = { status: result.status, reason: result.reason, attempts: result.attempts, failure: Telemetry::Failure.of(result.error, @flowline),
                  waits: waits, items: result.items&.to_h&.slice(:done, :failed, :restored) }
        finish(span, @description.step(result.name.name, [0, 0], facts), event.time)
      end

      def end_run(event)
        result = event.result
        failure = Telemetry::Failure.of(result.error, @flowline)
        facts = { status: result.status, outcomes: @outcomes, failure: failure, resumed: @resumed, trigger: @trigger }
        finish(@span, @description.run([0, 0], facts), event.time)
      end

      # Ends a span with what the data of one says.
      def finish(span, data, time = nil)
        span.add_attributes(data.attributes.dup)
        if (failure = data.failure)
          span.add_event("exception", attributes: { "exception.type" => failure.type, "exception.message" => failure.message })
          span.status = ::OpenTelemetry::Trace::Status.error(failure.message)
        end
        span.finish(end_timestamp: time)
      end

      # @return [nil]
      def warn(error)
        warning = "telemetry failed: #{TypeHints.kind(error)}: #{@flowline.mask(Error.words(error))}"
        @warnings << warning unless @warnings.include?(warning)
        nil
      end
    end
  end
end
