# frozen_string_literal: true

module Flowline
  module Recording
    # A lock within this process, for pipelines that are not recorded in a store. Like the locks of a store it excludes
    # threads, belongs to this process and not to its forked children, and is released by its owner.
    # @api private
    class LocalLock
      @held = {}
      @mutex = Mutex.new

      class << self
        # @return [Store::Run, nil] the run that holds the lock
        def holder(digest)
          @mutex.synchronize { @held[[Process.pid, digest]] }
        end

        # @return [Boolean] whether the lock was free
        def hold(key, run)
          @mutex.synchronize { (@held[key] ||= run).equal?(run) }
        end

        # Releases the lock if that run holds it.
        # @return [void]
        def leave(key, run)
          @mutex.synchronize { @held.delete(key) if @held[key].equal?(run) }
        end
      end

      # @param run [Store::Run] the run that is to hold it
      def initialize(run)
        @run = run
      end

      # @param digest [String]
      # @return [Boolean] whether it was free
      def acquire(digest)
        @key = [Process.pid, digest] # First, so that nothing stays locked if this thread is killed.
        LocalLock.hold(@key, @run)
      end

      # @return [void]
      def release
        LocalLock.leave(@key, @run) if @key
      end
    end
  end
end
