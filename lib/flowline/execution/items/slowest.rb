# frozen_string_literal: true

module Flowline
  module Execution
    class Items
      # Names the item of a step that takes longest at the moment, for those who look at the run. None of the user's code is called, so
      # that any thread may ask.
      # @api private
      class Slowest
        # Seconds from which on an item is named.
        SLOW = 1.0
        private_constant :SLOW

        # @param environment [Environment]
        # @param in_flight [InFlight]
        def initialize(environment, in_flight)
          @environment = environment
          @in_flight = in_flight
        end

        # @param id [Integer] the step
        # @return [String, nil] its number and its label; nil: none takes long
        def call(id)
          attempt = @in_flight.oldest(id) or return
          return if @environment.run.elapsed - attempt.began < SLOW

          label = attempt.label || plain(attempt)
          "item #{attempt.index + 1}#{" (#{label})" if label}"
        end

        private

        def plain(attempt)
          Labels.plain(attempt.item, @environment.context) unless attempt.step.options[:label]
        end
      end
    end
  end
end
