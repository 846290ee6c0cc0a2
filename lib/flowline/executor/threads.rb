# frozen_string_literal: true

require_relative "pool"

module Flowline
  module Executor
    # Calls attempts in threads of its own, which are started as they are needed.
    #
    #     submit ──> jobs (a Queue) ──> work ── call ── perform_in ── Section( attempt ) ──> outcome ──> inbox
    #                                     ▲                                                    │
    #                                     └────────────────────────────────────────────────────┘
    #
    # A worker defers whatever would stop it, except while it calls an attempt, so that each attempt that it takes leads to
    # exactly one message. An attempt that ignores its time limit is abandoned: its thread is killed, whenever that succeeds,
    # and another one takes its place. Whether an attempt ends or is abandoned is decided under the lock: by the worker that
    # clears +attempt+, or by {#abandon}, which marks the worker.
    #
    # After an outcome that stops the run a worker withdraws what is queued, before the coordinator learns of that outcome. So
    # nothing of it is called in between.
    #
    # It must never happen that an attempt leads to no message or to two, that a worker waits for a job after {#shutdown}, or that a
    # thread is started which nobody joins. A step may fork, and return in the child: the child has no run, and ends.
    # @api private
    class Threads < Pool
      OPEN = { Object => :immediate }.freeze
      NOTHING = [].freeze
      private_constant :OPEN, :NOTHING

      # @return [Integer]
      attr_reader :capacity

      # @param inbox [#<<]
      # @param capacity [Integer] how many threads at most
      def initialize(inbox, capacity)
        super(inbox)
        @capacity = capacity
        @jobs = Queue.new
        @workers = []
        @lock = Mutex.new
        @started = 0
        @pid = ::Process.pid
      end

      # @return [Array<#call>]
      def entries
        Integrations.around
      end

      # @param steps [Array<Step>]
      # @return [String, nil]
      def shortage(steps)
        Integrations::ActiveRecordConnections.shortage(steps.any?(&:each) ? capacity : [capacity, steps.size].min)
      end

      # @return [Boolean]
      def queues?
        true
      end

      # @return [Boolean]
      def abandons?
        true
      end

      # @param attempt [Execution::Attempt]
      # @return [Execution::Outcome, nil]
      def submit(attempt)
        @lock.synchronize { start_worker } if @jobs.num_waiting <= @jobs.size && @workers.size < capacity
        @jobs << attempt
        nil
      rescue ThreadError # There are no threads to be had, for example because the program is ending.
        perform(attempt) unless @lock.synchronize { @jobs << attempt if @workers.any? }
      end

      # @param attempt [Execution::Attempt]
      # @param outcome [Execution::Outcome, nil]
      # @return [Boolean]
      def abandon(attempt, outcome = nil)
        worker = @lock.synchronize { replace(attempt) } or return false
        Cache.give_up(worker.thread)
        @inbox << outcome if outcome
        worker.thread.kill
        true
      end

      # @return [void]
      def shutdown
        @jobs.close # At once for all workers, whatever interrupts the rest.
        @lock.synchronize { @workers.dup }.each { |worker| worker.thread.join }
      end

      private

      # A thread, where the user's code is in it, the attempt that it calls, and whether it was abandoned.
      Worker = Struct.new(:thread, :section, :attempt, :abandoned)
      private_constant :Worker

      # It is known as soon as its thread is there: an exception in between would leave a thread that waits for ever.
      def start_worker
        Thread.handle_interrupt(Section::NEVER) do
          worker = Worker.new(nil, Section.new(OPEN))
          worker.thread = Thread.new { work(worker) }
          @workers << worker
          worker.thread.name = "flowline worker #{@started += 1}"
          worker.thread.report_on_exception = false
        end
      end

      # @return [Worker, nil] the one that called the attempt
      def replace(attempt)
        worker = @workers.find { |candidate| attempt.equal?(candidate.attempt) } or return
        worker.abandoned = true
        @workers.delete(worker)
        start_worker unless @jobs.empty?
        worker
      end

      def work(worker)
        while !worker.abandoned && (attempt = @jobs.pop)
          return give_back(worker, attempt) if Thread.pending_interrupt?

          @lock.synchronize { worker.attempt = attempt }
          call(worker, attempt)
        end
      ensure
        leave(worker)
      end

      # Returns an attempt that would be struck by what came while none was called, such as the end of the program, which ends all
      # threads. The coordinator submits it again: to another worker, or, if there are no threads to be had, to its own thread.
      def give_back(worker, attempt)
        leave(worker)
        @inbox << attempt.outcome(:withdrawn)
      end

      # Whether the attempt was abandoned is decided under the lock.
      def call(worker, attempt)
        outcome = perform_in(worker.section, attempt)
        returned = true
      ensure
        leave_child(outcome) unless ::Process.pid == @pid
        outcome = attempt.outcome(:died) unless returned
        @lock.synchronize { worker.attempt = nil }
        unless outcome.nil? || worker.abandoned
          rest = attempt.stops_run?(outcome) ? take_back : NOTHING
          @inbox << outcome
          rest.each { |other| @inbox << other.outcome(:withdrawn) }
        end
      end

      # Takes back the attempts that were handed over ahead, so that the coordinator learns of a failure first.
      # @return [Array<Execution::Attempt>]
      def take_back
        rest = []
        rest << @jobs.pop(true) until @jobs.empty?
        rest
      rescue ThreadError # Another worker was quicker.
        rest
      end

      # The last worker gives back what is queued, because no other one takes it.
      def leave(worker)
        return unless ::Process.pid == @pid

        rest = @lock.synchronize { @workers.delete(worker) && @workers.empty? ? take_back : NOTHING }
        rest.each { |other| @inbox << other.outcome(:withdrawn) }
      end

      # A step has forked, and its child returned from it: the run is its parent's.
      def leave_child(outcome)
        raise outcome&.fatal || outcome&.error || Error.new("a forked child returned from its step; end it with exit! or a block of fork")
      end
    end
  end
end
