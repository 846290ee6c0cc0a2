# frozen_string_literal: true

module Flowline
  module Recording
    # A lock within this process, for pipelines that are not recorded in a store. Like the locks of a store it excludes
    # threads, belongs to this process and not to its forked children, and is released by its owner.
    # @api private
    class LocalLock
      # How many ends of runs are remembered.
      MOST = 1_000
      private_constant :MOST

      @held = {}
      @ends = {}
      @mutex = Mutex.new

      class << self
        # @return [Store::Run, nil] the run that holds the lock
        def holder(digest)
          @mutex.synchronize { @held[[Process.pid, digest]] }
        end

        # @return [Store::Run, nil] the last run that held the lock, if it has ended after this time on the monotonic clock
        def ended_after(digest, time)
          run, ended = @mutex.synchronize { @ends[[Process.pid, digest]] }
          run if ended && ended > time
        end

        # Remembers that a run which holds the lock has ended.
        # @return [void]
        def over(key, run)
          @mutex.synchronize do
            @ends.delete(key)
            @ends[key] = [run, Clock.now]
            @ends.shift if @ends.size > MOST
          end
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

      # Remembers how the run has ended.
      # @return [void]
      def over(run_id, status)
        ended = @run.dup
        ended.run_id = run_id
        ended.status = status
        LocalLock.over(@key, ended)
      end

      # @return [void]
      def release
        LocalLock.leave(@key, @run) if @key
      end
    end
  end
end
