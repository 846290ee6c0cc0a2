# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline status+: shows how the last run of every pipeline ended.
      class Status < StoreCommand
        include PipelineChoice
        include RunRecords

        # Its line in the list of commands.
        SUMMARY = "show the last run of every pipeline, step by step"
        # An example of a call.
        EXAMPLE = "flowline status import"
        # Earlier runs that are named.
        NAMED = 3
        private_constant :NAMED

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
          now = { live: (run.live&.to_h if run.alive?), resumable: earlier(run).map(&:run_id) }
          { **run.to_h, recorded: run.recorded, steps: run.steps.map(&:to_h), **now }
        end

        def show(run)
          put(headline(run))
          [facts(run), process(run)].compact.each { |line| put("  #{line}") }
          step_lines(run).each { |line| put(line) }
          [*errors(run), *(restorable(run) if run.failed?), *going_on(run), *others(earlier(run))].each { |line| put("  #{line}") }
        end

        def process(run)
          case run.status
          when :running then "process #{run.pid}#{", stopping: nothing more starts" if run.live&.stopped?}"
          when :crashed then "process #{run.pid} has ended without the end of the run"
          end
        end

        # A later success must not hide a failure with other params.
        # @return [Array<Flowline::History::Run>] the runs before that one that can be resumed
        def earlier(run)
          Flowline::History.resumable(run.pipeline, root: root).reject { |other| other.run_id == run.run_id }
        end

        # @return [String, nil]
        def others(runs)
          "#{runs.size} earlier run#{"s" if runs.size > 1} can be resumed: #{named(runs)}" if runs.any?
        end

        # The last run must not hide others of its pipeline that go on.
        # @return [String, nil]
        def going_on(run)
          runs = Flowline::History.runs(pipeline: run.pipeline, status: :running, limit: 100, root: root).select(&:alive?)
          runs.reject! { |other| other.run_id == run.run_id }
          "#{runs.size} other run#{runs.one? ? " is" : "s are"} going on: #{named(runs)}" if runs.any?
        end

        def named(runs)
          list = runs.first(NAMED).map { |run| [params(run), "(#{run.run_id})"].compact.join(" ") }
          list << "#{runs.size - NAMED} more" if runs.size > NAMED
          list.join(", ")
        end
      end
    end
  end
end
