# frozen_string_literal: true

module Flowline
  # Where those wait who perform the steps of a run and have nothing to do.
  # @api private
  class Idle
    # @return [Integer] how many wait
    attr_reader :count

    def initialize
      @guard = Mutex.new
      @changed = ConditionVariable.new
      @count = 0
    end

    # Waits once, if there is nothing to do: as long as it is told, or until it is woken.
    # @yieldreturn [Integer, Float, nil] what is to do, or how many seconds to wait
    # @return [Integer, Float, nil] the same, asked again
    def wait
      @guard.synchronize do
        # Counted first: who makes work after the block was asked must know of this one.
        @count += 1
        following = yield
        return following unless Float === following

        @changed.wait(@guard, following.infinite? ? nil : following)
        yield
      ensure
        @count -= 1
      end
    end

    # Wakes one that waits.
    # @return [void]
    def wake
      @guard.synchronize { @changed.signal }
    end

    # Wakes all that wait.
    # @return [void]
    def wake_all
      @guard.synchronize { @changed.broadcast }
    end
  end
end
