# frozen_string_literal: true

require_relative "../flowline"

module Flowline
  # Help for tests of pipelines, without a test framework: +flowline/rspec+ and +flowline/minitest+ are built on it.
  #
  # - {Helpers#run_step} calls one step alone; {Pipeline#run} takes outputs of other steps as +given:+.
  # - Between {setup} and {teardown} nothing is recorded in a store, the cache is an empty one, and runs skip their waits.
  # - {Helpers#crash_everywhere} kills a run at every moment at which something is recorded, and resumes it.
  module Testing
    autoload :Assertions, "#{__dir__}/testing/assertions"
    autoload :Check, "#{__dir__}/testing/check"
    autoload :Checks, "#{__dir__}/testing/checks"
    autoload :CrashError, "#{__dir__}/testing/crash_error"
    autoload :Crashes, "#{__dir__}/testing/crashes"
    autoload :Helpers, "#{__dir__}/testing/helpers"
    autoload :Jobs, "#{__dir__}/testing/jobs"
    autoload :Matchers, "#{__dir__}/testing/matchers"
    autoload :StepCall, "#{__dir__}/testing/step_call"
    autoload :StepOptions, "#{__dir__}/testing/step_options"

    LOCK = Mutex.new
    private_constant :LOCK

    extend Helpers

    class << self
      # Prepares for a test: no store, an empty cache in memory, nothing to resume from earlier tests, and virtual time. Tests may
      # run in several threads; the settings hold until the last of them has ended.
      # @return [void]
      def setup
        LOCK.synchronize do
          @tests = (@tests || 0) + 1
          @before ||= { time: Execution::VirtualTime.everywhere, **Flowline.config.replace(store: false, cache: nil) }
          Flowline.config.cache = Cache::Memory.new
          Execution::VirtualTime.everywhere = true
          Recording::Memory.forget
        end
      end

      # Restores the settings that {setup} has replaced.
      # @return [void]
      def teardown
        LOCK.synchronize do
          next unless (@tests = [(@tests || 0) - 1, 0].max).zero? && @before

          Execution::VirtualTime.everywhere = @before.delete(:time)
          Flowline.config.replace(**@before)
          @before = nil
        end
      end
    end
  end
end
