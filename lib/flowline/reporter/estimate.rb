# frozen_string_literal: true

module Flowline
  module Reporter
    # Estimates how long a run still takes: from the times that its steps took in earlier runs, and the path through the graph
    # that takes longest. With several workers it is the longer of this path and of all work shared among the workers (Graham
    # 1969: a schedule is never shorter than either).
    # @api private
    class Estimate
      # Seconds between two estimates.
      EVERY = 1.0
      private_constant :EVERY

      # @param monitor [Execution::Monitor]
      # @param count [Integer] the number of steps
      def initialize(monitor, count)
        @monitor = monitor
        @timings = monitor.timings
        mean = @timings.values.sum / @timings.size unless @timings.empty?
        @expected = Array.new(count) { |id| @timings.fetch(id, mean) } if mean
      end

      # @param id [Integer] a step
      # @return [Float, nil] the seconds that it took before
      def of(id)
        @timings[id]
      end

      # @param now [Float] seconds since the run started
      # @param ended [Hash{Integer => true}] the steps that have ended
      # @param running [Hash{Integer => Float}] the steps that run, and for how long
      # @param wanted [#call, nil] says which steps are still to come, of a run that is stopping
      # @return [Float, nil] seconds; nil: no time is recorded
      def left(now, ended, running, wanted = nil)
        return unless @expected

        if @at.nil? || now - @at >= EVERY || @stopping != !wanted.nil?
          @stopping = !wanted.nil?
          @at = now
          @left = compute(ended, running, wanted)
        end
        [@left - (now - @at), 0.0].max
      end

      private

      def compute(ended, running, wanted)
        ends = Array.new(@expected.size, 0.0)
        work = 0.0
        @monitor.order.each do |id|
          next if ended.key?(id)

          own = wanted && !wanted.call(id) ? 0.0 : [@expected[id] - running.fetch(id, 0.0), 0.0].max
          work += own
          ends[id] = own + (@monitor.inputs(id).map { |input| ends[input] }.max || 0.0)
        end
        [ends.max || 0.0, work / @monitor.workers].max
      end
    end
  end
end
