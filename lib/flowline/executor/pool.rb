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
    #
    # *The methods of an attempt that a pool may call.* There are five, and a pool calls no others, so that a batch of quick
    # steps can take the place of an attempt. {#perform} and {#deliver} call them, and suffice for most pools.
    #
    # - +token+: the number by which the attempt, its outcome and its interruption are known.
    # - +always?+: whether it belongs to a step that runs even after the run was stopped.
    # - +call(pool)+: calls it in this thread, and returns its outcome: an {Execution::Outcome} with its token, or +nil+ if the
    #   pool has abandoned it meanwhile. It raises what the user's code raises, if that is no StandardError. +pool+ is needed
    #   to {#abandon} an attempt that ignores its time limit, and may be left out.
    # - +outcome(status, error:, fatal:)+: returns the outcome of an attempt whose +call+ has not returned one: +:interrupted+,
    #   +:died+ with its thread, +:failed+ with an error, or +:withdrawn+ if it is not called at all. +fatal+ is an exception
    #   that ends the run.
    # - +stops_run?(outcome)+: whether a pool that has taken further attempts has to withdraw them.
    #
    # *The outcome.* Each attempt that was submitted leads to one outcome: what {#submit} returns, or a message in the inbox.
    # The coordinator drops outcomes of attempts that it has abandoned.
    class Pool
      NOTHING = [].freeze
      private_constant :NOTHING

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
        NOTHING
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

      # Gives up an attempt that does not end. Its own outcome is dropped.
      # @param attempt [Execution::Attempt]
      # @param outcome [Execution::Outcome, nil] what the inbox gets instead, if the run waits for one
      # @return [Boolean] whether it was being called
      def abandon(attempt, outcome = nil) # rubocop:disable Lint/UnusedMethodArgument -- subclasses use them
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
      rescue Section::Stopped => e
        raise unless section.own?(e)

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
