# frozen_string_literal: true

module Flowline
  # Where a thread that performs steps may be stopped: in the user's code, and nowhere else, so that whatever a step came
  # to is recorded and told of. A first request to stop does not concern steps that run always.
  # @api private
  module Interruption
    # A first request to stop.
    class Stopped < Exception # rubocop:disable Lint/InheritException -- no step may rescue it
    end

    # Made beforehand: an interruption may come while Ruby makes a Hash.
    NEVER = { Object => :never }.freeze
    ANYTIME = { Object => :immediate }.freeze
    WAITING = { Object => :on_blocking }.freeze
    SPARED_ANYTIME = { Stopped => :never, Object => :immediate }.freeze
    SPARED_WAITING = { Stopped => :never, Object => :on_blocking }.freeze
    private_constant :ANYTIME, :WAITING, :SPARED_ANYTIME, :SPARED_WAITING

    class << self
      # Says of this thread that it performs steps, while the block is called.
      # @return [Object] what the block returns
      def worker(&block)
        with(:flowline_worker, &block)
      end

      # Asks another thread to stop. One that is spared is left in peace: some calls, as +sysread+, end for nothing when
      # something is put off that they wait through.
      # @param thread [Thread]
      # @return [void]
      def stop(thread)
        thread.raise(Stopped) unless thread[:flowline_spared]
      end

      # Calls the block, a step that runs always, which a first request does not stop.
      # @return [Object] what the block returns
      def spare(&block)
        with(:flowline_spared, &block)
      end

      # Calls the block, which may be stopped anywhere.
      # @return [Object] what the block returns
      def anytime(&block)
        Thread.handle_interrupt(spared? ? SPARED_ANYTIME : ANYTIME, &block)
      end

      # Calls the block, which may be stopped where it waits.
      # @return [Object] what the block returns
      def waiting(&block)
        Thread.handle_interrupt(spared? ? SPARED_WAITING : WAITING, &block)
      end

      # @return [Boolean] whether this thread performs steps, and can't be stopped unless it is said where
      def worker?
        Thread.current[:flowline_worker] == true
      end

      private

      def spared?
        Thread.current[:flowline_spared] == true
      end

      def with(mark)
        before = Thread.current[mark]
        Thread.current[mark] = true
        yield
      ensure
        Thread.current[mark] = before
      end
    end
  end
end
