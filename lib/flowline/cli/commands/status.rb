# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline status+: shows how the last run of every pipeline ended.
      class Status < StoreCommand
        include RunRecords

        # Its line in the list of commands.
        SUMMARY = "show the last run of every pipeline, step by step"
        # An example of a call.
        EXAMPLE = "flowline status --pipeline import"

        private

        # Exits with 1 if a run that it shows has failed, for scripts and monitors.
        def work(arguments)
          status = super
          @failed ? 1 : status
        end

        def rows
          name = @options[:pipeline]
          runs = name ? Flowline::History.runs(pipeline: name, limit: 1, root: root) : Flowline::History.last_runs(root: root)
          @failed = runs.any?(&:failed?)
          runs
        end

        def data(run)
          { **run.to_h, recorded: run.recorded, steps: run.steps.map(&:to_h), live: (run.live&.to_h if run.alive?) }
        end

        def show(run)
          @out.puts(headline(run))
          about = facts(run)
          @out.puts("  #{about}") if about
          @out.puts(step_lines(run))
          [*errors(run), *(restorable(run) if run.failed?)].each { |line| @out.puts("  #{line}") }
        end
      end
    end
  end
end
