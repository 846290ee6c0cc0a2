# frozen_string_literal: true

module Flowline
  # The clocks of a run: the monotonic one for all limits, deadlines and durations, because setting the time of day does not
  # move it; and the time of day for what people and other programs read.
  # @api private
  module Clock
    # @return [Float] seconds on the monotonic clock, which all processes of the machine share
    def self.now
      ::Process.clock_gettime(::Process::CLOCK_MONOTONIC)
    end

    # @return [Integer] nanoseconds since 1970, for what leaves the process
    def self.time
      ::Process.clock_gettime(::Process::CLOCK_REALTIME, :nanosecond)
    end

    # @param time [Time]
    # @return [Integer] nanoseconds since 1970
    def self.nanoseconds(time)
      (time.to_i * 1_000_000_000) + time.nsec
    end
  end
end
