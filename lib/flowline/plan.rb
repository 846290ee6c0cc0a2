# frozen_string_literal: true

require "set"

module Flowline
  # The plan of one run: what will happen to each step, and why. Planning executes and writes nothing.
  #
  #   plan = pipeline.run(dry_run: true, resume: true)
  #   plan[:fetch].action # => :restore
  #   puts plan
  class Plan
    # The plan for a step, as long as nothing fails. +action+ is +:run+, +:restore+ (from the checkpoint; from the cache
    # after a step that does not run), +:reuse+ (from the cache), +:skip+ or +:unknown+ (only the run can show it).
    # +reason+ is a sentence or nil. +expected+ is its average duration so far in seconds, or nil.
    Step = Struct.new(:name, :action, :reason, :expected)

    # @param pipeline [Pipeline]
    # @param request [Planning::RunOptions]
    # @param recording [Recording]
    # @param caching [Cache::Lookup]
    # @param context [Context]
    # @raise [CheckpointError] steps need outputs that are recorded nowhere
    # @api private
    def initialize(pipeline, request, recording, caching, context)
      @pipeline = pipeline
      @dag = pipeline.dag
      @workers = request.workers
      @recording = recording
      @forecast = Planning::Forecast.new(pipeline, request, recording, caching, context)
      @outlooks = @forecast.outlooks
      missing = @forecast.missing.map { |id| @dag.steps[id].name }
      raise CheckpointError.new(missing, pipeline_name: pipeline.name) unless missing.empty?
    end

    # @return [Array<Plan::Step>] in the order in which they could run
    def steps
      @steps ||= @outlooks.map do |id, outlook|
        name = @dag.steps[id].name
        Step.new(name, outlook.action, outlook.reason, (timings[name] if outlook.calls?))
      end
    end

    # @param name [Symbol, String]
    # @return [Plan::Step, nil]
    def [](name)
      name = Name.of(name)
      steps.find { |step| step.name == name }
    end

    # @return [Array<Symbol>] the critical path: the longest by expected time or, without expected times, by number of steps
    def critical_path
      path = []
      id = lengths.max_by(&:last)&.first
      while id
        path.unshift(@dag.steps[id].name) if @outlooks[id].calls?
        id = @dag.inputs(id).max_by { |before| lengths[before] }
      end
      path
    end

    # @return [Float, nil] the expected seconds of the run, from the steps whose times are known; nil if none is known
    def expected
      return if timings.empty? || (steps.none?(&:expected) && @outlooks.each_value.any?(&:calls?))

      work = steps.sum { |step| step.expected || 0.0 }
      [lengths.values.max&.first || 0.0, work / @workers].max
    end

    # @return [String] without values, because they may be of any type, and secret
    def inspect
      "#<#{self.class} #{@pipeline.name || "unnamed"} #{@outlooks.size} steps>"
    end

    # @return [Hash{Symbol => Object}]
    def to_h
      { pipeline: @pipeline.name, resumes: @recording.resumed, expected: expected, critical_path: critical_path, steps: steps.map(&:to_h) }
    end

    # @return [String] for people
    def to_s
      width = steps.map { |step| Name.show(step.name).size }.max || 0
      rows = steps.map do |step|
        time = format("%.2fs", step.expected) if step.expected
        "  #{[Name.show(step.name).ljust(width), step.action.to_s.ljust(8), (time || "").rjust(8), step.reason].join("  ").rstrip}\n"
      end
      least = "at least " if steps.zip(@outlooks.values).any? { |step, outlook| outlook.calls? && step.expected.nil? }
      total = "Expected: #{least}#{format("%.2fs", expected)} (#{critical_path.map { |name| Name.show(name) }.join(" → ")})\n" if expected
      "Plan: #{@pipeline.name || "unnamed"}\n#{rows.join}#{total}"
    end

    # @return [Presets] the part of the plan that the run uses
    # @api private
    def presets
      Planning::Presets.new(@dag, @recording, @forecast)
    end

    private

    def timings
      @timings ||= @recording.timings
    end

    # Computes, for each step, the longest path that ends with it: its seconds, and how many of its steps run.
    def lengths
      @lengths ||= steps.each_with_object({}) do |step, lengths|
        id = @dag.index[step.name]
        seconds, count = @dag.inputs(id).map { |before| lengths[before] }.max || [0.0, 0]
        lengths[id] = [seconds + (step.expected || 0.0), count + (@outlooks[id].calls? ? 1 : 0)]
      end
    end
  end
end
