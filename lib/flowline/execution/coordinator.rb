# frozen_string_literal: true

require_relative "cancellation"
require_relative "ending"
require_relative "environment"
require_relative "inbox"
require_relative "serialising"
require_relative "setup"
require_relative "short_path"
require_relative "state"

module Flowline
  module Execution
    # The owner of one run, in the thread that called it, from its beginning to its end. Nothing else changes the run: its steps
    # are driven by the {ShortPath} or by a {Dispatcher}, both in this thread, and hooks and reporters are called in it.
    #
    #     call ── Setup#begin_recording ── start ── drive ───────────────── Ending ── Setup#close
    #                                        │        │ an exception            ▲
    #                                        └────────┴─> wind_up ── drive_on ──┘
    #
    # An exception from outside may arrive at any line. Whatever it is, the run ends in good order, steps that always run
    # included: it is stopped in levels ({Cancellation}), and driven on until nothing is in flight. An exception that is no
    # failure of a step leads to level 2, another one meanwhile to level 3. Then the exception continues.
    #
    # It must never happen that a run that has begun is left without an end in its record, that a worker outlives it unnoticed, or that
    # {#call} returns before its locks are released. Other threads call {#cancel}, {#cancel_now}, {#interrupting?}, {#state},
    # {#in_thread} and, from workers, {#announce}.
    # @api private
    class Coordinator
      # @return [Result] how the run ended
      attr_reader :result

      # @param pipeline [Pipeline]
      # @param request [Planning::RunOptions]
      # @param background [Boolean] whether other threads may stop the run
      def initialize(pipeline, request, background: false)
        @timeout = request.timeout
        @section = Executor::Section.of_run(background, Recording.stored?(pipeline, request))
        @inbox = Inbox.new
        @setup = Setup.new(pipeline, request, self, @section)
        @environment = @setup.environment
        @run = @environment.run
        @state = @setup.state
        @ending = @setup.ending # Made beforehand, because an exception may arrive while the run ends.
        @cancellation = Cancellation.new(@run, @state, @inbox, @section)
        @pid = Process.pid
      end

      # @return [Plan, nil] of a dry run
      def plan = @setup.plan

      # @return [Context]
      def context = @environment.context

      # Runs the pipeline to its end. An exception that is not a StandardError, a +throw+, or the death of the thread ends
      # the run in good order, steps that always run included, and then continues.
      # @param executor [#open_pool]
      # @return [Result]
      def call(executor)
        @section ? @section.surround { perform(executor) } : perform(executor)
        result
      end

      # Starts nothing more, steps that always run excepted. Any thread may call it, also in a signal handler.
      # @param requester [String, nil] who of another process asks for it
      # @return [void]
      def cancel(requester = nil) = @cancellation.cancel(requester)

      # Interrupts what runs: at first not the steps that always run, the second time everything.
      # @param requester [String, nil]
      # @return [void]
      def cancel_now(requester = nil) = @cancellation.cancel_now(requester)

      # Records the end of the run, because the program is about to end although user code holds the run.
      # @return [void]
      def give_up = (@ending.give_up unless result)

      # @param always [Boolean] whether it is about steps that always run
      # @return [Boolean] whether what runs is interrupted
      def interrupting?(always) = always ? @cancellation.all? : @cancellation.now?

      # @return [Array(Symbol, Object)] where a step stands, and what it waits for, if it does
      def state(id) = @run.state(id)

      # The callable of an attempt is about to be called, in a thread of the pool or in this one.
      # @param attempt [Attempt]
      # @return [void]
      # @raise [HookError] a +before_step+ hook raised
      def announce(attempt) = @dispatcher.announce(attempt, Thread.current.equal?(@thread))

      # Has something done in this thread: at once if the caller is in it.
      # @return [void]
      def in_thread(&notice) = Thread.current.equal?(@thread) ? yield : @inbox << [:call, notice]

      private

      def perform(executor)
        @setup.begin_recording(self)
        begin
          start(executor)
          drive
          well = true
        ensure
          finish(well) if Process.pid == @pid # A step may have forked, and its child unwinds to here.
        end
      ensure
        @setup.close
      end

      def start(executor)
        @thread = Thread.current
        @run.limit(@timeout) if @timeout
        @pool = executor.open_pool(@inbox, @section)
        @setup.surround(@pool)
        prepare_attempts unless @setup.plain? && @pool.inline?
        @state.notify(:run_started, nil, @environment.resumption) { @setup.monitor(@pool) }
        @setup.preset
        @cancellation.begin
        @setup.recall
      rescue HookError, Error::TimeUp => e
        @state.error = e if HookError === e
        @state.stop(HookError === e ? :failed : :timed_out)
        @cancellation.begin
      end

      def prepare_attempts
        dispatcher
        @setup.expect_times if @pool.capacity > 1
        context.run_id # A forked child has it from here.
      end

      # A run whose steps are only called in this thread needs none, unless something interrupts it.
      def dispatcher
        Loading.attempts
        @dispatcher ||= Dispatcher.new(@setup, @inbox, @pool, @cancellation)
      end

      def drive = @dispatcher ? @dispatcher.drive : ShortPath.drive(@environment, @state, @inbox)

      # The run ends, whatever interrupts that.
      def finish(well)
        wind_up unless well
      ensure
        if @dispatcher.nil? && well
          conclude
        else
          all(-> { @dispatcher&.close }, -> { @dispatcher&.abandon_rest }, -> { @pool&.shutdown }, -> { conclude })
        end
      end

      def conclude = @ending.call(@timeout) { |result| @result = result }

      # Calls each, whatever interrupts another. (A worker that is left behind would keep the program from ending.)
      def all(first, *others)
        first.call
      ensure
        all(*others) unless others.empty?
      end

      def wind_up
        @cancellation.unwind(2, $!)
        drive_on
        well = true
      ensure
        unless well
          @cancellation.unwind(3, $!)
          drive_on
        end
      end

      def drive_on
        dispatcher.drive_on if @pool
      end
    end
  end
end
