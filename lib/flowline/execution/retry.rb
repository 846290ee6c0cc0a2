# frozen_string_literal: true

module Flowline
  module Execution
    # The decision whether and when a failed attempt is retried.
    # @api private
    module Retry
      class << self
        # @param step [Step]
        # @param error [StandardError] what the attempt raised
        # @param attempt [Integer] which it was, from 1
        # @param warnings [Array<String>] where exceptions of the user's callables go
        # @return [Float, nil] seconds until the next attempt; +nil+: there is none
        def wait(step, error, attempt, warnings)
          options = step.options
          return if attempt > options.fetch(:retries, 0)
          return unless guard(step, :retry_if, warnings) { worth_it?(options[:retry_if], error) }

          seconds = guard(step, :retry_delay, warnings) { delay(options, error, attempt) } or return
          guard(step, :on_retry, warnings) { Events::Hooks.offer(options[:on_retry], [error, attempt, seconds]) } if options[:on_retry]
          seconds
        end

        private

        # A NameError is a mistake in the code, and stays one.
        def worth_it?(condition, error)
          condition ? Events::Hooks.offer(condition, [error]) : !(NameError === error)
        end

        # No wait is endless: nothing could sleep for so long.
        def delay(options, error, attempt)
          seconds(options, error, attempt).clamp(0.0, 1e9)
        end

        def seconds(options, error, attempt)
          given = options[:retry_delay]
          return checked(Events::Hooks.offer(given, [attempt, error]), given) if given.respond_to?(:call)

          strategy = options.fetch(:retry_strategy) { given ? :linear : :immediate }
          Native.retry_wait(strategy, Float(given || 1), Float(options[:retry_max_delay] || 60), Float(options[:retry_jitter] || 0.15), attempt, rand)
        end

        def checked(seconds, callable)
          return seconds.to_f if Numeric === seconds && seconds.real? && seconds >= 0 # NaN is not.

          location = callable.source_location&.join(":") if callable.respond_to?(:source_location)
          shown = Numeric === seconds ? seconds.to_s : TypeHints.describe(seconds)
          raise ::TypeError, "it returned #{shown}, not seconds from 0 up#{" (#{location})" if location}; the step is not retried"
        end

        def guard(step, option, warnings)
          yield
        rescue StandardError => e
          warnings << "#{option}: of step #{Name.show(step.name)} failed: #{Error.account(e)}"
          nil
        end
      end
    end
  end
end
