# frozen_string_literal: true

module Flowline
  module Events
    # The hooks of one run. They are notified of each event before the reporters.
    # @api private
    class Hooks
      # The names of the hooks, in the order in which a run calls them.
      NAMES = Definition::HOOKS

      # Calls a callable with as many of the arguments as it takes.
      # @api private
      def self.offer(callable, facts)
        kinds = Arguments::Signature.of(callable).parameters.map(&:first)
        callable.call(*facts.first(kinds.include?(:rest) ? 3 : kinds.count { |kind| %i[req opt].include?(kind) }))
      end

      # @param declared [Hash{Symbol => Array<#call>}]
      # @param environment [Execution::Environment] its warnings receive the exceptions of hooks that must not fail a step or
      #   the run
      def initialize(declared, environment)
        @declared = declared
        @context = environment.context
        @warnings = environment.warnings
        @limits = environment.limits
        @called = {}.compare_by_identity
      end

      # @param event [Event]
      # @raise [HookError] if a +before_+ hook raised
      # @raise [Error::TimeUp] if the run's time was up in one
      def call(event)
        case event.name
        when :run_started then before(:before_run, @context)
        when :step_started then step_started(event.step)
        when :step_retried then after(:on_step_retry, event.step, event.result.error, event.result.attempt)
        when :step_finished then step_finished(event.step, event.result)
        when :run_finished then run_finished(event.result)
        end
      end

      private

      def step_started(step)
        before(:before_step, step, @context)
        @called[step] = true
      end

      # Calls the hooks of a finished step. A step that was stopped while it ran has neither succeeded, failed nor been skipped.
      def step_finished(step, result)
        called = @called.delete(step) || %i[succeeded failed timed_out].include?(result.status)
        return after(:on_step_skip, step, result.reason || result.status) unless called

        begin
          case result.status
          when :succeeded then after(:on_step_success, step, result)
          when :failed, :timed_out then after(:on_step_failure, step, result.error)
          end
        ensure
          after(:after_step, step, result)
        end
      end

      def run_finished(result)
        result.success? ? after(:on_success, result, @context) : after(:on_failure, result.error, @context)
      ensure
        after(:after_run, result, @context)
      end

      def before(name, *facts)
        @declared[name]&.each { |hook| @limits.observe(strictly: true) { Hooks.offer(hook, facts) } }
      rescue Error::TimeUp
        raise
      rescue StandardError, ScriptError, SystemStackError => e
        raise HookError.new(name, e, detail: words(e))
      end

      def after(name, *facts)
        call_all(name, @declared[name], facts) if @declared[name]&.any?
      end

      # Calls all hooks, even if one of them is interrupted.
      def call_all(name, hooks, facts)
        hook, *others = hooks
        @limits.observe { Hooks.offer(hook, facts) }
      rescue Error::TimeUp => e
        @warnings << "hook #{name} was interrupted: #{e.message}"
      rescue StandardError, ScriptError, SystemStackError => e
        @warnings << "hook #{name} failed: #{TypeHints.kind(e)}: #{words(e)} (#{Backtrace.location(Backtrace.of(e))})"
      ensure
        call_all(name, others, facts) unless others.empty?
      end

      def words(error)
        @context.mask(Error.words(error))
      end
    end
  end
end
