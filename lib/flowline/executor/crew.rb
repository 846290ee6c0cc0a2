# frozen_string_literal: true

module Flowline
  module Executor
    # The threads that perform the steps of one run. Each takes its next step itself. They are started as they are
    # needed: whoever takes a step sees to it that somebody else waits for the next one.
    # @api private
    class Crew
      # @param runner [Runner]
      # @param size [Integer] how many at most
      # @param place [#call] where callables are called, if not in these threads
      def initialize(runner, size, place = self)
        @runner = runner
        @size = size
        @place = place
        @guard = Mutex.new
        @threads = []
        @busy = {}.compare_by_identity # By thread, the step it performs.
        @hired = 0
        @left = Queue.new
        @retired = false
      end

      # Works until there is nothing more to do.
      # @return [void]
      # @raise [Exception] what ended a thread of it. The death of one is that of the caller's thread.
      def work
        return alone unless hired?

        until @threads.empty?
          thread, failure = @left.pop
          next unless @guard.synchronize { @threads.delete(thread) } # It had been replaced.

          thread.join # What is left of it is to give back what it has.
          raise failure if Exception === failure

          break Thread.current.kill if failure # It may have been killed before, which is then nothing new.
        end
      ensure
        Thread.handle_interrupt(Interruption::NEVER) { dismiss } # Who was left would take steps from those that come after.
      end

      # Calls a step's callable in the thread that performs it.
      # @param callable [#call]
      # @return [Object] what it returns
      def call(callable)
        Executor.within_rails { Interruption.anytime { callable.call } }
      end

      # Another thread takes the place of this one, which does not come back.
      # @param thread [Thread]
      # @yieldreturn [Integer, Float, nil] what that is to do first
      # @return [void]
      def replace(thread, &first)
        @guard.synchronize do
          @threads << start(first) unless @retired
          @threads.delete(thread)
        end
        Cache.give_up(thread)
        thread.kill
      end

      private

      # @return [Boolean] false: there are no threads to be had, as when the program is ending
      def hired?
        hire { @runner.next }
        true
      rescue ThreadError
        false
      end

      # Steps that run always do so all the same.
      def alone
        following = @runner.next
        following = Integer === following ? @runner.perform(following, @place) : @runner.wait(following) while following
      end

      def hire(&first)
        @guard.synchronize { @threads << start(first) if @threads.size < @size && !@retired }
      end

      def start(first)
        Thread.handle_interrupt(Interruption::NEVER) { Thread.new { labour(first) } }.tap do |thread|
          thread.name = "flowline worker #{@hired += 1}"
          thread.report_on_exception = false
        end
      end

      def labour(first)
        failure = true
        Interruption.worker do
          following = first.call
          following = step(following) while following
        end
        failure = nil
      rescue Exception => e # rubocop:disable Lint/RescueException -- the caller gets it
        raise unless ::Process.pid == @runner.pid # The child of a step that forked is on its own.

        failure = e
      ensure
        @left << [Thread.current, failure]
        Executor.release
      end

      # @return [Integer, Float, nil] what is next
      def step(following)
        return @runner.wait(following) { @retired } unless Integer === following

        @busy[Thread.current] = following # Before it looks whether it may.
        return if @retired && !@runner.always?(following)

        hire { @runner.next } if @threads.size < @size && @runner.idle.zero?
        @runner.perform(following, @place)
      ensure
        @busy.delete(Thread.current)
      end

      # Those who still work are asked to stop; those at steps that run always come to their end first.
      def dismiss
        @retired = true
        threads = @guard.synchronize { @threads.dup }
        threads.each { |thread| Interruption.stop(thread) }
        @runner.rouse
        stuck = those_left(threads)
        @runner.leave_behind(stuck.size) unless stuck.empty?
        cleaning = threads.select(&:alive?) - stuck
        Interruption.anytime { cleaning.each(&:join).clear }
      ensure
        stop(cleaning) if cleaning
      end

      # Those who clean up are stopped as well.
      def stop(threads)
        threads.each(&:kill)
        deadline = now + GRACE + 1
        stuck = threads.reject { |thread| thread.join([deadline - now, 0].max) }
        @runner.leave_behind(stuck.size) unless stuck.empty?
      end

      # @return [Array<Thread>] those that don't stop, although it is not for them to go on
      def those_left(threads)
        deadline = now + GRACE + 1 # A process that is killed has its own grace.
        loop do
          left = threads.select { |thread| thread.alive? && !@runner.always?(@busy[thread]) }
          return left if left.empty? || now > deadline

          left.first.join(0.02)
        end
      end

      def now
        ::Process.clock_gettime(::Process::CLOCK_MONOTONIC)
      end
    end
  end
end
