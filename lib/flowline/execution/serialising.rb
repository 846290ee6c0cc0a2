# frozen_string_literal: true

module Flowline
  module Execution
    # Calls the user's code that outputs and items are serialised with, such as +marshal_dump+, in the coordinator's thread. It is
    # stopped like the call of a step: by the run's time limit, and by a cancelled run.
    # @api private
    class Serialising
      # The same for a run that nothing stops.
      module Unlimited
        # @return [Object] what the block returns
        def self.call(always: false) = yield # rubocop:disable Lint/UnusedMethodArgument
      end

      # @param environment [Environment]
      # @param coordinator [Coordinator]
      # @param section [Executor::Section, nil] where the coordinator's thread may be interrupted
      # @return [Serialising, Unlimited]
      def self.of(environment, coordinator, section)
        section || environment.timed? ? new(environment.limits, coordinator, section) : Unlimited
      end

      # @param limits [Limits]
      # @param coordinator [Coordinator]
      # @param section [Executor::Section, nil] where the coordinator's thread may be interrupted
      def initialize(limits, coordinator, section)
        @limits = limits
        @coordinator = coordinator
        @section = section
      end

      # @param always [Boolean] whether it is for a step that runs even after the run was stopped
      # @return [Object, nil] what the block returns; nil: it was stopped
      def call(always: false)
        value = nil # One that returns too late still counts.
        limited(always) { value = yield }
        value
      rescue Executor::Section::Stopped
        value
      end

      private

      def limited(always, &block)
        seconds = patience(always)
        within = seconds ? ->(*) { Executor::Timer.limit(seconds, &block) } : block
        return within.call unless @section

        @section.call(always ? :always : :user, &within)
      end

      # @return [Float, nil] the seconds that it has; nil: as long as it takes
      def patience(always)
        @coordinator.interrupting?(always) ? Executor::GRACE : @limits.left_for(always)
      end
    end
  end
end
