# frozen_string_literal: true

require_relative "type_hints"
require_relative "idle"
require_relative "observers"
require_relative "recording"
require_relative "caching"
require_relative "provenance"
require_relative "limits"

module Flowline
  # One run of a pipeline: asks the core what to start, calls it, reports back, tells the observers.
  # The only place that changes a run. An {Executor} decides where {#perform} is called; several threads may.
  # @api private
  class Runner
    # @return [Result] how the run ended
    attr_reader :result
    # @return [Plan, nil] what was to happen, for a run that takes up another's work or is only asked
    attr_reader :plan
    # @return [Context]
    attr_reader :context
    # @return [Integer] the process it runs in
    attr_reader :pid

    # @param pipeline [Pipeline]
    # @param request [Request]
    def initialize(pipeline, request)
      @dag = pipeline.dag
      @calls = pipeline.calls.for(input: request.input?)
      @conditions = pipeline.calls.conditions
      @context = Context.new(pipeline.name, request.params, request.values, request.input, request.secrets)
      @hints = TypeHints if request.check_types?
      @outputs = Array.new(@dag.size)
      @mappings = {}
      @told = {}
      @errors = {}
      @warnings = []
      @timeout = request.timeout
      @run = Native::Run.new(@dag.graph, request.go_on?)
      pipeline.resources.share(@run)
      @limits = Limits.new(@run, @timeout)
      take_up(pipeline, request)
      @observers = observers(pipeline, request)
      @plain = @observers.empty? && !@hints && !@timeout && pipeline.plain? && !@presets&.open&.any?
      @pid = Process.pid
    ensure
      @recording&.close unless @pid
    end

    # Runs it to its end. An exception that is not a StandardError, a +throw+, or the death of the thread
    # ends the run in good order, steps that run always included, and then goes on its way.
    # @param executor [#execute]
    # @return [Result]
    def call(executor)
      @recording.forget(*@presets.outdated) if @presets
      @recording.start(@context, @warnings, @provenance)
      begin
        start(executor)
        executor.execute(self)
        check(executor)
        well = true
      ensure
        wind_up(executor, well) if Process.pid == @pid # A step may have forked, and its child be leaving through us.
      end
      result
    ensure
      @recording.close
    end

    # @return [Integer, Float, nil] a step to {#perform}, seconds to {#wait}, or nothing more
    def next
      following = @run.next
      tell_passed_over if @timeout || @cancelled # Its time may have been up.
      following
    end

    # Calls a step and reports what became of it.
    # @param id [Integer]
    # @param place [#call, nil] where its callable is called, if not just here; see {Executor}
    # @return [Integer, Float, nil] what is {#next}; +nil+, too, if the step was given up
    def perform(id, place = @here)
      following = if @plain
                    @outputs[id] = place ? place.call(-> { @calls[id].call(@outputs, @context) }) : @calls[id].call(@outputs, @context)
                    @run.succeed(id)
                  else
                    always?(id) ? Interruption.spare { perform_observed(id, place) } : perform_observed(id, place)
                  end
      @idle ? pass_on(following) : following
    rescue Limits::TimeUp => e
      pass_on(ended?(id) ? self.next : out_of_time(id, @dag.steps[id], e.limit))
    rescue StandardError => e
      raise if StoreError === e || ended?(id) # It is not the step's: that has ended.

      failed(id, e)
      pass_on(self.next)
    rescue ScriptError, SystemStackError, NoMemoryError => e
      failed(id, e) unless ended?(id)
      raise # The step's failure, but too bad a one to go on.
    end

    # @return [Boolean] whether it is a step that runs always; none is any more when the run is interrupted once again
    def always?(id)
      !id.nil? && !@last && @dag.steps[id].options[:run_if] == :always
    end

    # Starts nothing more, steps that run always excepted. What runs goes on.
    # @return [void]
    def cancel
      @cancelled = true
      return unless @started && @run.ended < @dag.size

      @error ||= CancelledError.new(:interrupted)
      @run.stop(:cancelled, false)
      rouse
      @observers.if_free { finished(@run.take_passed_over.sort) } # Else whoever is told something goes on with it.
    end

    # An executor could not stop so many of its threads.
    # @param count [Integer]
    # @return [void]
    def leave_behind(count)
      @warnings << "#{count == 1 ? "a step" : "#{count} steps"} did not stop when told to, and may still run"
    end

    # @return [Array(Symbol, Object)] where a step stands, and what it waits for, if it does
    def state(id)
      @run.state(id)
    end

    private

    # What is there already, in caches and of earlier runs.
    def take_up(pipeline, request)
      @caching = Caching.new(pipeline, request, @limits, @warnings)
      @recording = Recording.of(pipeline, request)
      @provenance = Provenance.new(@dag, @run, @context, @caching, @outputs)
      return unless request.continues? || request.dry?

      @plan = Plan.new(pipeline, request, @recording, @caching, @context)
      @presets = @plan.presets unless request.dry?
    end

    # In the order in which they are told.
    def observers(pipeline, request)
      list = request.reporters
      list = [Hooks.new(pipeline.hooks, @context, @warnings), *list] unless pipeline.hooks.empty?
      @unobserved = list.empty? # But by the recording, for which restored steps are no news.
      list = [@recording, *list] if @recording.stored?
      Observers.new(list, @context, @dag.steps, @warnings)
    end

    def wind_up(executor, well)
      @error ||= CancelledError.new(:interrupted, $!, running: @run.running.map { |id| @dag.steps[id].name }) unless well
      interrupt(executor) unless well
    ensure
      finish
    end

    def check(executor)
      return if @run.ended == @dag.size

      raise Error, "executor #{TypeHints.kind(executor)} returned before every step had ended; it must go on until `next` is nil"
    end

    def ended?(id)
      !@run.step(id).first.nil?
    end

    # With nobody to tell it is one call. Else what depends on the step is not told of before it.
    def settle(id, outcome, reason = nil)
      return @run.report(id, outcome, reason) if @observers.empty?

      @observers.in_order do
        @run.report(id, outcome, reason)
        finished([id, *@run.take_passed_over.sort])
      end
    end

    # Steps that ended without being performed.
    def tell_passed_over
      @observers.in_order { finished(@run.take_passed_over.sort) } unless @observers.empty?
    end

    def finished(ids)
      return if ids.empty? || @observers.empty?

      @so_far ||= ended # Asked of a step, it knows how that stands now.
      ids.each do |id|
        next if @told[id]

        @told[id] = true
        @observers.tell(:step_finished, @dag.steps[id], @so_far.at(id))
      end
    end

    def start(executor)
      @run.limit(@timeout) if @timeout
      @one_thread = executor.respond_to?(:one_thread?) && executor.one_thread?
      @here = executor.here if executor.respond_to?(:here)
      @workers = executor.workers if executor.respond_to?(:workers)
      work_together unless @one_thread
      @context.run_id unless @plain && @one_thread # A forked child has it from here.
      @observers.tell(:run_started)
      @started = true
      preset if @presets
      cancel if @cancelled
    rescue HookError => e
      @error = e
      stop(:failed, entirely: false)
    end

    # With several workers the order matters; one keeps to the same.
    def work_together
      @idle = Idle.new
      timings = @recording.timings if @workers && @workers > 1
      @run.expect(@dag.steps.map { |step| timings[step.name] }) unless timings.nil? || timings.empty?
    end

    def preset
      @presets.restored.each { |id, output| @outputs[id] = output }
      @provenance.know(@presets.tokens)
      @run.preset(@presets.restored.keys, @presets.unselected)
      @warnings.concat(@presets.warnings)
      @unobserved && @presets.unselected.empty? ? @run.take_passed_over.each { |id| @told[id] = true } : tell_passed_over
    end

    def stop(status, entirely:)
      @run.stop(status, entirely)
      tell_passed_over
    end

    # What was running will not be reported on by anybody else.
    def interrupt(executor)
      break_off(entirely: false)
      @last = true
      executor.execute(self)
    ensure
      break_off(entirely: true) if @run.ended < @dag.size
    end

    def break_off(entirely:)
      @observers.in_order do
        @run.stop(:cancelled, entirely) # First, so that dependents of what was running count as interrupted, too.
        @run.running.each { |id| @run.report(id, :cancelled, :interrupted) }
        @run.take_passed_over
        finished(@dag.size.times.select { |id| ended?(id) }) # Those, too, of whom a hook that was interrupted kept others from hearing.
      end
    end

    # Whatever interrupts that, all is recorded and told.
    def finish
      Thread.handle_interrupt(Interruption::NEVER) do
        @error ||= TimeoutError.new(nil, limit: @timeout, scope: :run) if @run.status == :timed_out && @run.failures.empty?
        close_sources(@mappings.keys)
        @result = ended
        @recording.finish(@result) unless StoreError === $! # It would fail again.
        Interruption.spare { Interruption.waiting { @observers.tell(:run_finished, nil, @result) } }
      end
    end

    def ended
      Result.new(dag: @dag, run: @run, context: @context, outputs: @outputs, errors: @errors, error: @error, warnings: @warnings)
    end
  end
end

require_relative "runner/attempts"
require_relative "runner/items"
require_relative "runner/sparing"
require_relative "runner/waiting"
