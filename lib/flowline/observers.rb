# frozen_string_literal: true

module Flowline
  # Those who are told of a run's events, in this order. One event is told at a time, whoever performs the steps.
  # @api private
  class Observers
    # @param list [Array<#call>]
    # @param context [Context]
    # @param steps [Array<Step>]
    # @param warnings [Array<String>] where failures of reporters go
    def initialize(list, context, steps, warnings)
      @list = list
      @context = context
      @steps = steps
      @warnings = warnings
      @guard = Monitor.new unless list.empty?
    end

    # @return [Boolean]
    def empty?
      @list.empty?
    end

    # Nothing is told meanwhile, by anybody else: what is told within is in the order in which it happened.
    def in_order(&block)
      @guard ? @guard.synchronize(&block) : yield
    end

    # The same, unless somebody is being told something: then nothing.
    def if_free
      return unless @guard&.try_enter

      begin
        yield
      ensure
        @guard.exit
      end
    end

    # @param name [Symbol]
    # @param step [Step, nil]
    # @param result [Object, nil]
    # @return [void]
    # @raise [HookError, StoreError] after everybody was told
    def tell(name, step = nil, result = nil)
      return if @list.empty?

      refusals = []
      in_order { tell_each(@list, Event.new(name, @context, @steps, step, result), refusals) } # No event has an earlier time than the last.
      raise refusals.first if refusals.any?
    end

    private

    # One that is interrupted keeps none of the others from hearing.
    def tell_each(observers, event, refusals)
      observer, *others = observers
      # A worker puts off whatever would stop it, but where an observer waits, all would wait with it.
      Interruption.worker? ? Interruption.waiting { observer.call(event) } : observer.call(event)
    rescue HookError, StoreError => e
      refusals << e
    rescue StandardError => e
      leave_out(observer, e)
    ensure
      tell_each(others, event, refusals) unless others.empty?
    end

    def leave_out(observer, error)
      @list = @list.reject { |other| other.equal?(observer) }
      @warnings << "reporter #{TypeHints.kind(observer)} failed and was left out: #{TypeHints.kind(error)}: #{@context.mask(Error.words(error))}"
    end
  end
end
