# frozen_string_literal: true

require_relative "step_result"

module Flowline
  # How a run ended. Partial results always survive: steps that succeeded keep their outputs.
  class Result
    # @return [Symbol] +:succeeded :failed :timed_out :cancelled+
    attr_reader :status
    # @return [Error, nil] why the run did not succeed: the {StepError} of the step that failed first
    attr_reader :error
    # @return [Float] seconds
    attr_reader :duration

    # @api private
    def initialize(dag:, run:, context:, outputs:, errors:, error:, warnings:)
      @dag = dag
      @run = run
      @context = context
      @outputs = outputs
      @errors = errors
      @warnings = warnings
      @status = error ? settled(run.status, error) : run.status
      @error = (errors[run.failures.first] if @status == :failed && error.is_a?(CancelledError)) || error || errors[run.failures.first]
      @duration = run.elapsed
    end

    # @return [Array<String>] what went wrong without failing anything
    def warnings
      @warnings.map { |warning| @context.mask(warning) }
    end

    # @return [Boolean] whether every step that matters ended well
    def success?
      status == :succeeded
    end

    # @return [Boolean] not {#success?}
    def failed?
      !success?
    end

    # @return [String] unique among all runs
    def run_id
      @context.run_id
    end

    # @param name [Symbol, String] a step or a nested pipeline
    # @return [StepResult, nil] +nil+ if there is no such step
    def [](name)
      name = Name.of(name)
      id = @dag.index[name]
      return at(id) if id

      StepResult.of_group(name, @dag.ends(name).map { |leaf| self[leaf] }, @dag.output(name, @outputs)) if @dag.groups.key?(name)
    end

    # @param id [Integer] where the step stands
    # @return [StepResult]
    # @api private
    def at(id)
      status, reason, attempts, started, duration = @run.step(id)
      StepResult.class_for(status).new(name: @dag.steps[id].name, status: status, output: @outputs[id], error: @errors[id],
                                       context: @context, reason: reason, attempts: attempts, started: started, duration: duration)
    end

    # @param id [Integer] where the step stands
    # @return [Array(Symbol, Symbol), nil] the status and the reason of a step that was not called and has nothing else to tell
    # @api private
    def uncalled(id)
      status, reason, attempts = @run.step(id)
      [status, reason] if attempts.zero? && @errors[id].nil?
    end

    # @return [Array<StepResult>] in definition order
    def steps
      Array.new(@dag.size) { |id| at(id) }
    end

    # @return [Symbol, nil] the step that failed first
    def failed_step
      failed_steps.first
    end

    # @return [Array<Symbol>] the steps that failed, in that order; optional ones are in {#warnings}
    def failed_steps
      @run.failures.map { |id| @dag.steps[id].name }
    end

    # @return [Hash{Symbol => Object}] the outputs there are, by step
    def outputs
      @dag.steps.each_with_index.filter_map { |step, id| [step.name, @outputs[id]] if StepResult::WITH_OUTPUT.include?(@run.step(id).first) }.to_h
    end

    # @return [Hash{Symbol => Object}] what there is to tell, without outputs
    def to_h
      { pipeline: @context.pipeline_name, run_id: run_id, status: status, started_at: @context.started_at, duration: duration,
        error: StepResult.describe(error, @context), warnings: warnings, steps: steps.map(&:to_h) }
    end

    # @return [String] {#to_h} as JSON; times are ISO 8601
    def to_json(*args)
      require "json"
      require "time"
      report = to_h
      [report, *report[:steps]].each { |part| part[:started_at] &&= part[:started_at].iso8601(6) }
      ::JSON.generate(report, *args)
    end

    # @return [String]
    def inspect
      failed = " (#{failed_steps.map { |name| Name.show(name) }.join(", ")})" if failed_step
      "#<#{self.class} #{status}#{failed} #{@dag.size} steps #{format("%.3f", duration)} s>"
    end
    alias to_s inspect

    private

    # Every step ended well before the error came.
    def settled(status, error)
      return status unless status == :succeeded

      error.is_a?(CancelledError) ? :cancelled : :failed
    end
  end
end
