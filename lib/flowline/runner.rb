# frozen_string_literal: true

require_relative "type_hints"

module Flowline
  # One run of a pipeline: asks the core what to start, calls it, reports back, tells the observers.
  # The only place that changes a run. An {Executor} decides where {#perform} is called.
  # @api private
  class Runner
    # @return [Result] how the run ended
    attr_reader :result

    # @param pipeline [Pipeline]
    # @param request [Request]
    def initialize(pipeline, request)
      @dag = pipeline.dag
      @calls = pipeline.calls.for(input: request.input?)
      @conditions = pipeline.calls.conditions
      @context = Context.new(pipeline.name, request.params, request.values, request.input, request.secrets)
      @hints = TypeHints if request.check_types?
      @outputs = Array.new(@dag.size)
      @errors = {}
      @warnings = []
      @observers = request.reporters
      @observers = [Hooks.new(pipeline.hooks, @context, @warnings), *@observers] unless pipeline.hooks.empty?
      @plain = @observers.empty? && @conditions.empty? && !@hints
      @run = Native::Run.new(@dag.graph, request.go_on?)
    end

    # Runs it to its end. An exception that is not a StandardError, a +throw+, or the death of the thread
    # ends the run in good order, steps that run always included, and then goes on its way.
    # @param executor [#execute]
    # @return [Result]
    def call(executor)
      begin
        start
        executor.execute(self)
        complete(executor)
        well = true
      ensure
        @error ||= CancelledError.new(:interrupted, $!) unless well
        begin
          interrupt(executor) unless well
        ensure
          finish
        end
      end
      result
    end

    # @return [Integer, Float, nil] a step to {#perform}, seconds to wait, or nothing more
    def next
      @run.next
    end

    # Calls a step and reports what became of it.
    # @param id [Integer]
    # @return [Integer, Float, nil] what is {#next}
    def perform(id)
      return perform_observed(id) unless @plain

      @outputs[id] = @calls[id].call(@outputs, @context)
      @run.succeed(id)
    rescue StandardError => e
      raise if @run.step(id).first # It is not the step's: that has ended.

      failed(id, e)
      @run.next
    rescue ScriptError, SystemStackError, NoMemoryError => e
      failed(id, e) unless @run.step(id).first
      raise # The step's failure, but too bad a one to go on.
    end

    private

    def complete(executor)
      return if @run.ended == @dag.size

      raise Error, "executor #{TypeHints.kind(executor)} returned before every step had ended; it must go on until `next` is nil"
    end

    def perform_observed(id)
      return skip(id) unless wanted?(id)

      step = @dag.steps[id]
      emit(:step_started, step)
      @hints&.check_input(step, inputs(step))
      @run.begin(id)
      output = @calls[id].call(@outputs, @context)
      @hints&.check_output(step, output)
      @outputs[id] = output
      settle(id, :succeeded)
      @run.next
    end

    def wanted?(id)
      conditions = @conditions[id]
      conditions.nil? || conditions.all? { |call, wanted| (call.call(@outputs, @context) ? true : false) == wanted }
    end

    def skip(id)
      settle(id, :skipped, :condition)
      @run.next
    end

    def failed(id, error)
      step = @dag.steps[id]
      given = inputs(step).transform_values { |value| TypeHints.describe(value) }
      @errors[id] = StepError.new(step.name, error, attempts: @run.step(id)[2] + 1, inputs: given, detail: @context.mask(Error.words(error)))
      @warnings << "optional #{@errors[id].message}" if step.optional?
      settle(id, :failed)
    end

    def settle(id, outcome, reason = nil)
      @run.report(id, outcome, reason)
      finished([id, *@run.take_passed_over.sort]) unless @observers.empty?
    end

    def finished(ids)
      so_far = ended
      ids.each { |id| emit(:step_finished, @dag.steps[id], so_far[@dag.steps[id].name]) }
    end

    def inputs(step)
      step.labels.zip(step.depends_on).to_h { |label, name| [label, output_of(@dag.source(name))] }
    end

    def output_of(source)
      source.is_a?(Hash) ? source.transform_values { |inner| output_of(inner) } : @outputs[source]
    end

    def start
      emit(:run_started)
    rescue HookError => e
      @error = e
      stop(:failed, entirely: false)
    end

    def stop(status, entirely:)
      @run.stop(status, entirely)
      finished(@run.take_passed_over.sort) unless @observers.empty?
    end

    # What was running will not be reported on by anybody else.
    def interrupt(executor)
      cancel(entirely: false)
      executor.execute(self)
      done = true
    ensure
      cancel(entirely: true) unless done
    end

    def cancel(entirely:)
      @run.stop(:cancelled, entirely) # First, so that dependents of what was running count as interrupted, too.
      running = @run.running.each { |id| @run.report(id, :cancelled, :interrupted) }
      finished(running + @run.take_passed_over.sort) unless @observers.empty?
    end

    def finish
      @result = ended
      emit(:run_finished, nil, @result)
    end

    def ended
      Result.new(dag: @dag, run: @run, context: @context, outputs: @outputs, errors: @errors, error: @error, warnings: @warnings)
    end

    def emit(name, step = nil, result = nil)
      return if @observers.empty?

      event = Event.new(name, @context, @dag.steps, step, result)
      refusal = nil
      @observers.each do |observer|
        observer.call(event)
      rescue HookError => e
        refusal ||= e # Everybody is told of the event first.
      rescue StandardError => e
        @observers = @observers.reject { |other| other.equal?(observer) }
        @warnings << "reporter #{TypeHints.kind(observer)} failed and was left out: #{TypeHints.kind(e)}: #{@context.mask(Error.words(e))}"
      end
      raise refusal if refusal
    end
  end
end
