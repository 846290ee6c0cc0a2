# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline stats [PIPELINE]+: shows how long the latest runs took.
      class Stats < StoreCommand
        # Its line in the list of commands.
        SUMMARY = "show how long the latest runs, and their steps, took"
        # An example of a call.
        EXAMPLE = "flowline stats import"
        BARS = %w[▁ ▂ ▃ ▄ ▅ ▆ ▇ █].freeze
        private_constant :BARS

        private

        def declare(parser)
          super
          count(parser, "last", "how many runs; default #{Flowline::History::Stats::LAST}")
        end

        def argument
          "[PIPELINE]"
        end

        def work(arguments)
          raise Usage, "#{label}: one pipeline at a time; #{arguments[1]} is one too many" if arguments.size > 1

          @pipeline = arguments.first
          super([])
        end

        def rows
          names = store ? store.last_runs.map(&:pipeline) : []
          names &= [@pipeline] if @pipeline
          names.map { |name| Flowline::History.stats(name, **@options.slice(:last), root: root) }
        end

        def data(stats)
          stats.to_h
        end

        # @return [Integer] 2 if the pipeline does not exist
        def missing
          @pipeline && store ? 2 : super
        end

        def absence
          return super unless @pipeline && store

          "no run of pipeline #{Name.show(@pipeline)} in #{root}#{Name.suggest(@pipeline, store.last_runs.map(&:pipeline), known: "there are")}"
        end

        def show(stats)
          counts = stats.statuses.map { |status, count| "#{count} #{status}" }.join(", ")
          @out.puts("#{Name.show(stats.pipeline)}  #{counts}  #{chart(stats.durations)}".rstrip)
          @out.puts("  #{"".ljust(20)}  runs    median       p95      last  trend")
          [["run", stats.runs], *stats.steps.map { |times| [Name.show(times.name), times] }].each { |name, times| row(name, times) }
        end

        def row(name, times)
          return unless times.median

          seconds = [times.median, times.p95, times.last].map { |value| format("%.3fs", value).rjust(8) }.join("  ")
          @out.puts("  #{Text.pad(name, 20)}  #{times.runs.to_s.rjust(4)}  #{seconds}  #{times.trend ? format("%.2f×", times.trend) : ""}".rstrip)
        end

        # @return [String] a bar for each run, the latest last
        def chart(durations)
          longest = durations.max or return ""
          durations.map { |seconds| BARS[longest.zero? ? 0 : (seconds / longest * (BARS.size - 1)).round] }.join
        end
      end
    end
  end
end
