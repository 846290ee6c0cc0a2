# frozen_string_literal: true

module Flowline
  module Planning
    # Decides what a run does with each step, from the recorded outputs, the caches and the options of the run.
    # @api private
    class Planner
      # @param pipeline [Pipeline]
      # @param request [RunOptions]
      # @param recording [Recording]
      # @param caching [Cache::Lookup]
      # @param context [Context]
      # @raise [CheckpointError] steps need outputs that are recorded nowhere
      def initialize(pipeline, request, recording, caching, context)
        @pipeline = pipeline
        @dag = pipeline.dag
        @request = request
        @workers = request.workers
        @recording = recording
        @forecast = Forecast.new(pipeline, request, recording, caching, context)
        @outlooks = @forecast.outlooks
        missing = @forecast.missing.map { |id| @dag.steps[id].name }
        raise CheckpointError.new(missing, pipeline_name: pipeline.name) unless missing.empty?
      end

      # @return [Presets] what the run adopts
      def presets
        @presets ||= Presets.new(@recording, @forecast)
      end

      # @return [Resumption, nil] nil: the run is not to resume another one, and has none of its outputs either
      def resumption
        run = @recording.checkpoint.run
        facts = if run
                  { run_id: run.run_id, started_at: run.started_at, params: @recording.subject.known, steps: recorded.size,
                    items: presets.items.each_value.sum(&:size) }
                elsif @request.resume? then { reason: @recording.why_not }
                end
        facts && Resumption.new(store: @recording.path, **facts)
      end

      # @return [Array<String>] reasons to doubt the outputs that are restored
      def warnings
        run = @recording.checkpoint.run if @recording.stored?
        run && @outlooks.each_value.any?(&:there?) ? [Sources.new(@pipeline).warning(run)].compact : []
      end

      # @return [Plan] the decisions, for people
      def plan
        Plan.new(pipeline: @pipeline.name, resumed: resumption, steps: steps, critical_path: critical_path, times: times, warnings: warnings)
      end

      private

      # Returns the steps that are restored from the run that is resumed.
      def recorded
        @request.given ? presets.restored.except(*@request.given.outputs.keys) : presets.restored
      end

      # In the order in which they could run.
      def steps
        @steps ||= @outlooks.map do |id, outlook|
          name = @dag.steps[id].name
          Plan::Step.new(name, outlook.action, outlook.reason, (timings[name] if outlook.calls?))
        end
      end

      # The steps that make the run as long as it will be: by the times expected, else by their number.
      def critical_path
        path = []
        id = lengths.max_by(&:last)&.first
        while id
          path.unshift(@dag.steps[id].name) if @outlooks[id].calls?
          id = @dag.inputs(id).max_by { |before| lengths[before] }
        end
        path
      end

      # @return [Plan::Times, nil] nil: nothing is known
      def times
        return if timings.empty? || (steps.none?(&:expected) && @outlooks.each_value.any?(&:calls?))

        by_name = steps.to_h { |step| [step.name, step.expected || 0.0] }
        complete = @outlooks.each_value.zip(steps).none? { |outlook, step| outlook.calls? && step.expected.nil? }
        Plan::Times.new(@workers, *@pipeline.resources.schedule(@dag.graph, @dag.steps.map { |step| by_name.fetch(step.name) }, @workers), complete)
      end

      def timings
        @timings ||= @recording.timings
      end

      # For each step, the longest path that ends with it: its seconds, and how many of its steps run.
      def lengths
        @lengths ||= steps.each_with_object({}) do |step, lengths|
          id = @dag.index[step.name]
          seconds, count = @dag.inputs(id).map { |before| lengths[before] }.max || [0.0, 0]
          lengths[id] = [seconds + (step.expected || 0.0), count + (@outlooks[id].calls? ? 1 : 0)]
        end
      end
    end
  end
end
