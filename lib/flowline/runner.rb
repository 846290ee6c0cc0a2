# frozen_string_literal: true

require_relative "type_hints"
require_relative "recording"
require_relative "caching"
require_relative "limits"

module Flowline
  # One run of a pipeline: asks the core what to start, calls it, reports back, tells the observers.
  # The only place that changes a run. An {Executor} decides where {#perform} is called.
  # @api private
  class Runner
    # @return [Result] how the run ended
    attr_reader :result
    # @return [Plan, nil] what was to happen, for a run that takes up another's work or is only asked
    attr_reader :plan

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
      @timeout = request.timeout
      @caching = Caching.new(pipeline, request, @warnings)
      @recording = Recording.of(pipeline, request)
      @plan = Plan.new(pipeline, request, @recording, @caching, @context) if request.continues? || request.dry?
      @observers = observers(pipeline, request)
      @plain = @observers.empty? && !@hints && !@timeout && pipeline.plain?
      @run = Native::Run.new(@dag.graph, request.go_on?)
      @limits = Limits.new(@run, @timeout)
      @pid = Process.pid
    ensure
      @recording&.close unless @pid
    end

    # Runs it to its end. An exception that is not a StandardError, a +throw+, or the death of the thread
    # ends the run in good order, steps that run always included, and then goes on its way.
    # @param executor [#execute]
    # @return [Result]
    def call(executor)
      @recording.start(@context, @warnings)
      begin
        start
        executor.execute(self)
        complete(executor)
        well = true
      ensure
        wind_up(executor, well) if Process.pid == @pid # A step may have forked, and its child be leaving through us.
      end
      result
    ensure
      @recording.close
    end

    # @return [Integer, Float, nil] a step to {#perform}, seconds to wait, or nothing more
    def next
      following = @run.next
      finished(@run.take_passed_over.sort) unless !@timeout || @observers.empty? # Its time may have been up.
      following
    end

    # Calls a step and reports what became of it.
    # @param id [Integer]
    # @return [Integer, Float, nil] what is {#next}
    def perform(id)
      return perform_observed(id) unless @plain

      @outputs[id] = @calls[id].call(@outputs, @context)
      @run.succeed(id)
    rescue StandardError => e
      raise if StoreError === e || @run.step(id).first # It is not the step's: that has ended.

      failed(id, e)
      self.next
    rescue ScriptError, SystemStackError, NoMemoryError => e
      failed(id, e) unless @run.step(id).first
      raise # The step's failure, but too bad a one to go on.
    end

    private

    # In the order in which they are told.
    def observers(pipeline, request)
      observers = request.reporters
      observers = [Hooks.new(pipeline.hooks, @context, @warnings), *observers] unless pipeline.hooks.empty?
      @recording.stored? ? [@recording, *observers] : observers
    end

    def wind_up(executor, well)
      @error ||= CancelledError.new(:interrupted, $!) unless well
      interrupt(executor) unless well
    ensure
      finish
    end

    def complete(executor)
      return if @run.ended == @dag.size

      raise Error, "executor #{TypeHints.kind(executor)} returned before every step had ended; it must go on until `next` is nil"
    end

    def perform_observed(id)
      again = @run.step(id)[2].positive?
      return skip(id) unless again || wanted?(id)

      @caching.with(id, @outputs, @context) do |found, output, keep|
        next reuse(id, output) if found

        emit(:step_started, @dag.steps[id]) unless again
        attempt(id, &keep)
      end
    end

    # Calls the step's callable. A failure of it, and of nothing around it, may be followed by another attempt.
    def attempt(id, &keep)
      step = @dag.steps[id]
      @hints&.check_input(step, inputs(step))
      @run.begin(id)
      output, error, limit = @limits.call(step) { @calls[id].call(@outputs, @context) }
      return out_of_time(id, step, limit) if limit
      return failed_attempt(id, step, error) if error

      @hints&.check_output(step, output)
      @outputs[id] = output
      keep&.call(output)
      _, _, attempts, *times = @run.step(id)
      @recording.complete(id, step, [attempts + 1, *times], output) if @recording.stored?
      settle(id, :succeeded)
      self.next
    end

    def out_of_time(id, step, limit)
      @run.stop(:timed_out, false) if limit[:scope] == :run
      failed_attempt(id, step, TimeoutError.new(step.name, **limit, **facts(id, step)), :timed_out)
    end

    def failed_attempt(id, step, error, outcome = :failed)
      attempt = @run.step(id)[2] + 1
      wait = Retry.wait(step, error, attempt, @warnings) unless outcome == :timed_out && error.scope == :run
      if wait
        @run.retry(id, wait)
        emit(:step_retried, step, Event::Retry.new(error, attempt, wait))
        finished(@run.step(id).first ? [id] : [])
      else
        failed(id, error, outcome)
      end
      self.next
    end

    def reuse(id, output)
      @outputs[id] = output
      settle(id, :cached)
      self.next
    end

    def wanted?(id)
      conditions = @conditions[id]
      conditions.nil? || conditions.all? { |call, wanted| (call.call(@outputs, @context) ? true : false) == wanted }
    end

    def skip(id)
      settle(id, :skipped, :condition)
      self.next
    end

    def failed(id, error, outcome = :failed)
      step = @dag.steps[id]
      @errors[id] = outcome == :timed_out ? error : StepError.new(step.name, error, detail: @context.mask(Error.words(error)), **facts(id, step))
      @warnings << "optional #{@errors[id].message}" if step.optional?
      settle(id, outcome)
    end

    # What errors tell of an attempt.
    def facts(id, step)
      { attempts: @run.step(id)[2] + 1, inputs: inputs(step).transform_values { |value| TypeHints.describe(value) } }
    end

    def settle(id, outcome, reason = nil)
      @run.report(id, outcome, reason)
      finished([id, *@run.take_passed_over.sort]) unless @observers.empty?
    end

    def finished(ids)
      so_far = ended unless ids.empty?
      ids.each { |id| emit(:step_finished, @dag.steps[id], so_far.at(id)) }
    end

    def inputs(step)
      step.labels.zip(step.depends_on).to_h { |label, name| [label, output_of(@dag.source(name))] }
    end

    def output_of(source)
      source.is_a?(Hash) ? source.transform_values { |inner| output_of(inner) } : @outputs[source]
    end

    def start
      @run.limit(@timeout) if @timeout
      emit(:run_started)
      preset if @plan
    rescue HookError => e
      @error = e
      stop(:failed, entirely: false)
    end

    def preset
      @plan.restored.each { |id, output| @outputs[id] = output }
      @run.preset(@plan.restored.keys, @plan.unselected)
      @recording.forget(@plan.outdated)
      finished(@run.take_passed_over.sort) unless @observers.empty?
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
      @error ||= TimeoutError.new(nil, limit: @timeout, scope: :run) if @run.status == :timed_out && @run.failures.empty?
      @result = ended
      @recording.finish(@result) unless StoreError === $! # It would fail again.
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
      rescue HookError, StoreError => e
        refusal ||= e # Everybody is told of the event first.
      rescue StandardError => e
        @observers = @observers.reject { |other| other.equal?(observer) }
        @warnings << "reporter #{TypeHints.kind(observer)} failed and was left out: #{TypeHints.kind(e)}: #{@context.mask(Error.words(e))}"
      end
      raise refusal if refusal
    end
  end
end
