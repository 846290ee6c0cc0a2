# frozen_string_literal: true

module Flowline
  # The clock of all limits, deadlines and durations. Setting the time of day does not move it.
  # @api private
  module Clock
    # @return [Float] seconds on the monotonic clock, which all processes of the machine share
    def self.now
      ::Process.clock_gettime(::Process::CLOCK_MONOTONIC)
    end
  end
end
