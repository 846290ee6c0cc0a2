# frozen_string_literal: true

require "json"
require "time"

module Flowline
  module Reporter
    # Writes a run as JSON, one object a line: {Event#to_h}, with its keys in the same order and times in ISO 8601.
    #
    # Every object has +event+, +number+, +time+, +run_id+ and +pipeline+. +run_started+ adds +params+ (without
    # secrets), +steps+ (their number) and +resumed+ ({Resumption#to_h}, or null); +step_started+ adds +step+;
    # +step_retried+ +step+, +error+, +attempt+, +wait+ in seconds, and the index and the label of the item; +step_finished+ adds what
    # {StepResult#to_h} has; +run_finished+ what {Result#to_h} has. Other events, if they are asked for, add +step+ and the members of
    # their {Event#result}.
    class JSON
      # How deep values are nested at most: some contain themselves.
      DEPTH = 30
      private_constant :DEPTH

      # @return [Array<Symbol>] the events that it writes
      attr_reader :event_names

      # @param out [IO] where to write
      # @param events [Array<Symbol>, Symbol] which events, of {Event::NAMES}; +:all+: all of them
      # @example
      #   pipeline.run(reporter: Flowline::Reporter::JSON.new($stdout, events: :all))
      def initialize(out = $stdout, events: Event::ALWAYS)
        @out = out
        @event_names = events == :all ? Event::NAMES : events
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        @out.write("#{::JSON.generate(plain(event.to_h))}\n")
        @out.flush
      end

      private

      # @return [Object] the value in types that JSON has; any other object as its text
      def plain(value, depth = 0)
        return TypeHints.describe(value) unless Object === value # Active Support's Time calls methods of the value.

        case value
        when Hash, Array
          return "…" if depth > DEPTH

          value.is_a?(Array) ? value.map { |inner| plain(inner, depth + 1) } : value.to_h { |key, inner| [Name.show(key), plain(inner, depth + 1)] }
        when Time then value.iso8601(6)
        when Float then value.finite? ? value : value.to_s
        when Integer, true, false, nil then value
        else Error.text(value)
        end
      end
    end
  end
end
