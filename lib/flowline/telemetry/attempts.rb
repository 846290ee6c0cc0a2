# frozen_string_literal: true

module Flowline
  module Telemetry
    # The middleware that times attempts, in the worker: outside of a forked child.
    # @api private
    class Attempts
      # @param recorder [#attempt] gets each attempt, its times, and what it raised
      def initialize(recorder)
        @recorder = recorder
      end

      # How an attempt ended, for readers.
      # @param error [Exception, nil] what it raised
      # @param returned [Boolean]
      # @return [Symbol] +:succeeded+, +:failed+, or +:interrupted+ by a time limit, a cancelled run or a +throw+
      def self.status(error, returned)
        return :succeeded if returned

        StandardError === error || ScriptError === error || NoMemoryError === error || SystemStackError === error ? :failed : :interrupted
      end

      # @param attempt [Execution::Attempt]
      # @return [void]
      def call(attempt)
        began = Clock.time
        clock = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
        yield
        returned = true
      rescue Exception => e # rubocop:disable Lint/RescueException -- it is raised again
        raise
      ensure
        ended = began + Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond) - clock
        @recorder.attempt(attempt, [began, ended], Attempts.status(e, returned), e)
      end
    end
  end
end
