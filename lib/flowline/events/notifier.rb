# frozen_string_literal: true

module Flowline
  # The events of a run, and the delivery of them to observers.
  # @api private
  module Events
    # The observers of a run: recording, hooks and reporters. Each is notified of every event, in this order, in the thread
    # of the coordinator.
    # @api private
    class Notifier
      # @param observers [Array<#call>]
      # @param environment [Execution::Environment]
      # @param section [Executor::Section, nil] where observers may be interrupted by another thread
      def initialize(observers, environment, section = nil)
        @observers = observers
        @context = environment.context
        @steps = environment.steps
        @warnings = environment.warnings
        @section = section
      end

      # @return [Boolean]
      def empty?
        @observers.empty?
      end

      # @param name [Symbol]
      # @param step [Step, nil]
      # @param result [Object, nil]
      # @return [void]
      # @raise [HookError, StoreError] after all were notified
      def notify(name, step = nil, result = nil)
        return if @observers.empty?

        refusals = []
        notify_each(@observers, Event.new(name, @context, @steps, step, result), refusals)
        raise refusals.first if refusals.any?
      end

      private

      # Notifies all observers, even if one of them is interrupted.
      def notify_each(observers, event, refusals)
        observer, *others = observers
        @section ? @section.call(:user) { observer.call(event) } : observer.call(event)
      rescue HookError, StoreError => e
        refusals << e
      rescue StandardError => e
        leave_out(observer, e)
      ensure
        notify_each(others, event, refusals) unless others.empty?
      end

      def leave_out(observer, error)
        @observers = @observers.reject { |other| other.equal?(observer) }
        @warnings << "reporter #{TypeHints.kind(observer)} failed and was left out: #{TypeHints.kind(error)}: #{@context.mask(Error.words(error))}"
      end
    end
  end
end
