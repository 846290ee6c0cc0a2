# frozen_string_literal: true

require_relative "pool"

module Flowline
  module Executor
    # Calls attempts in threads of its own, which are started as they are needed.
    #
    # A worker defers whatever would stop it, except while it calls an attempt, so that each attempt that it takes leads to
    # exactly one message. An attempt that ignores its time limit is abandoned: its thread is killed, whenever that succeeds,
    # and another one takes its place.
    # @api private
    class Threads < Pool
      OPEN = { Object => :immediate }.freeze
      private_constant :OPEN

      # @return [Integer]
      attr_reader :capacity

      # Calls the block as threads that are not the application's own should call its code.
      # @return [Object] what the block returns
      def self.wrap(&block)
        around.reduce(block) { |inner, entry| -> { entry.call(nil, &inner) } }.call
      end

      # @return [Array<#call>] the integrations that wrap what a thread calls
      def self.around
        [Integrations::RailsExecutor, Integrations::ActiveRecordConnections].select(&:there?)
      end

      # @param inbox [#<<]
      # @param capacity [Integer] how many threads at most
      def initialize(inbox, capacity)
        super(inbox)
        @capacity = capacity
        @jobs = Queue.new
        @workers = {}.compare_by_identity # By thread, the attempt that it calls.
        @lock = Mutex.new
        @open = @started = 0
        @pid = ::Process.pid
      end

      # @return [Array<#call>]
      def entries
        Threads.around
      end

      # @return [Boolean]
      def abandons?
        true
      end

      # @param attempt [Execution::Attempt]
      # @return [Execution::Outcome, nil]
      def submit(attempt)
        @lock.synchronize do
          start_worker if @open >= @workers.size && @workers.size < capacity
          @open += 1
        end
        @jobs << attempt
        nil
      rescue ThreadError # There are no threads to be had, for example because the program is ending.
        raise unless @workers.empty?

        perform(attempt)
      end

      # @param attempt [Execution::Attempt]
      # @param limit [Hash, nil]
      # @return [void]
      def abandon(attempt, limit = nil)
        thread = @lock.synchronize { replace(attempt) } or return
        Cache.give_up(thread)
        @inbox << attempt.abandoned(limit) if limit
        thread.kill
      end

      # @return [void]
      def shutdown
        threads = @lock.synchronize { @workers.keys }
        threads.size.times { @jobs << nil }
        threads.each(&:join)
      end

      private

      def start_worker
        thread = Thread.handle_interrupt(Section::NEVER) { Thread.new { @lock.synchronize { nil } || work } }
        @workers[thread] = nil
        thread.name = "flowline worker #{@started += 1}"
        thread.report_on_exception = false
      end

      # @return [Thread, nil] the one that called the attempt
      def replace(attempt)
        thread = @workers.key(attempt) or return
        @workers.delete(thread)
        @open -= 1
        start_worker unless @jobs.empty?
        thread
      end

      def work
        section = Section.new
        while @workers.key?(Thread.current) && (attempt = @jobs.pop)
          @lock.synchronize { @workers[Thread.current] = attempt }
          call(attempt, section)
        end
      ensure
        @lock.synchronize { @workers.delete(Thread.current) } if own_process?
      end

      def call(attempt, section)
        outcome = Thread.handle_interrupt(OPEN) { perform(attempt, section) }
        returned = true
      ensure
        leave_child(outcome) unless own_process?
        outcome = attempt.outcome(:died) unless returned
        @inbox << outcome if free? && outcome
      end

      # @return [Boolean] whether this thread is still one of the workers, which is free now
      def free?
        @lock.synchronize do
          next false unless @workers.key?(Thread.current)

          @workers[Thread.current] = nil
          @open -= 1
          true
        end
      end

      def own_process?
        ::Process.pid == @pid
      end

      # A step has forked, and its child returned from it: the run is its parent's.
      def leave_child(outcome)
        raise outcome&.fatal || outcome&.error || Error.new("a forked child returned from its step; end it with exit! or a block of fork")
      end
    end
  end
end
