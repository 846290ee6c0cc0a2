# frozen_string_literal: true

require_relative "executor/sequential"

module Flowline
  # Executors decide where the callables of a run are called; they never decide what starts next. An executor is an object
  # whose +open_pool(inbox, section)+ builds the {Pool} of a run.
  module Executor
    autoload :BorrowedSection, "#{__dir__}/executor/borrowed_section"
    autoload :Isolate, "#{__dir__}/executor/isolate"
    autoload :Isolation, "#{__dir__}/executor/isolation"
    autoload :Timer, "#{__dir__}/executor/timer"
    autoload :Threads, "#{__dir__}/executor/threads"
    autoload :Forks, "#{__dir__}/executor/forks"
    autoload :Parallel, "#{__dir__}/executor/parallel"
    autoload :Process, "#{__dir__}/executor/process"

    # Seconds between the interruption of a step and the moment it is abandoned, or killed if it is a process.
    GRACE = 2.0

    # The executors that take a number of steps at a time, by the option for it.
    COUNTS = { max_threads: :parallel, max_processes: :process }.freeze
    # The names of Flowline's own executors, by class.
    OWN = %i[sequential parallel process].to_h { |name| ["Flowline::Executor::#{name.capitalize}", name] }.freeze
    private_constant :COUNTS, :OWN

    @known = {}

    class << self
      # Registers an executor under a name.
      # @param name [Symbol]
      # @param executor [Class, #open_pool, nil] a class whose objects are executors, or an executor; or give a block
      # @yield [options] makes an executor for a run
      # @yieldparam options [Hash] +max_threads:+ and +max_processes:+ of the run
      # @return [Symbol] the name
      # @raise [ArgumentError] it is no executor
      # @example
      #   Flowline::Executor.register(:careful) { Flowline::Executor::Parallel.new(max_threads: 2) }
      def register(name, executor = nil, &maker)
        maker ||= ->(_) { executor.is_a?(Class) ? executor.new : executor }
        usable = executor.nil? || executor.respond_to?(:open_pool) || (executor.is_a?(Class) && executor.method_defined?(:open_pool))
        raise ArgumentError, "register: #{executor.inspect} has no `open_pool`" unless usable

        @known[name.to_sym] = maker
        name.to_sym
      end

      # @return [Array<Symbol>] the names that +executor:+ takes
      def names
        @known.keys
      end

      # @return [Boolean] whether {resolve} knows it
      # @api private
      def known?(given)
        given.nil? || !maker(given).nil?
      end

      # @param given [Symbol, String, Class, #open_pool, nil]
      # @param options [Hash] +max_threads:+ and +max_processes:+
      # @return [#open_pool]
      # @raise [ParamError] there is no such executor
      # @api private
      def resolve(given, options = {})
        name = given.nil? ? Flowline.config.executor : given
        maker = maker(name)
        return maker.call(options.empty? ? options : options.slice(:max_threads, :max_processes)) if maker

        suggestion = Name.suggest(name, names, known: "give an object with `open_pool`, or one of")
        raise ParamError, ["#{given.nil? ? Flowline.config.executor_origin : "run"}: unknown executor #{name.inspect}#{suggestion}"]
      end

      # @return [Integer, nil] the number, if it is one of workers
      # @raise [ArgumentError] it is not
      # @api private
      def workers(name, count)
        return count if count.nil? || (count.is_a?(Integer) && count.positive?)

        raise ArgumentError, "#{name}: must be a whole number from 1 up, not #{count.inspect}"
      end

      # Callers that give both numbers mean any executor.
      # @param executor [#open_pool]
      # @param options [Hash] of a run
      # @return [String, nil] a warning of the option that the executor does not take
      # @api private
      def ineffective(executor, options)
        idle = COUNTS.reject { |option, _| options[option].nil? }
        return unless idle.one? && (own = OWN[executor.class.name]) && !idle.value?(own)

        option, name = idle.first
        "#{option}: #{options[option]} has no effect: it is for executor: :#{name}, and this run has :#{own}"
      end

      private

      def maker(given)
        return @known[given.to_sym] if given.is_a?(Symbol) || given.is_a?(String)
        return ->(_) { given } if given.respond_to?(:open_pool)

        ->(_) { given.new } if given.is_a?(Class) && given.method_defined?(:open_pool)
      end
    end

    register(:sequential) { SEQUENTIAL }
    register(:parallel) { |options| Parallel.new(max_threads: options[:max_threads] || Flowline.config.max_threads) }
    register(:process) { |options| Process.new(max_processes: options[:max_processes]) }
  end
end
