# frozen_string_literal: true

module Flowline
  module Execution
    # Attempts of several steps that are handed over at once, because their calls are quicker than a hand-over. They are called
    # one after the other, until one of them fails or the run is stopped. Only steps that are called and nothing else are
    # batched ({Setup#bare?}), so that nothing surrounds their calls.
    #
    # If one of the calls takes long after all, the coordinator takes back the steps that wait for it, so that other workers
    # call them, and applies what has returned. Each queue is changed in single calls of an Array, which Ruby's global lock
    # makes atomic.
    #
    # It can take the place of an {Attempt}: it has the methods that a pool asks for (see {Executor::Pool}), and those that
    # {InFlight} asks for. Its outcome has the status +:batch+, and as output, for each step that returned, the step, its
    # output, and when it was called and returned.
    # @api private
    class Batch
      # So many steps are handed over at once.
      SIZE = 16

      # Seconds after which steps are taken back.
      PATIENCE = 0.005

      # @return [Integer]
      attr_reader :token
      # @return [Integer, nil] the step that is being called, or that raised
      attr_reader :id
      # @return [Float, nil] when that step was called, in seconds from the start of the run
      attr_reader :began
      # @return [Array<Array(Integer, Object, Float, Float)>] the steps that returned and were not applied yet
      attr_reader :done

      # @param environment [Environment]
      # @param token [Integer]
      # @param ids [Array<Integer>]
      def initialize(environment, token, ids)
        @environment = environment
        @token = token
        @queue = ids
        @done = []
      end

      # @return [false] steps that always run are not batched
      def always?
        false
      end

      # @return [Boolean] whether a step of it is being called
      def taken?
        !id.nil?
      end

      # @return [Array<Integer>] the steps that have not returned
      def ids
        [*id, *@queue]
      end

      # @return [Array<Integer>] the steps that were not called, which are now in other hands
      def take_back
        taken = []
        while (id = @queue.pop)
          taken << id
        end
        taken.reverse!
      end

      # Calls the steps.
      # @return [Outcome]
      # @raise [Exception] a step raised something that is not a StandardError
      def call(_pool = nil)
        run = @environment.run
        outputs = @environment.outputs
        calls = @environment.calls
        context = @environment.context
        contextual = @environment.contextual
        while !run.stopped? && !@environment.suspended? && (@id = @queue.shift)
          @began = began = run.elapsed
          output = calls[@id].call(outputs, contextual&.key?(@id) ? context.lend(@environment, @id) : context)
          @done << [@id, output, began, run.elapsed]
        end
        @id = @began = nil
        outcome(:batch)
      rescue StandardError => e
        outcome(:batch, error: e).tap { |failed| @environment.suspend if stops_run?(failed) }
      end

      # @param outcome [Outcome] of it
      # @return [Boolean] whether no other step is to be called until the coordinator has settled it
      def stops_run?(outcome)
        return outcome.status != :batch unless outcome.error

        @environment.stops_at_failures? && !@environment.steps[id].optional?
      end

      # @param status [Symbol]
      # @return [Outcome] with what was called so far
      def outcome(status, error: nil, fatal: nil)
        Outcome.new(token, status, @done, error, nil, nil, nil, nil, fatal)
      end
    end
  end
end
