# frozen_string_literal: true

module Flowline
  module Execution
    # The state of one run, and every way in which it changes: in the core, in the outputs and errors, in what is recorded,
    # and in what observers are notified of, in this order. It is called in the thread of the {Coordinator} alone.
    #
    # Every method may be interrupted by an exception from outside. Notifications that were cut short are made when the run is
    # closed; none is made twice.
    # @api private
    class State
      # @return [Native::Run]
      attr_reader :run
      # @return [Array<String>]
      attr_reader :warnings
      # The error of the run itself.
      # @return [Error, nil]
      attr_accessor :error

      # @param environment [Environment]
      # @param recording [Recording]
      # @param notifier [Events::Notifier]
      def initialize(environment, recording, notifier)
        @environment = environment
        @dag = environment.dag
        @run = environment.run
        @outputs = environment.outputs
        @context = environment.context
        @warnings = environment.warnings
        @recording = recording
        @notifier = notifier
        @errors = {}
        @tallies = {}
        @interrupted = {}
        @expense = Recording::Expense.new if recording.stored?
      end

      # @return [Boolean] whether the step has ended
      def ended?(id) = @run.ended?(id)

      # @return [Hash{Integer => Items::Tally}] by step with +each:+ that has begun
      attr_reader :tallies

      # @return [Boolean] whether every step has ended
      def over? = @run.ended == @dag.size

      # @return [Array<Symbol>] the names of the steps that have started and not ended
      def running
        @run.running.map { |id| @dag.steps[id].name }
      end

      # The step's callable is about to be called.
      # @return [void]
      # @raise [HookError] a before_step hook raised
      def start(id)
        return if (@started ||= {})[id]

        @started[id] = true
        @notifier.notify(:step_started, @dag.steps[id])
      end

      # The step is called for each of its items.
      # @param tally [Items::Tally] what becomes of them
      # @return [void]
      def count(id, tally)
        @tallies[id] = tally
      end

      # Records the output of a step whose callable returned.
      # @param ended [Float, nil] when, in seconds from the start of the run; nil: now
      # @param report [Hash{Symbol => Numeric}, nil] the numbers that its last attempt has reported
      # @return [void]
      # @raise [StoreError]
      def record(id, output, ended = nil, report = nil)
        return if ended?(id)

        @outputs[id] = output # Its record has a token of it.
        return unless @recording.stored?

        _, _, attempts, started, duration = @run.step(id)
        duration = ended - started if ended
        began = @run.elapsed
        facts = [attempts + 1, started, duration, @tallies[id], report || @environment.reports[id]]
        size = @recording.complete(id, @dag.steps[id], facts, output)
        @expense.note(@dag.steps[id], duration, @run.elapsed - began, size)
      end

      # The callable of a step was called at that time, in seconds from the start of the run.
      # @return [void]
      def called_at(id, began)
        @run.begin(id, began) unless ended?(id)
      end

      # The step's callable returned, and its output is {#record}ed.
      # @return [void]
      def succeed(id, ended = nil)
        report(id, :succeeded, nil, ended)
      end

      # The step need not be called: its output is there.
      # @param outcome [Symbol] +:cached+ or +:restored+
      # @return [void]
      def reuse(id, output, outcome)
        @outputs[id] = output
        report(id, outcome)
      end

      # Ends steps before any step is called, because a cache has their outputs.
      # @param outputs [Hash{Integer => Object}] by step
      # @return [void]
      def recall(outputs)
        outputs.each { |id, output| @outputs[id] = output }
        @run.preset([], outputs.keys, [])
        return if @notifier.empty?

        ended = result
        outputs.each do |id, output|
          next unless @run.step(id).first == :cached # The run may have been stopped just now.

          @environment.details&.hit(id)
          @notifier.notify_recalled(id, output) { ended.at(id) }
        end
        drain_ended
      end

      # @return [void]
      # @raise [HookError] a +before_+ hook raised
      def notify(name, step = nil, result = nil, &monitor)
        @notifier.notify(name, step, result, &monitor)
      end

      # @return [void]
      def skip(id)
        report(id, :skipped, :condition)
      end

      # @param error [StepError]
      # @param outcome [Symbol] +:failed+ or +:timed_out+
      # @return [void]
      def fail(id, error, outcome, ended = nil)
        return if ended?(id)

        @errors[id] = error
        warn_of_optional([id])
        report(id, outcome, nil, ended)
      end

      # The callables of these steps have been called, and will not return: their attempts count, if the steps are cancelled.
      # @param ids [Array<Integer>]
      # @return [void]
      def interrupted(ids)
        ids.each { |id| @interrupted[id] = true }
      end

      # The step was interrupted.
      # @return [void]
      def cancel(id)
        report(id, :cancelled, :interrupted)
      end

      # Steps did not stop when they were interrupted.
      # @param ids [Array<Integer>]
      # @param called [Integer] how many attempts of them were being called
      # @return [void]
      def abandon(ids, called)
        interrupted(ids) if called == ids.size
        ids.each { |id| cancel(id) }
        warn(["#{called == 1 ? "a step" : "#{called} steps"} did not stop, and may still run"]) if called.positive?
      end

      # The step was not called, because the run was stopped.
      # @return [void]
      def withdraw(id)
        @run.withdraw(id) unless ended?(id)
        notify_reported(id)
      end

      # The step is called again later. If the run is stopped before that, the step has failed with the error.
      # @param error [StepError]
      # @param again [Event::Retry]
      # @return [void]
      def retry(id, error, again)
        return if ended?(id)

        @errors[id] = error # First: the run may be stopped at any time.
        @run.retry(id, again.wait) ? @notifier.notify(:step_retried, @dag.steps[id], again) : notify_reported(id)
      end

      # Notes what an attempt of the step has to say besides how it ended.
      # @param outcome [Outcome]
      # @return [void]
      def note(id, outcome)
        warn(outcome.warnings) if outcome.warnings
        @environment.add_report(id, outcome.report) if outcome.report
      end

      # @param sentences [Array<String>] what went wrong without failing anything, said once
      # @return [void]
      def warn(sentences)
        @warnings.concat(sentences - @warnings)
      end

      # Stops the run: nothing more starts, except steps that always run unless +entirely+.
      # @return [void]
      def stop(status, entirely: false)
        @run.stop(status, entirely)
        drain_ended
      end

      # Notifies of the steps that ended without a report of theirs.
      # @return [void]
      def drain_ended
        ids = @run.drain_ended
        ids.sort.each { |id| notify_ended(id) } unless ids.empty?
      end

      # Cancels whatever has not ended, without a word to observers.
      # @return [void]
      def cancel_rest
        @run.stop(:cancelled, true)
        @run.running.each { |id| @run.report(id, :cancelled, :interrupted) }
      end

      # Ends whatever has not ended, and notifies of everything of which an interrupted notification has not.
      # @return [void]
      def close
        cancel_rest unless over?
        warn_of_optional(@errors.keys) unless @errors.empty?
        return if @notifier.empty?

        @run.drain_ended
        notify_missing
      end

      # Marks the steps that were restored before the run began as notified, because only the recording needs them.
      # @return [void]
      def pass_over_ended
        @run.drain_ended.each { |id| @notifier.pass_over(id) }
      end

      # @return [StepError] of an attempt that failed
      def step_error(id, error)
        step = @dag.steps[id]
        StepError.new(step.name, error, detail: @context.mask(Error.words(error)), hint: @environment.hint(id, error), **facts(id))
      end

      # @param limit [Hash] as {TimeoutError} takes it
      # @return [TimeoutError]
      def timeout_error(id, limit)
        TimeoutError.new(@dag.steps[id].name, **limit, **facts(id))
      end

      # @return [Boolean] whether the run's time was up, and no error of a step says so
      def limit_unreported?
        @run.status == :timed_out && @run.failures.none? { |id| TimeoutError === @errors[id] && @errors[id].scope == :run }
      end

      # Warns of the output that took longest to record, if that was too long.
      # @return [void]
      def warn_of_expense
        expense = @expense&.warning and warn([expense])
      end

      # @return [Result] which reads the run whenever it is asked
      def result
        @live ||= Result::Live.new(@environment, @errors, @tallies, @interrupted)
        Result.new(@live, error, @warnings, @environment.resumption)
      end

      private

      def facts(id)
        { attempts: @run.step(id)[2] + 1, inputs: @environment.describe_inputs(id) }
      end

      def report(id, outcome, reason = nil, ended = nil)
        unless ended?(id)
          @run.report(id, outcome, reason, ended)
          @errors.delete(id) unless @errors.empty? || outcome == :failed || outcome == :timed_out # Of an earlier attempt.
        end
        notify_reported(id)
      end

      # Warns of failures of optional steps. Some of them waited for a retry when the run was stopped.
      def warn_of_optional(ids)
        warn(ids.filter_map { |id| "optional #{@errors[id].message}" if @dag.steps[id].optional? })
      end

      def notify_reported(id)
        return if @notifier.empty?

        notify_ended(id)
        drain_ended
      end

      def notify_ended(id)
        return if @notifier.empty? || @notifier.notified?(id) || !ended?(id)

        @environment.details&.ended(id, @run.step(id).first, @tallies[id])
        @context.lines&.drop_last(id) unless @errors.key?(id)
        @so_far ||= result
        @notifier.notify_end(id) { @so_far.at(id) }
      end

      # An exception in one notification keeps none of the others from being made.
      def notify_missing(id = 0)
        return if @notifier.empty?

        id += 1 while id < @dag.size && @notifier.notified?(id)
        return if id >= @dag.size

        begin
          notify_ended(id)
        ensure
          notify_missing(id + 1)
        end
      end
    end
  end
end
