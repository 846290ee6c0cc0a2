# frozen_string_literal: true

module Flowline
  module Testing
    # The methods that tests have, and {Testing} itself.
    module Helpers
      # Calls one step of a pipeline alone, with its conditions, retries and time limits, and without the hooks of the pipeline, the
      # cache and the store. Params are coerced and have their defaults. Required params may be left out if the step does not take
      # them by name.
      # @param pipeline [Pipeline, Class]
      # @param step [Symbol, String] a step or a nested pipeline
      # @param arguments [Hash] the outputs of its dependencies by name, params, and the options of {Pipeline#run} that make sense for
      #   one step, such as +input:+ and +context:+
      # @return [StepResult] how it ended, be it with an error
      # @raise [ParamError] an argument is missing, unknown, or of the wrong type
      # @raise [UnknownStepError] there is no such step
      # @example
      #   run_step(Import, :select, fetch_orders: [{ id: 7 }], least: 20).output # => []
      def run_step(pipeline, step, **arguments)
        StepCall.new(pipeline, step, arguments).call
      rescue Error => e
        raise Backtrace.clean_all(e, caller)
      end

      # Calls one step alone, as {#run_step}, and returns its output.
      # @return [Object] its output; nil if it was skipped
      # @raise [StepError] it failed; its +cause+ is what the step raised
      def run_step!(pipeline, step, **arguments)
        result = StepCall.new(pipeline, step, arguments).call
        raise result.error if result.error

        result.output
      rescue Error => e
        raise Backtrace.clean_all(e, caller)
      end

      # Calls the block, in which runs of this thread do not wait for retries, rates and time limits while nothing is called: they
      # skip the time until then. Durations and the times of events are as if they had waited. Steps are called in real time: one that
      # calls +sleep+ sleeps, and its time limit is real.
      # @return [Object] what the block returns
      def virtual_time(&block)
        Execution::VirtualTime.with(true, &block)
      end

      # Calls the block, in which runs of this thread wait as they do outside of tests.
      # @return [Object] what the block returns
      def real_time(&block)
        Execution::VirtualTime.with(false, &block)
      end

      # Calls the block with a store in a temporary directory, so that runs of pipelines with a name are recorded. The directory is
      # removed afterwards. The store is that of the process: tests in other threads use it, too.
      # @yieldparam root [String] the directory
      # @return [Object] what the block returns
      # @example
      #   with_store do
      #     Import.run(date: "2024-01-31")
      #     expect(Flowline::History.runs.size).to eq(1)
      #   end
      def with_store
        require "tmpdir"
        Dir.mktmpdir("flowline-test") do |root|
          before = Flowline.config.replace(store: true, root: root)
          yield root
        ensure
          Flowline.config.replace(**before) if before
        end
      end

      # Kills a run of a pipeline at every moment at which something is recorded, resumes it, and compares what came out with a run
      # that was not killed. Runs go on in forked processes, with a store of their own. Changes that steps make elsewhere, such as to
      # files, stay as they are, so that a step that is not idempotent is found.
      # @param pipeline [Pipeline, Class] with a name
      # @param limit [Integer] the moments that are tried at most; of more, some are chosen evenly
      # @param before [#call, nil] called before every run that is not resumed, in its process: puts files back, for example
      # @param arguments [Hash] as for {Pipeline#run}
      # @yieldparam result [Result] of a run that was not killed, or was resumed, in its process
      # @yieldreturn [Object] what is compared; default: the outputs by step
      # @return [Integer] how many moments were tried
      # @raise [CrashError] outputs differ, a run cannot be resumed, or a step was called again although it was recorded
      # @raise [Error] there is no +fork+
      # @example
      #   crash_everywhere(Import, date: "2024-01-31") { |result| [result.outputs, File.read("orders.csv")] }
      def crash_everywhere(pipeline, limit: 200, before: nil, **arguments, &compared)
        Crashes.new(pipeline, arguments, limit: limit, before: before, compared: compared).call
      rescue Error => e
        raise Backtrace.clean_all(e, caller)
      end

      # Performs the jobs of pipelines that are enqueued, until there are none: those of Active Job's test adapter, and those of
      # +Sidekiq::Testing.fake!+. Jobs that they enqueue are performed, too.
      # @return [Integer] how many were performed
      # @raise [Error] jobs are not held back by either
      # @raise [StandardError] what a job raises that its class does not retry
      def drain
        Jobs.drain
      end
    end
  end
end
