# frozen_string_literal: true

module Flowline
  module Recording
    # The turn of a run among the runs that exclude each other: locks of the pipeline, with +exclusive: true+, and of the
    # run's identity, with +exclusive: :params+ or +resume:+. They are held from before the run to resume is looked for until
    # the run has ended. So of callers that resume at the same time exactly one runs: the others find a lock taken.
    #
    # A run that was called for while another one was alive is refused even if it takes the lock after the other has ended,
    # because to load and to open the store come before the lock.
    #
    # A run waits for others here, before anything else of it begins, and never with a lock that another one needs in turn.
    # @api private
    class Turn
      # The first and the longest pause between two tries, in seconds.
      FIRST = 0.001
      LONGEST = 0.05
      # Seconds within which a run that is about to begin is recorded.
      SOON = 1.0
      private_constant :FIRST, :LONGEST, :SOON

      # @param subject [Subject]
      # @param patience [Patience]
      def initialize(subject, patience)
        @subject = subject
        @request = subject.request
        @give_up = patience.until(@request.exclusive_wait) if @request.exclusive_wait
        @pause = FIRST
        @locks = []
      end

      # @return [Symbol, nil] the runs that keep this one from beginning: +:all+ of the pipeline, or those +:alike+
      def apart_from
        return :all if @request.exclusive == true

        :alike if @request.exclusive == :params || @request.resume?
      end

      # @return [Boolean] whether it takes any lock
      def taken?
        names.any?
      end

      # @return [Boolean] whether it waits for other runs
      def waits?
        !@give_up.nil?
      end

      # Acquires the locks.
      # @param make [#call] returns a lock that holds nothing yet
      # @yieldparam others [Symbol] +:all+ or +:alike+
      # @yieldparam digest [String] the name of the lock
      # @yieldreturn [Store::Run, nil] one of these runs that is alive
      # @return [void]
      # @raise [LockedError]
      def take(make, &find)
        names.each do |others, name|
          lock = make.call
          @locks << lock
          digest = Native.digest(name)
          acquire(lock, digest) { find.call(others, digest) }
        end
      end

      # Refuses the run if one that excludes it was alive when it was called for, although that one has ended meanwhile.
      # @yieldparam others [Symbol] +:all+ or +:alike+
      # @yieldparam digest [String] the name of the lock
      # @yieldreturn [Store::Run, nil] one of these runs that has ended since then
      # @return [void]
      # @raise [LockedError]
      def refuse_late
        names.each do |others, name|
          run = yield(others, Native.digest(name)) and raise LockedError.by(run, @subject.pipeline.name, ended: run.status)
        end
      end

      # @return [Boolean] whether this thread waits for another run, so that a signal may interrupt it
      def self.waiting?
        Thread.current.thread_variable_get(:flowline_waiting) == true
      end

      # Calls the block, in which other runs may be waited for.
      def waiting
        Thread.current.thread_variable_set(:flowline_waiting, true) if waits?
        yield
      ensure
        Thread.current.thread_variable_set(:flowline_waiting, nil) if waits?
      end

      # Waits a moment.
      # @return [Boolean] whether it did; false: it has waited for long enough
      def pause
        left = waits? ? @give_up - Clock.now : 0
        return false unless left.positive?

        sleep([@pause, left].min)
        @pause = [@pause * 2, LONGEST].min
        true
      end

      # @param run [Store::Run, nil] the run that is alive, if it is known
      # @raise [LockedError]
      def refuse(run)
        limit = @request.timeout
        limit = nil unless waits? && limit && limit < @request.exclusive_wait
        raise LockedError.by(run, @subject.pipeline.name, waited: limit || @request.exclusive_wait, limited: !limit.nil?)
      end

      # Calls the block until it returns a true value, but not for long, because another process is just about to act.
      # @return [Object, nil]
      def soon
        limit = Clock.now + SOON
        sleep(FIRST) until (found = yield) || Clock.now > limit
        found
      end

      # Remembers the end of the run, where the locks do that.
      # @param result [Result]
      # @return [void]
      def over(result)
        @locks.each { |lock| lock.over(result.run_id, result.status.name) }
      end

      # @return [void]
      def release
        @locks.each(&:release)
      end

      private

      # In the same order everywhere, so that no two runs wait for each other.
      def names
        names = []
        names << [:all, [@subject.scope]] if @request.exclusive == true
        names << [:alike, [@subject.scope, @subject.identity]] if @request.exclusive == :params || (@request.resume? && !@request.selects?)
        names
      end

      def acquire(lock, digest)
        until lock.acquire(digest)
          next if pause

          # The lock is taken, so this run is refused even if the other one ends meanwhile.
          found = soon { yield || (lock.acquire(digest) && !lock.release) }
          refuse(found == true ? nil : found)
        end
      end
    end
  end
end
