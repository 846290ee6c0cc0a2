# frozen_string_literal: true

require_relative "executor/sequential"

module Flowline
  # Where callables run; what runs next is never an executor's decision. It is an object with +execute(runner)+,
  # which takes +runner.next+ and, until that is +nil+, calls +runner.perform(step)+ for an Integer and
  # +runner.wait(seconds)+ for a Float; all three return what is next. It may do so in several threads at once.
  #
  # +perform+ takes a second argument, the place where the callable is called: +place.call(callable)+ returns what
  # that returns. If it has +replace(thread) { … }+, too, steps that don't end when their time is up don't hold up
  # the run: it gives that thread up, and starts another, which calls the block and goes on with what it returns.
  #
  # An executor with +workers+ says so how many steps it runs at a time, and so how many items of a step; without it,
  # as many items as the step's +concurrency:+, or one.
  module Executor
    autoload :Crew, "#{__dir__}/executor/crew"
    autoload :Parallel, "#{__dir__}/executor/parallel"
    autoload :Process, "#{__dir__}/executor/process"

    # Seconds from the time a step is told to stop to the time it is given up, or killed if it is a process.
    GRACE = 2.0

    @known = {}

    class << self
      # Makes an executor known by a name.
      # @param name [Symbol]
      # @param executor [Class, #execute, nil] a class whose objects are executors, or an executor; or give a block
      # @yield [options] makes an executor for a run
      # @yieldparam options [Hash] +max_threads:+ and +max_processes:+ of the run
      # @return [Symbol] the name
      # @raise [ArgumentError] it is no executor
      # @example
      #   Flowline::Executor.register(:careful) { Flowline::Executor::Parallel.new(max_threads: 2) }
      def register(name, executor = nil, &maker)
        maker ||= ->(_) { executor.is_a?(Class) ? executor.new : executor }
        usable = executor.nil? || executor.respond_to?(:execute) || (executor.is_a?(Class) && executor.method_defined?(:execute))
        raise ArgumentError, "register: #{executor.inspect} has no `execute`" unless usable

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

      # @param given [Symbol, String, Class, #execute, nil]
      # @param options [Hash] +max_threads:+ and +max_processes:+
      # @return [#execute]
      # @raise [ParamError] there is no such executor
      # @api private
      def resolve(given, options = {})
        name = given.nil? ? Flowline.config.executor : given
        maker = maker(name)
        return maker.call(options.slice(:max_threads, :max_processes)) if maker

        suggestion = Name.suggest(name, names, known: "give an object with `execute`, or one of")
        raise ParamError, ["run: unknown executor #{name.inspect}#{suggestion}"]
      end

      # @return [Integer, nil] the number, if it is one of workers
      # @raise [ArgumentError] it is not
      # @api private
      def workers(name, count)
        return count if count.nil? || (count.is_a?(Integer) && count.positive?)

        raise ArgumentError, "#{name}: must be a whole number from 1 up, not #{count.inspect}"
      end

      # Calls the block as Rails wants it in threads of others, if it is there.
      # @return [Object] what the block returns
      # @api private
      def within_rails(&block)
        # Not `defined?(::Rails.application)`: that swallows what is raised meanwhile from outside.
        rails = ::Rails.application if defined?(::Rails) && ::Rails.respond_to?(:application)
        rails ? rails.executor.wrap(&block) : yield
      end

      # Gives back what a thread of ours that ends has of its own, and others may need.
      # @return [void]
      # @api private
      def release
        ::ActiveRecord::Base.connection_handler.clear_active_connections! if defined?(::ActiveRecord::Base)
      end

      private

      def maker(given)
        return @known[given.to_sym] if given.is_a?(Symbol) || given.is_a?(String)
        return ->(_) { given } if given.respond_to?(:execute)

        ->(_) { given.new } if given.is_a?(Class) && given.method_defined?(:execute)
      end
    end

    register(:sequential) { SEQUENTIAL }
    register(:parallel) { |options| Parallel.new(max_threads: options[:max_threads]) }
    register(:process) { |options| Process.new(max_processes: options[:max_processes]) }
  end
end
