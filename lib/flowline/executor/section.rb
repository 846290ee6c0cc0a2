# frozen_string_literal: true

module Flowline
  module Executor
    # A stretch of user code that other threads may interrupt. An interruption that comes too late is dropped, so that it
    # never hits what the thread does next. That needs a thread which defers {Stopped} outside of the section: one that
    # was started within +Thread.handle_interrupt(CLOSED)+, or a stronger mask.
    # @api private
    class Section
      # The interrupt of a section. No +rescue => e+ catches it.
      class Stopped < Exception # rubocop:disable Lint/InheritException
      end

      # For +Thread.handle_interrupt+: nothing interrupts. Made beforehand, because an interruption may come while Ruby makes a Hash.
      NEVER = { Object => :never }.freeze
      # The same: an interruption of the section waits.
      CLOSED = { Stopped => :never }.freeze
      # The same: an interruption of the section arrives at once.
      OPEN = { Stopped => :immediate }.freeze

      # @param open [Hash] what may interrupt the section, for +Thread.handle_interrupt+
      def initialize(open = OPEN)
        @open = open
        @lock = Mutex.new
        @name = nil
      end

      # Calls the block, which may be interrupted. A call within a call belongs to the outer one.
      # @param name [Object] what {#interrupt} calls it
      # @return [Object] what the block returns
      # @raise [Stopped] it was interrupted
      def call(name, &block)
        return yield if @name

        begin
          @thread = Thread.current
          @stopped = false
          @name = name
          Thread.handle_interrupt(@open, &block)
        ensure
          @lock.synchronize { @name = nil }
          drain if @stopped
        end
      end

      # Interrupts the block, if it is being called.
      # @param name [Object]
      # @return [void]
      def interrupt(name)
        @lock.synchronize do
          next unless @name && @name == name

          @stopped = true
          @thread.raise(Stopped)
        end
      rescue ThreadError # In a signal handler no lock may be taken.
        Thread.new { interrupt(name) }
      end

      private

      # Takes the interruptions that have not arrived yet.
      def drain
        Thread.handle_interrupt(OPEN) { Thread.pass }
      rescue Stopped
        retry
      end
    end
  end
end
