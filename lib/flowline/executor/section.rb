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
        # @return [Section] whose it is: runs may be nested in one thread
        attr_reader :section

        # @param section [Section]
        def initialize(section)
          @section = section
          super("its section was interrupted")
        end
      end

      # For +Thread.handle_interrupt+: nothing interrupts. Made beforehand, because an interruption may come while Ruby makes a Hash.
      NEVER = { Object => :never }.freeze
      # The same: an interruption of the section waits.
      CLOSED = { Stopped => :never }.freeze
      # The same: an interruption of the section arrives at once.
      OPEN = { Stopped => :immediate }.freeze

      # Requests of other processes reach a run that is recorded. With a scheduler of fibers, its caller's thread may be doing something
      # else.
      # @param background [Boolean] whether the run has a thread of its own
      # @param recorded [Boolean] whether it is recorded in a store
      # @return [Section, nil] of the thread that coordinates a run; nil: no other thread may interrupt it
      def self.of_run(background, recorded)
        return new if background

        BorrowedSection.new if recorded && Fiber.current_scheduler.nil?
      end

      # @param open [Hash] what may interrupt the section, for +Thread.handle_interrupt+
      def initialize(open = OPEN)
        @open = open
        @lock = Mutex.new
        @name = nil
      end

      # @return [Boolean] whether the thread is the caller's own
      def borrowed?
        false
      end

      # Calls the block with the whole run.
      # @return [void]
      def surround
        yield
      end

      # @param stopped [Stopped]
      # @return [Boolean] whether it was an interruption of this section
      def own?(stopped)
        stopped.section.equal?(self)
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
          next unless open?(name)

          @stopped = true
          @thread.raise(Stopped.new(self))
        end
      rescue ThreadError # In a signal handler no lock may be taken.
        Thread.new { interrupt(name) }
      end

      private

      def open?(name)
        !@name.nil? && @name == name
      end

      # Takes the interruptions that have not arrived yet, except those of other sections.
      def drain
        others = []
        begin
          Thread.handle_interrupt(OPEN) { Thread.pass }
        rescue Stopped => e
          others << e unless own?(e)
          retry
        end
        others.each { |other| @thread.raise(other) }
      end
    end
  end
end
