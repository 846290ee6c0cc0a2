# frozen_string_literal: true

module Flowline
  module Execution
    # Announces that the callable of an attempt is about to be called: to the observers, and to the core, which counts the
    # time of the step from then on. It happens in the coordinator's thread. A worker sends a message for that, and waits for
    # the answer only if there are +before_step+ hooks, because they may fail the step.
    # @api private
    class Announcer
      # @param setup [Setup]
      # @param inbox [Inbox]
      def initialize(setup, inbox)
        @setup = setup
        @run = setup.environment.run
        @state = setup.state
        @inbox = inbox
        @in_flight = setup.in_flight
        @details = setup.environment.details
        @observed = setup.observed?
        @hooked = setup.hooked?
      end

      # @param attempt [Attempt]
      # @param here [Boolean] whether this is the coordinator's thread
      # @return [void]
      # @raise [HookError] a +before_step+ hook raised
      def call(attempt, here)
        return announce(attempt) if here

        reply = Queue.new if @hooked && attempt.first?
        @inbox << [:begin, attempt, reply, (@run.elapsed unless reply)] if reply || @observed || attempt.step.options[:rate]
        error = reply&.pop
        raise error if error
      end

      # Handles the message of a worker.
      # @param attempt [Attempt]
      # @param reply [Queue, nil]
      # @param began [Float, nil] when it was sent, unless the worker waits for the answer, in seconds from the start of the run
      # @return [void]
      def answer(attempt, reply, began)
        announce(attempt, began)
        reply&.push(nil)
      rescue StandardError => e
        raise unless reply

        reply << e
      end

      private

      def announce(attempt, began = nil)
        attempt.announced = true
        @details&.missed(attempt)
        @state.start(attempt.id) if attempt.first?
        return unless @in_flight[attempt.token] && !@state.ended?(attempt.id)

        @run.begin(attempt.id, began)
        @details&.started(attempt, began)
      end
    end
  end
end
