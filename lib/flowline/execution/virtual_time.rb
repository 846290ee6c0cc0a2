# frozen_string_literal: true

module Flowline
  module Execution
    # Time for tests: when nothing is being called, a run does not wait for a retry, a rate or its time limit. It skips the time
    # until then, and later reads its clock as if it had waited. Steps are called in real time, and their time limits are real.
    # @api private
    module VirtualTime
      KEY = :flowline_virtual_time
      # Seconds after which it looks again whether items are being read.
      POLL = 0.005
      private_constant :KEY, :POLL

      class << self
        # @return [Boolean] whether runs of all threads skip waits, unless {with} says otherwise in a thread
        attr_reader :everywhere

        # @param everywhere [Boolean]
        def everywhere=(everywhere)
          @everywhere = everywhere
          @used = true
        end

        # @return [Boolean] whether a run that this thread starts skips waits
        def on?
          return false unless @used

          here = Thread.current.thread_variable_get(KEY)
          here.nil? ? @everywhere == true : here
        end

        # Skips a wait of a run, unless a source of items is being read.
        # @param environment [Environment]
        # @param works [Works]
        # @param seconds [Float] until something is due; infinity: nothing is
        # @return [Float] how long to wait all the same
        def skip(environment, works, seconds)
          return [seconds, POLL].min if works.reading?
          return seconds if seconds.infinite? || !seconds.positive?

          environment.run.advance(seconds)
          environment.context.advance(seconds)
          0.0
        end

        # Calls the block, in which runs that this thread starts skip waits, or do not.
        # @param skips [Boolean]
        # @return [Object] what the block returns
        def with(skips)
          @used = true
          before = Thread.current.thread_variable_get(KEY)
          Thread.current.thread_variable_set(KEY, skips)
          yield
        ensure
          Thread.current.thread_variable_set(KEY, before)
        end
      end
    end
  end
end
