# frozen_string_literal: true

module Flowline
  # An event of a run. Hooks and reporters receive the same stream: +run_started+, then
  # +step_started+, +step_retried+ for each retry, and +step_finished+ for each step (a step
  # that is not called has only +step_finished+), then +run_finished+.
  class Event
    # A failed attempt that will be retried: its error, its number, the seconds until the next attempt, and the index and the
    # label of its item, if any.
    Retry = Struct.new(:error, :attempt, :wait, :item, :label)

    # @return [Symbol]
    attr_reader :name
    # @return [Time]
    attr_reader :time
    # @return [Context] of the run
    attr_reader :context
    # @return [Array<Step>] the steps of the run
    attr_reader :steps
    # @return [Step, nil] the step it is about
    attr_reader :step
    # @return [StepResult, Result, Retry, Resumption, nil] how the step, the run or the attempt ended; what the run resumes
    attr_reader :result

    # @return [Resumption, nil] of +run_started+, what the run resumes
    def resumed
      result if Resumption === result
    end

    # @api private
    def initialize(name, context, steps, step = nil, result = nil)
      @name = name
      @time = Time.now
      @context = context
      @steps = steps
      @step = step
      @result = result
      @monitor = yield if block_given?
      freeze
    end

    # @return [Execution::Monitor, nil] at the start of a run, in its process
    # @api private
    attr_reader :monitor

    # Dumps the event as data, with its steps without their callables.
    # @return [Array] what {#marshal_load} takes
    # @api private
    def marshal_dump
      [name, time, context, steps, step, Retry === result ? result.to_h.merge(error: Error::Portable.new(result.error)) : result]
    end

    # @param facts [Array]
    # @return [void]
    # @api private
    def marshal_load(facts)
      @name, @time, @context, @steps, @step, result = facts
      @result = Hash === result ? Retry.new(*result.merge(error: result[:error].exception).values_at(*Retry.members)) : result
      freeze
    end
  end
end
