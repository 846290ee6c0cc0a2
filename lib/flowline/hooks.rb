# frozen_string_literal: true

module Flowline
  # The hooks of one run: the first reader of its events.
  # @api private
  class Hooks
    # The words that declare hooks, in the order in which a run comes to them.
    NAMES = %i[
      before_run before_step on_step_success on_step_failure on_step_skip after_step on_success on_failure after_run
    ].freeze

    # @param declared [Hash{Symbol => Array<#call>}]
    # @param context [Context]
    # @param warnings [Array<String>] where exceptions of hooks go that must not fail anything
    def initialize(declared, context, warnings)
      @declared = declared
      @context = context
      @warnings = warnings
    end

    # @param event [Event]
    # @raise [HookError] a +before_+ hook raised
    def call(event)
      case event.name
      when :run_started then before(:before_run, @context)
      when :step_started then before(:before_step, event.step, @context)
      when :step_finished then step_finished(event.step, event.result)
      when :run_finished then run_finished(event.result)
      end
    end

    private

    def step_finished(step, result)
      case result.status
      when :succeeded then after(:on_step_success, step, result)
      when :failed, :timed_out then after(:on_step_failure, step, result.error)
      else return after(:on_step_skip, step, result.reason)
      end
      after(:after_step, step, result)
    end

    def run_finished(result)
      result.success? ? after(:on_success, result, @context) : after(:on_failure, result.error, @context)
      after(:after_run, result, @context)
    end

    def before(name, *facts)
      call_each(name, facts) { |error| raise HookError.new(name, error) }
    end

    def after(name, *facts)
      call_each(name, facts) { |error| @warnings << "hook #{name} failed: #{error.class}: #{error.message} (#{error.backtrace&.first})" }
    end

    def call_each(name, facts)
      @declared[name]&.each do |hook|
        hook.call(*facts.first(takes(hook)))
      rescue StandardError => e
        yield e
      end
    end

    # How many positionals it takes: hooks get as many arguments as they declare.
    def takes(hook)
      kinds = Signature.of(hook).parameters.map(&:first)
      kinds.include?(:rest) ? 3 : kinds.count { |kind| %i[req opt].include?(kind) }
    end
  end
end
