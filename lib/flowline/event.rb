# frozen_string_literal: true

module Flowline
  # Something that happened in a run. Hooks and reporters read the same stream: +run_started+, then
  # +step_started+ and +step_finished+ for each step (a step that is not called only finishes), then
  # +run_finished+.
  class Event
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
    # @return [StepResult, Result, nil] how the step, or the run, ended
    attr_reader :result

    # @api private
    def initialize(name, context, steps, step = nil, result = nil)
      @name = name
      @time = Time.now
      @context = context
      @steps = steps
      @step = step
      @result = result
      freeze
    end
  end
end
