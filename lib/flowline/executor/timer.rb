# frozen_string_literal: true

module Flowline
  module Executor
    # Time limits on the monotonic clock: one thread for all of them, started when it is first needed.
    # @api private
    module Timer
      # The interrupt of a block whose time is up. No +rescue => e+ catches it.
      class Expired < Exception # rubocop:disable Lint/InheritException
        # @return [Object, nil] whose it is, if not a thread's
        attr_reader :mark

        # @param mark [Object, nil]
        def initialize(mark = nil)
          @mark = mark
          super("its time is up")
        end
      end

      # A limit under way.
      Entry = Struct.new(:deadline, :thread, :state, :error, :give_up)

      GUARD = Mutex.new
      CHANGED = ConditionVariable.new
      ENTRIES = {}.compare_by_identity
      # Made beforehand: an interruption may come while Ruby makes a Hash.
      CALM = { Object => :never }.freeze
      private_constant :Entry, :GUARD, :CHANGED, :ENTRIES, :CALM

      class << self
        # Calls the block, and interrupts it when its time is up.
        # @param seconds [Numeric]
        # @param give_up [#call, nil] called with the thread, in another one, if the block has not ended some time later
        # @return [Array(Object, Symbol)] what the block returned, and +:stopped+; or +nil+, whatever the block made of
        #   the interruption, and +:expired+, or +:given_up+ if that was called
        def limit(seconds, give_up = nil, &block)
          scheduler = Fiber.current_scheduler
          return limit_fiber(scheduler, seconds, &block) if scheduler.respond_to?(:timeout_after)

          entry = Entry.new(Clock.now + seconds, Thread.current, :running, Expired.new, give_up)
          Thread.handle_interrupt(Expired => :never) do
            begin
              start(entry)
              value = Thread.handle_interrupt(Expired => :immediate) { yield }
            rescue Expired => e
              raise unless e.equal?(entry.error)
            rescue StandardError
              raise unless stop(entry) && !drain(entry) # The block turned the interrupt into this error, or raised its own.
            ensure
              Thread.handle_interrupt(CALM) { drain(entry) if stop(entry) }
            end
            return [entry.state == :stopped ? value : nil, entry.state]
          end
        end

        private

        # Others have fibers in the same thread, so only the scheduler may interrupt this one: where it waits.
        def limit_fiber(scheduler, seconds, &block)
          deadline = Clock.now + seconds
          mark = Object.new
          value = scheduler.timeout_after(seconds, Expired, mark, &block)
          Clock.now < deadline ? [value, :stopped] : [nil, :expired]
        rescue Expired => e
          e.mark.equal?(mark) ? [nil, :expired] : raise
        rescue StandardError
          Clock.now < deadline ? raise : [nil, :expired] # The block turned the interrupt into this error.
        end

        def start(entry)
          GUARD.synchronize do
            ENTRIES[entry] = true
            if @thread&.alive? && @pid == ::Process.pid
              CHANGED.signal if @wake.nil? || entry.deadline < @wake
            else
              ENTRIES.keep_if { |other, _| other.equal?(entry) || @pid == ::Process.pid } # A fork's child has its own.
              @pid = ::Process.pid
              @wake = nil
              @thread = open_thread
            end
          end
        end

        # @return [Thread, nil] nil: the program is ending, and Ruby starts no thread any more, so that no limit holds
        def open_thread
          Thread.new { watch }.tap { |thread| thread.name = "flowline timer" }
        rescue ThreadError
          raise if Thread.main.alive?
        end

        # Ends a limit.
        # @return [Boolean] whether its time was up before
        def stop(entry)
          GUARD.synchronize do
            ENTRIES.delete(entry)
            entry.state = :stopped if entry.state == :running
          end
          entry.state != :stopped
        end

        # Receives the interrupt of this limit if it is still pending. Interrupts of other limits stay pending.
        # @return [Boolean] whether it was pending, so that the block has never seen it
        def drain(entry)
          taken = false
          others = []
          Thread.handle_interrupt(CALM) do
            begin
              Thread.handle_interrupt(Expired => :immediate) { Thread.pass }
            rescue Expired => e
              e.equal?(entry.error) ? taken = true : others << e
              retry
            end
            others.each { |other| entry.thread.raise(other) }
          end
          taken
        end

        # @return [void]
        def expire(entry)
          entry.state = :expired
          entry.thread.raise(entry.error)
          entry.give_up ? entry.deadline = Clock.now + Executor::GRACE : ENTRIES.delete(entry)
        end

        def give_up(entry)
          ENTRIES.delete(entry)
          entry.state = :given_up
          entry.give_up.call(entry.thread)
        rescue StandardError => e # Of a pool of the user's, or without a thread to be had. Other limits still count.
          warn("flowline: a step that ignores its time limit could not be abandoned: #{Error.account(e)}")
        end

        def watch
          Thread.handle_interrupt(Object => :immediate) do # Whatever the thread that started this one had deferred.
            GUARD.synchronize do
              loop do
                moment = Clock.now
                due = ENTRIES.keys.select { |entry| entry.deadline <= moment }
                due.each { |entry| entry.state == :running ? expire(entry) : give_up(entry) }
                @wake = ENTRIES.each_key.map(&:deadline).min
                CHANGED.wait(GUARD, @wake && (@wake - Clock.now).clamp(0, 3600))
              end
            end
          end
        end
      end
    end
  end
end
