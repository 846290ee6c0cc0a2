# frozen_string_literal: true

module Flowline
  module Execution
    # A view of a run while it goes on, for reporters that redraw: where steps stand, what they wait for, and how long they took
    # in earlier runs. It reads and changes nothing, so that any thread may ask. The event +run_started+ has it, in the
    # process of the run only.
    # @api private
    class Monitor
      # @return [Integer] how many attempts are called at a time
      attr_reader :workers

      # @param environment [Environment]
      # @param state [State]
      # @param recording [Recording]
      # @param pipeline [Pipeline]
      # @param works [Array(Integer, InFlight)] how many workers there are, and the attempts that they have
      def initialize(environment, state, recording, pipeline, works)
        @dag = environment.dag
        @tallies = state.tallies
        @run = environment.run
        @recording = recording
        @lines = environment.context.lines
        @resources = pipeline.resources
        @pools = pipeline.pools.keys
        @workers, in_flight = works
        @slowest = Items::Slowest.new(environment, in_flight)
      end

      # @return [Float] seconds since the run started
      def elapsed
        @run.elapsed
      end

      # @param step [Step]
      # @return [Integer] its position
      def id(step)
        @dag.index.fetch(step.name)
      end

      # @return [Array<Integer>] the steps, each after those that it depends on
      def order
        @dag.order
      end

      # @param id [Integer] a step
      # @return [Array<Integer>] the steps that it depends on
      def inputs(id)
        @dag.inputs(id)
      end

      # @param id [Integer] a step that has not ended
      # @return [String, nil] what it waits for: +"pool db"+, +"rate"+ or +"retry"+
      def waits_for(id)
        state, what = @run.state(id)
        state == :waiting ? wording(what) : nil
      end

      # @param except [Hash{Integer => true}] steps that do not count
      # @return [Hash{String => Integer}] how many steps wait, by what they wait for
      def waits(except = {})
        @dag.steps.each_index.filter_map { |id| waits_for(id) unless except.key?(id) }.tally
      end

      # @param id [Integer] a step
      # @return [ItemCounts, nil] how its items ended so far; nil: it has none
      def items(id)
        @tallies[id]&.counts
      end

      # @param id [Integer] a step with items
      # @return [String, nil] the item that takes longest at the moment
      def slowest(id)
        @slowest.call(id)
      end

      # @param id [Integer] a step that failed
      # @return [Array<Event::Line>] the last lines of its log
      def last_lines(id)
        @lines.last(id)
      end

      # @return [Boolean] whether the run was stopped
      def stopped?
        @run.stopped?
      end

      # @return [Hash{Integer => Float}] by step, the median of its latest durations in seconds, as far as they are recorded
      # @raise [StoreError]
      def timings
        recorded = @recording.timings
        @dag.steps.each_with_index.filter_map { |step, id| [id, recorded[step.name]] if recorded[step.name] }.to_h
      end

      # @param seconds [Array<Float>] by step, how long it took
      # @return [Array(Float, Float, Integer)] see {Resources#schedule}
      def schedule(seconds)
        @resources.schedule(@dag.graph, seconds, workers)
      end

      private

      def wording(what)
        what.is_a?(Integer) ? "pool #{@pools[what]}" : what.to_s
      end
    end
  end
end
