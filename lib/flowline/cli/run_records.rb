# frozen_string_literal: true

module Flowline
  module CLI
    # Rows about runs, for {Commands::Status} and {Commands::History}.
    module RunRecords
      private

      def declare(parser)
        option(parser, "pipeline", "only this pipeline", value: "NAME")
        super
      end

      def missing?
        super || @options.key?(:pipeline)
      end

      def absence
        name = @options[:pipeline]
        return super unless name && store

        known = store.last_runs.map(&:pipeline)
        "no run of pipeline #{Name.show(name)} in #{root}#{Name.suggest(name, known, known: "there are")}"
      end

      # @return [Hash] the data that is shown of a run
      def row_of(run)
        { run_id: run.run_id, pipeline: run.pipeline, resumed: run.resumed, status: run.status, pid: run.pid,
          elsewhere: run.alive && run.elsewhere?, started_at: run.started_at, duration: run.duration, error: run.error }
      end

      def headline(run)
        time = run[:duration] ? format("%.2fs", run[:duration]) : ""
        started = run[:started_at].strftime("%Y-%m-%d %H:%M:%S")
        status = run[:elsewhere] ? "#{run[:status]} elsewhere" : run[:status]
        [Name.show(run[:pipeline]).ljust(20), status.ljust(9), started, time.rjust(8), run[:run_id]].join("  ")
      end
    end
  end
end
