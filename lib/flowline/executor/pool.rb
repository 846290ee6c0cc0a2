# frozen_string_literal: true

require_relative "section"

module Flowline
  module Executor
    # Where the attempts of one run are called. The coordinator of the run gives it attempts, and gets their outcomes in the
    # inbox. Subclasses say where: {Inline} in the coordinator's thread, {Threads} in workers. Yours may do the same:
    #
    #   class ThreadEach
    #     class Pool < Flowline::Executor::Pool
    #       def capacity = 10
    #
    #       def submit(attempt)
    #         Thread.new { deliver(attempt) { perform(attempt) } }
    #         nil
    #       end
    #     end
    #
    #     def open_pool(inbox, _section) = Pool.new(inbox)
    #   end
    #   pipeline.run(executor: ThreadEach.new)
    class Pool
      # @param inbox [#<<] gets the outcome of each attempt
      def initialize(inbox)
        @inbox = inbox
        @calls = {}
      end

      # @return [Integer] how many attempts it takes at a time
      def capacity
        1
      end

      # @return [Boolean] whether {#submit} calls the attempt at once, in the coordinator's thread
      def inline?
        false
      end

      # @return [Boolean] whether it also takes attempts beyond its capacity, and calls them in this order
      def queues?
        false
      end

      # @return [Boolean] whether an attempt that ignores its time limit can be abandoned, so that the run goes on
      def abandons?
        false
      end

      # @return [Boolean] whether every attempt is called in a forked child
      def forks?
        false
      end

      # @return [Array<#call>] the middleware that attempts need in this pool, outside of the application's
      def entries
        []
      end

      # @param _steps [Array<Step>] of the run
      # @return [String, nil] a warning that its workers lack something
      # @api private
      def shortage(_steps); end

      # Has an attempt called.
      # @param attempt [Execution::Attempt]
      # @return [Execution::Outcome, nil] nil: the inbox gets it later
      def submit(attempt)
        raise NotImplementedError, "#{self.class} has no submit(attempt)"
      end

      # Interrupts an attempt, if it is being called.
      # @param attempt [Execution::Attempt]
      # @return [void]
      def interrupt(attempt)
        @calls[attempt.token]&.interrupt(attempt.token)
      end

      # Gives up an attempt that does not end.
      # @param attempt [Execution::Attempt]
      # @param limit [Hash, nil] the time limit that it ignores, if that is why: the inbox gets an outcome that says so
      # @return [Boolean] whether it was being called
      def abandon(attempt, limit = nil) # rubocop:disable Lint/UnusedMethodArgument -- subclasses use them
        true
      end

      # Ends the pool. Nothing is in flight, except what was abandoned.
      # @return [void]
      def shutdown; end

      # Calls an attempt in this thread.
      # @param attempt [Execution::Attempt]
      # @return [Execution::Outcome, nil] nil: it was abandoned meanwhile
      def perform(attempt)
        Thread.handle_interrupt(Section::CLOSED) { perform_in(Section.new, attempt) }
      end

      # Sends the outcome that the block returns to the coordinator, or the news that the thread died in the block.
      # @param attempt [Execution::Attempt]
      # @return [void]
      def deliver(attempt)
        outcome = yield
        returned = true
      ensure
        outcome = attempt.outcome(:died) unless returned
        @inbox << outcome if outcome
      end

      private

      def perform_in(section, attempt)
        @calls[attempt.token] = section
        section.call(attempt.token) { attempt.call(self) }
      rescue Section::Stopped
        attempt.outcome(:interrupted)
      rescue ScriptError, SystemStackError, NoMemoryError => e
        attempt.outcome(:failed, error: e, fatal: e)
      rescue Exception => e # rubocop:disable Lint/RescueException -- the coordinator raises it
        attempt.outcome(:interrupted, fatal: e)
      ensure
        @calls.delete(attempt.token)
      end
    end
  end
end
