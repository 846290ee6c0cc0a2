# frozen_string_literal: true

module Flowline
  module Integrations
    # The observer that publishes a run as ActiveSupport::Notifications: +run.flowline+, +step.flowline+, +attempt.flowline+,
    # +retry.flowline+ and +cache.flowline+.
    #
    # A run and its steps begin and end in events of the coordinator, and steps overlap. ActiveSupport before 7.1 holds the
    # start of a notification in a stack of the fiber, so each of them has a fiber of its own there. An attempt is a block, in
    # its worker.
    # @api private
    class Notifications
      NAMES = %w[run step attempt retry cache].to_h { |name| [name.to_sym, "#{name}.flowline"] }.freeze
      # The kind of notification of each event.
      EVENTS = { run_started: :run, step_started: :step, step_retried: :retry, cache: :cache, step_finished: :step, run_finished: :run }.freeze
      private_constant :NAMES, :EVENTS

      # @return [Boolean] whether ActiveSupport is loaded and a subscriber listens
      def self.there?
        return false unless defined?(::ActiveSupport::Notifications)

        NAMES.each_value.any? { |name| ::ActiveSupport::Notifications.notifier.listening?(name) }
      end

      # @param environment [Execution::Environment]
      def initialize(environment)
        @context = environment.context
        @warnings = environment.warnings
        @listening = NAMES.select { |_, name| ::ActiveSupport::Notifications.notifier.listening?(name) }
        @steps = {}
      end

      # @return [Array<Symbol>] the events that it wants
      def event_names
        @listening.key?(:cache) ? [*Event::ALWAYS, :cache] : Event::ALWAYS
      end

      # @return [#call, nil] the middleware around attempts
      def entry
        method(:around) if @listening.key?(:attempt)
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        case event.name
        when :run_started then @run = start(:run, about(steps: event.steps.size, resumed: event.resumed&.run_id))
        when :step_started then @steps[event.step] = start(:step, about(step: event.step.name))
        when :step_retried then instrument(:retry, retried(event.step, event.result))
        when :cache then instrument(:cache, looked_up(event.step, event.result))
        when :step_finished then step_finished(event.step, event.result)
        when :run_finished then finish(@run, status: event.result.status, duration: event.result.duration, **failure(event.result.error))
        end
      rescue StandardError => e # Other subscribers still get what follows.
        warn(e, EVENTS.fetch(event.name))
      end

      private

      # Calls an attempt as a block of +attempt.flowline+. An exception of it never passes through ActiveSupport, which would
      # publish its message with secrets in it. One of a subscriber becomes a warning.
      def around(attempt, &block)
        payload = about(step: attempt.step.name, attempt: attempt.number, item: attempt.index&.succ)
        called = false
        error = nil
        begin
          instrument(:attempt, payload) do
            called = true
            error = call_within(payload, &block)
          end
        rescue StandardError => e
          warn(e)
        end
        raise error if error

        yield unless called
      end

      # @return [Exception, nil] what the attempt raised
      def call_within(payload)
        yield
        returned = true
        nil
      rescue Exception => e # rubocop:disable Lint/RescueException -- it is raised again
        payload.update(failure(e)) if Telemetry::Attempts.status(e, false) == :failed
        e
      ensure
        payload[:status] = Telemetry::Attempts.status(e, returned)
      end

      def step_finished(step, result)
        started = @steps.delete(step) || start(:step, about(step: step.name))
        finish(started, status: result.status, reason: result.reason, attempts: result.attempts, started_at: result.started_at,
                        duration: result.duration, **failure(result.error))
      end

      def looked_up(step, lookup)
        about(step: step.name, item: lookup.item&.succ, hit: lookup.hit, reason: lookup.reason && @context.mask(lookup.reason))
      end

      def retried(step, again)
        about(step: step.name, attempt: again.attempt, item: again.item&.succ, wait: again.wait, **failure(again.error))
      end

      def about(**facts)
        { run_id: @context.run_id, pipeline: @context.pipeline_name, **facts }
      end

      # Returns an error as ActiveSupport has it in payloads: its class and its message, which has no secrets here.
      def failure(error)
        failure = Telemetry::Failure.of(error, @context) or return {}
        { exception: [failure.type, failure.message] }
      end

      def instrument(kind, payload, &block)
        name = @listening[kind]
        instrumenter.instrument(name, payload, &block) if name
      end

      # Begins a notification.
      # @return [Array, nil] the payload, and what ends it
      def start(kind, payload)
        name = @listening[kind] or return
        handle = handle(name, payload)
        handle.start
        [payload, handle]
      end

      def finish(started, **facts)
        return unless started

        payload, handle = started
        payload.update(facts)
        handle.finish
      end

      def handle(name, payload)
        current = instrumenter
        current.respond_to?(:build_handle) ? current.build_handle(name, payload) : Handle.new(current, name, payload)
      end

      def instrumenter
        ::ActiveSupport::Notifications.instrumenter
      end

      def warn(error, kind = :attempt)
        warning = "a subscriber of #{NAMES.fetch(kind)} failed: #{TypeHints.kind(error)}: #{@context.mask(Error.words(error))}"
        @warnings << warning unless @warnings.include?(warning)
      end

      # A notification under way, in a fiber of its own.
      class Handle
        # @param instrumenter [ActiveSupport::Notifications::Instrumenter]
        # @param name [String]
        # @param payload [Hash]
        def initialize(instrumenter, name, payload)
          @fiber = Fiber.new { instrumenter.instrument(name, payload) { Fiber.yield } }
        end

        # @return [void]
        def start
          @fiber.resume
        end

        # @return [void]
        def finish
          @fiber.resume
        end
      end
      private_constant :Handle
    end
  end
end
