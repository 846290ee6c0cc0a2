# frozen_string_literal: true

module Flowline
  class Report
    # The waits of steps for a pool or a rate, after the steps before them had ended. They follow from the times of the other steps, so
    # that nothing has to be recorded for them: a step has waited for a pool if another one gave it back meanwhile.
    # @api private
    class Waits
      # Seconds that are no wait.
      LEAST = 0.001
      private_constant :LEAST

      # @param steps [Array<Step>]
      def initialize(steps)
        @steps = steps
        @first = steps.filter_map(&:start).min
        @ends = {}
        steps.each { |step| step.uses&.each { |pool| (@ends[pool] ||= []) << step.end } if step.start }
        @ends.each_value(&:sort!)
      end

      # Writes them into the steps. A step that has waited for neither has waited for a worker.
      # @return [void]
      def apply
        @steps.each { |step| step.wait = wait(step) if step.start && (step.rate || step.uses&.any?) }
      end

      private

      # @return [String, nil]
      def wait(step)
        ready = (step.after || []).filter_map { |before| @steps[before].end }.max || @first
        return if step.start - ready < LEAST

        pool = step.uses.find { |name| returned?(name, ready, step.start) }
        pool ? "pool #{pool}" : step.rate && "rate #{step.rate}"
      end

      # Whether a step that uses the pool ended in that time.
      def returned?(pool, from, to)
        first = @ends.fetch(pool).bsearch { |time| time >= from - LEAST }
        !first.nil? && first <= to + LEAST
      end
    end
  end
end
