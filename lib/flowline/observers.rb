# frozen_string_literal: true

module Flowline
  # Those who are told of a run's events, in this order. One event is told at a time, whoever performs the steps.
  # @api private
  class Observers
    # A worker puts off whatever would stop it, but where an observer waits, all would wait with it.
    WAITING = { Object => :on_blocking }.freeze
    private_constant :WAITING

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

      refusal = nil
      in_order do
        event = Event.new(name, @context, @steps, step, result) # Whose time is not before that of the last one.
        @list.each do |observer|
          Thread.current[:flowline_worker] ? Thread.handle_interrupt(WAITING) { observer.call(event) } : observer.call(event)
        rescue HookError, StoreError => e
          refusal ||= e
        rescue StandardError => e
          leave_out(observer, e)
        end
      end
      raise refusal if refusal
    end

    private

    def leave_out(observer, error)
      @list = @list.reject { |other| other.equal?(observer) }
      @warnings << "reporter #{TypeHints.kind(observer)} failed and was left out: #{TypeHints.kind(error)}: #{@context.mask(Error.words(error))}"
    end
  end
end
