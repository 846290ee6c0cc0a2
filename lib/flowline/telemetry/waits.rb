# frozen_string_literal: true

module Flowline
  module Telemetry
    # The seconds that steps waited, by reason: for a pool, a rate, a worker or a lock until they started, and between attempts.
    # @api private
    class Waits
      # The events that say so.
      EVENTS = %i[step_waiting].freeze

      # @yieldparam reason [Symbol] of a wait that has ended
      # @yieldparam seconds [Float]
      def initialize(&ended)
        @ended = ended
        @under_way = {}
        @sums = {}
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        step = event.step
        case event.name
        when :step_waiting then wait(step, event) unless event.result.reason == :retry # The retry says how long.
        when :step_started, :step_finished then stop(step, event.time) unless @under_way.empty?
        when :step_retried then add(step, :retry, event.result.wait)
        end
      end

      # @param step [Step] that has ended
      # @return [Hash{Symbol => Float}, nil] its waits
      def take(step)
        @sums.delete(step)
      end

      private

      def wait(step, event)
        stop(step, event.time)
        @under_way[step] = [event.result.reason, event.time]
      end

      def stop(step, time)
        reason, since = @under_way.delete(step)
        add(step, reason, time - since) if reason
      end

      def add(step, reason, seconds)
        (@sums[step] ||= Hash.new(0.0))[reason] += seconds
        @ended&.call(reason, seconds)
      end
    end
  end
end
