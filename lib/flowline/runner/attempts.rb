# frozen_string_literal: true

module Flowline
  # What a runner does with one step: whether it is called, its attempts, and what becomes of them.
  class Runner
    private

    def perform_observed(id, place)
      mapping = @mappings[id]
      return perform_item(id, mapping, place) if mapping

      close_sources(@mappings.keys.select { |other| ended?(other) }) if @run.stopped?
      again = @run.step(id)[2].positive?
      return self.next if !again && spared?(id)
      return start_items(id) if @dag.steps[id].each

      @caching.with(id, @outputs, @context) do |found, output, keep|
        next end_with(id, output, :cached) && self.next if found

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
      outcome = @limits.call(step.options, place, overdue) { @calls[id].call(@outputs, @context) } or return
      output, error, limit = outcome
      return out_of_time(id, step, limit) if limit
      return failed_attempt(id, step, error) if error

      complete(id, step, output, &keep)
      self.next
    end

    def complete(id, step, output)
      @hints&.check_output(step, output)
      @outputs[id] = output
      yield output if block_given?
      _, _, attempts, *times = @run.step(id)
      @recording.complete(id, step, [attempts + 1, *times], output) if @recording.stored?
      settle(id, :succeeded)
    end

    def out_of_time(id, step, limit)
      @run.stop(:timed_out, false) if limit[:scope] == :run
      failed_attempt(id, step, TimeoutError.new(step.name, **limit, **facts(id, step)), :timed_out)
    end

    # Its thread goes on with it; nobody waits for that.
    def give_up(id, step, limit)
      @warnings << given_up(id)
      @run.stop(:timed_out, false) if limit[:scope] == :run
      failed(id, TimeoutError.new(step.name, **limit, **facts(id, step)), :timed_out)
      pass_on(self.next)
    end

    def failed_attempt(id, step, error, outcome = :failed)
      attempt = @run.step(id)[2] + 1
      wait = @limits.ask { Retry.wait(step, error, attempt, @warnings) } unless outcome == :timed_out && error.scope == :run
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

    def given_up(id, item = nil)
      "#{"item #{item.position} of " if item}step #{Name.show(@dag.steps[id].name)} did not stop when its time was up, and may still run"
    end

    def failed(id, error, outcome = :failed)
      end_badly(id, outcome == :timed_out ? error : step_error(id, error), outcome)
    end

    def step_error(id, error)
      step = @dag.steps[id]
      StepError.new(step.name, error, detail: @context.mask(Error.words(error)), **facts(id, step))
    end

    def end_badly(id, error, outcome)
      @errors[id] = error
      @warnings << "optional #{error.message}" if @dag.steps[id].optional?
      settle(id, outcome)
    end

    # What errors tell of an attempt.
    def facts(id, step)
      { attempts: @run.step(id)[2] + 1, inputs: inputs(step).transform_values { |value| TypeHints.describe(value) } }
    end

    def inputs(step)
      step.labels.zip(step.depends_on).to_h { |label, name| [label, @dag.output(name, @outputs)] }
    end
  end
end
