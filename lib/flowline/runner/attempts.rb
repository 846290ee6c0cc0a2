# frozen_string_literal: true

module Flowline
  # What a runner does with one step: whether it is called, its attempts, and what becomes of them.
  class Runner
    private

    def perform_observed(id, place)
      again = @run.step(id)[2].positive?
      return skip(id) unless again || wanted?(id)

      @caching.with(id, @outputs, @context) do |found, output, keep|
        next reuse(id, output) if found

        @observers.tell(:step_started, @dag.steps[id]) unless again
        attempt(id, place, &keep)
      end
    end

    # Calls the step's callable. A failure of it, and of nothing around it, may be followed by another attempt.
    def attempt(id, place, &keep)
      step = @dag.steps[id]
      @hints&.check_input(step, inputs(step))
      @run.begin(id)
      overdue = ->(thread, limit) { place.replace(thread) { give_up(id, step, limit) } }
      outcome = @limits.call(step, place, overdue) { @calls[id].call(@outputs, @context) } or return
      output, error, limit = outcome
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

    # Its thread goes on with it; nobody waits for that.
    def give_up(id, step, limit)
      @warnings << "step #{Name.show(step.name)} did not stop when its time was up, and may still run"
      @run.stop(:timed_out, false) if limit[:scope] == :run
      failed(id, TimeoutError.new(step.name, **limit, **facts(id, step)), :timed_out)
      pass_on(self.next)
    end

    def failed_attempt(id, step, error, outcome = :failed)
      attempt = @run.step(id)[2] + 1
      wait = Retry.wait(step, error, attempt, @warnings) unless outcome == :timed_out && error.scope == :run
      wait ? try_again(id, step, error, attempt, wait) : failed(id, error, outcome)
      self.next
    end

    def try_again(id, step, error, attempt, wait)
      @observers.in_order do
        @run.retry(id, wait)
        @observers.tell(:step_retried, step, Event::Retry.new(error, attempt, wait))
        finished(ended?(id) ? [id] : [])
      end
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

    def inputs(step)
      step.labels.zip(step.depends_on).to_h { |label, name| [label, output_of(@dag.source(name))] }
    end

    def output_of(source)
      source.is_a?(Hash) ? source.transform_values { |inner| output_of(inner) } : @outputs[source]
    end
  end
end
