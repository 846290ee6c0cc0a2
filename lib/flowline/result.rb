# frozen_string_literal: true

require_relative "step_result"
require_relative "result/live"

module Flowline
  # The result of a run. Partial results are always available: steps that succeeded have their outputs.
  #
  # A result can be marshalled, and read in another process. Outputs that cannot be marshalled are left out, with a warning.
  class Result
    autoload :Snapshot, "#{__dir__}/result/snapshot"

    # @return [Symbol] +:succeeded :failed :timed_out :cancelled+
    attr_reader :status
    # @return [Error, nil] why the run did not succeed: the {StepError} of the step that failed first
    attr_reader :error
    # @return [Float] seconds
    attr_reader :duration
    # @return [Resumption, nil] what the run has resumed; +nil+ without +resume:+, +from:+ and +only:+
    # @example
    #   puts result.resumed # resuming run 20261124T015539-04c21255 of 2026-11-24 01:55:39: 3 steps restored
    attr_reader :resumed

    # @param record [Live]
    # @param error [Error, nil] of the run itself
    # @param warnings [Array<String>]
    # @param resumed [Resumption, nil]
    # @api private
    def initialize(record, error, warnings, resumed = nil)
      @resumed = resumed
      @record = record
      @warnings = warnings
      @status = error ? settled(record.status, error) : record.status
      @error = (record.first_error if @status == :failed && error.is_a?(CancelledError)) || error || record.first_error
      @duration = record.elapsed
    end

    # @return [Array<String>] problems that did not fail the run
    def warnings
      @warnings.map { |warning| @record.context.mask(warning) }
    end

    # @return [Array] what {#marshal_load} takes
    # @api private
    def marshal_dump
      unsent = []
      record = Snapshot.new(@record, unsent)
      warnings = self.warnings + unsent.map { |name| "the output of step #{Name.show(name)} is left out, because it cannot be marshalled" }
      [Error::Portable.redact(context) { Marshal.dump([record, error]) }, status, duration, warnings, resumed]
    end

    # @param facts [Array]
    # @return [void]
    # @api private
    def marshal_load(facts)
      bytes, @status, @duration, @warnings, @resumed = facts
      @record, @error = Marshal.load(bytes) # rubocop:disable Security/MarshalLoad -- within Marshal.load
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
      @record.context.run_id
    end

    # @param name [Symbol, String] a step or a nested pipeline
    # @return [StepResult]
    # @raise [UnknownStepError] there is no such step
    # @example
    #   result[:load].output
    def [](name)
      name = Name.of(name)
      id = @record.id(name)
      return at(id) if id

      @record.group(name) || raise(UnknownStepError.new(name, @record.names))
    end

    # @param id [Integer] the step
    # @return [StepResult]
    # @api private
    def at(id)
      @record.at(id)
    end

    # @return [Array<Array(Symbol, Symbol, Array<Integer>)>] a status, a reason or nil, and the steps that ended so without
    #   being called, of which there is nothing more to say
    # @api private
    def uncalled
      @record.uncalled
    end

    # @return [Boolean] whether steps that succeeded have failed items
    # @api private
    def collected?
      @record.collected?
    end

    # @return [Array<StepResult>] in definition order
    def steps
      Array.new(@record.size) { |id| at(id) }
    end

    # @return [Symbol, nil] the step that failed first
    def failed_step
      failed_steps.first
    end

    # @return [Array<Symbol>] the steps that failed, in that order; optional ones are in {#warnings}
    def failed_steps
      @record.failures.map { |id| @record.name(id) }
    end

    # @return [Hash{Symbol => Object}] the outputs there are, by step
    def outputs
      @record.outputs
    end

    # @return [Hash{Symbol => Object}] the result as a Hash, without outputs
    def to_h
      { pipeline: @record.context.pipeline_name, run_id: run_id, status: status, started_at: @record.context.started_at, duration: duration,
        error: StepResult.describe(error, @record.context), warnings: warnings, steps: steps.map(&:to_h), resumed: resumed&.to_h }
    end

    # @return [String] {#to_h} as JSON; times are ISO 8601
    def to_json(*args)
      require "json"
      require "time"
      report = to_h
      [report, report[:resumed], *report[:steps]].compact.each { |part| part[:started_at] &&= part[:started_at].iso8601(6) }
      report[:resumed]&.then { |resumed| resumed[:params] = resumed[:params].transform_values { |value| Param.text(value) } }
      ::JSON.generate(report, *args)
    end

    # Returns a report of the run: a page of one file with its graph, a timeline, and a table of its steps. A recorded run has
    # more in it than a run of a pipeline without a name: waits for retries, previews of outputs, the last runs.
    # @param path [String, nil] a file to write it to
    # @return [String] HTML
    # @raise [SystemCallError] the file cannot be written
    # @example
    #   pipeline.run(date: "2024-01-01").report("run.html")
    def report(path = nil)
      Report.new(Report::Sources.result(self, @record.dag)).write(path)
    end

    # Raises its error, of a run that did not succeed.
    # @param callers [Array<String>] the frames of the call that raises it
    # @raise [Error]
    # @api private
    def raise_error(callers)
      raised = error || CancelledError.new(:interrupted)
      raised.result = self
      raise Backtrace.clean_all(raised, callers)
    end

    # @return [DAG] the graph of the run
    # @api private
    def dag
      @record.dag
    end

    # @return [Context]
    # @api private
    def context
      @record.context
    end

    # @return [String]
    def inspect
      failed = " (#{failed_steps.map { |name| Name.show(name) }.join(", ")})" if failed_step
      "#<#{self.class} #{status}#{failed} #{@record.size} steps #{format("%.3f", duration)} s>"
    end
    alias to_s inspect

    private

    # Returns the status of a run whose steps all succeeded, but which an error ended afterwards.
    def settled(status, error)
      return status unless status == :succeeded

      error.is_a?(CancelledError) ? :cancelled : :failed
    end
  end
end
