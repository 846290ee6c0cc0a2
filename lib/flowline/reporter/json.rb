# frozen_string_literal: true

require "json"
require "time"

module Flowline
  module Reporter
    # Writes a run as JSON, one object a line, with its keys in the same order and times in ISO 8601.
    #
    # Every object has +event+, +time+, +run_id+ and +pipeline+. +run_started+ adds +params+ (without
    # secrets), +steps+ (their number) and +resumed+ ({Resumption#to_h}, or null); +step_started+ adds +step+;
    # +step_retried+ +step+, +error+, +attempt+, +wait+ in seconds, and the index and the label of the item; +step_finished+ adds what
    # {StepResult#to_h} has; +run_finished+ what {Result#to_h} has.
    class JSON
      # How deep values are nested at most: some contain themselves.
      DEPTH = 30
      private_constant :DEPTH

      # @param out [IO] where to write
      def initialize(out = $stdout)
        @out = out
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        context = event.context
        object = { event: event.name, time: event.time, run_id: context.run_id, pipeline: context.pipeline_name, **about(event) }
        @out.write("#{::JSON.generate(plain(object))}\n")
        @out.flush
      end

      private

      def about(event)
        case event.name
        when :run_started then { params: event.context.public_params, steps: event.steps.size, resumed: event.resumed&.to_h }
        when :step_started then { step: event.step.name }
        when :step_retried then { step: event.step.name, **event.result.to_h, error: StepResult.describe(event.result.error, event.context) }
        when :step_finished then { step: event.step.name, **event.result.to_h.except(:name) }
        when :run_finished then event.result.to_h.except(:pipeline, :run_id)
        else {}
        end
      end

      # @return [Object] the value in types that JSON has; any other object as its text
      def plain(value, depth = 0)
        case value
        when Hash, Array
          return "…" if depth > DEPTH

          value.is_a?(Array) ? value.map { |inner| plain(inner, depth + 1) } : value.to_h { |key, inner| [Name.show(key), plain(inner, depth + 1)] }
        when Time then value.iso8601(6)
        when Float then value.finite? ? value : value.to_s
        when Integer, true, false, nil then value
        when Object then Error.text(value)
        else TypeHints.describe(value)
        end
      end
    end
  end
end
