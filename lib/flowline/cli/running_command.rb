# frozen_string_literal: true

module Flowline
  module CLI
    # A command about a run that goes on: without a name the only one there is, of all pipelines or of one.
    class RunningCommand < RunCommand
      include RunRecords

      private

      def which
        "the run"
      end

      def latest(pipeline)
        runs = Flowline::History.runs(pipeline: pipeline, status: :running, limit: 100, root: root).select(&:alive?)
        return runs.first if runs.one?

        absent(runs.empty? ? none(pipeline) : several(runs, pipeline))
      end

      def none(pipeline)
        return no_run(pipeline) if pipeline && !names.pipeline?(pipeline)

        "no run#{of(pipeline)} is going on in #{root}"
      end

      # Names them, each on a line with its params.
      def several(runs, pipeline)
        rows = runs.map { |run| "  #{[headline(run), params(run)].compact.join("  ")}" }
        ["#{runs.size} runs#{of(pipeline)} are going on; name one, as in flowline #{label} #{runs.first.run_id}", *rows].join("\n")
      end

      def of(pipeline)
        " of #{Name.show(pipeline)}" if pipeline
      end
    end
  end
end
