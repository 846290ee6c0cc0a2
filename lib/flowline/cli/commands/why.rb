# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline why STEP [RUN]+: explains what was decided about a step.
      class Why < RunCommand
        # Its line in the list of commands.
        SUMMARY = "explain why a step was called, cached, restored, skipped or cancelled in its last run"
        # An example of a call.
        EXAMPLE = "flowline why load 20261124T015539-04c21255"
        # Runs among which the latest with the step is looked for.
        RUNS = 100
        private_constant :RUNS

        private

        def argument
          "STEP [RUN]"
        end

        def work(arguments)
          raise Usage, "#{label}: name a step, as in: #{EXAMPLE}" if arguments.empty?
          raise Usage, "#{label}: takes a step and a run, not #{arguments.size} arguments" if arguments.size > 2

          @step, run = arguments
          run = chosen(run)
          step = run.step(@step) || no_step(run)
          @out.puts(@options[:json] ? json(step.why.to_h) : step.why)
          0
        end

        # @return [Flowline::History::Run] the latest run with the step, else the latest of all
        def latest(pipeline)
          runs = Flowline::History.runs(pipeline: pipeline, limit: RUNS, root: root)
          runs.find { |run| run.step(@step) } || elsewhere(pipeline) || super
        end

        # Of pipelines that have not run lately.
        def elsewhere(pipeline)
          Flowline::History.last_runs(root: root).find { |run| run.step(@step) } unless pipeline
        end

        def no_step(run)
          meant = Name.suggest(@step, run.steps.map(&:name))
          absent("there is no step #{Name.show(@step)} in run #{run.run_id} of #{Name.show(run.pipeline)}#{meant}")
        end
      end
    end
  end
end
