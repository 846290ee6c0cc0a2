# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline why STEP [RUN_ID]+: explains what was decided about a step.
      class Why < StoreCommand
        # Its line in the list of commands.
        SUMMARY = "explain why a step was called, cached, restored, skipped or cancelled in its last run"
        # An example of a call.
        EXAMPLE = "flowline why load 20261124T015539-04c21255"
        # Runs among which the latest with the step is looked for.
        RUNS = 100
        private_constant :RUNS

        private

        def declare(parser)
          option(parser, "pipeline", "the latest run of this pipeline", value: "NAME")
          super
        end

        def argument
          "STEP [RUN_ID]"
        end

        def work(arguments)
          raise Usage, "#{label}: name a step, as in: #{EXAMPLE}" if arguments.empty?
          raise Usage, "#{label}: takes a step and a run, not #{arguments.size} arguments" if arguments.size > 2

          name, run_id = arguments
          run = run_id ? named(run_id) : latest(name)
          step = run.step(name) || raise(NotFound, absent(name, run))
          @out.puts(@options[:json] ? json(step.why.to_h) : step.why)
          0
        end

        def named(run_id)
          Flowline::History.run(run_id, root: root) || raise(NotFound, "#{label}: there is no run #{run_id} in #{root}")
        end

        # @return [Flowline::History::Run] the latest run with the step, else the latest of all
        def latest(name)
          runs = Flowline::History.runs(pipeline: @options[:pipeline], limit: RUNS, root: root)
          runs.find { |run| run.step(name) } || runs.first || raise(NotFound, "#{label}: #{absence}")
        end

        def absence
          @options[:pipeline] && store ? "no run of pipeline #{Name.show(@options[:pipeline])} in #{root}" : super
        end

        def absent(name, run)
          meant = Name.suggest(name, run.steps.map(&:name))
          "#{label}: there is no step #{Name.show(name)} in run #{run.run_id} of #{Name.show(run.pipeline)}#{meant}"
        end
      end
    end
  end
end
