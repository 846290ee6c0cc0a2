# frozen_string_literal: true

module Flowline
  class Report
    # Where the time of a run went: when each step could have started, how much later each could have ended without a later
    # end of the run, and the path of steps that made it as long as it was.
    # @api private
    class Timing
      # @return [Array<Float, nil>] by position, when the last of its dependencies ended; nil: it was not called
      attr_reader :ready
      # @return [Array<Float, nil>] by position, in seconds; nil: it was not called, or the graph is not known
      attr_reader :slack
      # @return [Array<Integer>] the positions of the steps on the critical path, the first one first
      attr_reader :critical

      # @param data [Data]
      def initialize(data)
        @steps = data.steps
        @known = @steps.any? && @steps.all?(&:after)
        @first = @steps.filter_map(&:start).min
        @ready = @steps.map { |step| ready_at(step) }
        @slack = @known ? slacks(data.length) : []
        @critical = @known ? path : []
      end

      # @return [Float] how long the steps of the critical path took, without waits between them
      def critical_time
        critical.sum { |at| @steps[at].duration.to_f }
      end

      # @return [Float] how long they waited after the one before had ended
      def critical_wait
        critical.sum { |at| @steps[at].start - @ready[at] }
      end

      private

      def ready_at(step)
        return unless step.start

        before = (step.after || []).filter_map { |at| @steps[at].end }.max || (@known ? @first : step.start)
        [before, step.start].min
      end

      # Dependents stand anywhere in the definition, so the steps are taken by their ends.
      def slacks(length)
        latest = Array.new(@steps.size, length)
        called = @steps.each_index.select { |at| @steps[at].start }.sort_by { |at| [-@steps[at].end, -@steps[at].start, -at] }
        called.each do |at|
          starts = latest[at] - @steps[at].duration.to_f
          @steps[at].after.each { |before| latest[before] = [latest[before], starts].min }
        end
        @steps.each_index.map { |at| [latest[at] - @steps[at].end, 0.0].max if @steps[at].start }
      end

      def path
        at = @steps.each_index.select { |step| @steps[step].start }.max_by { |step| @steps[step].end }
        path = []
        while at
          path.unshift(at)
          at = @steps[at].after.select { |before| @steps[before].start }.max_by { |before| @steps[before].end }
        end
        path
      end
    end
  end
end
