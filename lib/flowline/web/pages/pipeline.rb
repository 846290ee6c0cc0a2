# frozen_string_literal: true

module Flowline
  class Web
    module Pages
      # A pipeline: its last runs, its graph, its params, and how long its steps take.
      # @api private
      class Pipeline < Page
        # The last runs that are listed; those whose times are counted; the steps on the sheets of folds; the most steps in the table.
        RUNS = 10
        TIMES = 30
        SHEETS = 60
        STEPS = 60
        RUN_HEADS = ["Run", "Status", "Took", "Params", "Started by"].freeze
        PARAM_HEADS = %w[Param Type Default Allowed Meaning].freeze
        WHOLE = "the whole run"
        TIME_HEADS = ["Step", "Median", "95th percentile", "Latest", "Trend", "Runs"].freeze
        private_constant :RUNS, :TIMES, :SHEETS, :STEPS, :RUN_HEADS, :PARAM_HEADS, :WHOLE, :TIME_HEADS

        # (see Page#title)
        def title
          caption(name)
        end

        # (see Page#body)
        def body
          raise Refusal.new(404, "There is no pipeline #{title}.") unless definition || runs.any?

          [tag(:h1, text(title)), *head, asked, failure, recent, graph, params, times].compact.join("\n")
        end

        private

        def name
          @ids.first
        end

        # The pipeline as the application has it.
        def definition
          view.pipelines[name]
        end

        def runs
          @runs ||= view.history.runs(pipeline: name, limit: TIMES)
        end

        def head
          description = tag(:p, text(short(definition.description, 2_000))) if definition&.description
          place = definition ? definition.place : runs.first.location
          [description, (tag(:p, "Defined at #{code(place)}", class: "quiet") if place), links].compact
        end

        def links
          start = view.url("pipelines", name, "start") if definition && view.enqueue?
          links = { "Run…" => start, "Runs and steps" => view.url("pipelines", name, "grid"), "All runs" => view.url("runs", pipeline: name),
                    "Not successful" => view.url("runs", pipeline: name, status: "unsuccessful") }.compact
          tag(:p, links.map { |word, url| link(url, word, class: ("action" if word.end_with?("…"))) }.join(" "), class: "actions")
        end

        # A note after a run was asked for: it begins when the application starts it.
        def asked
          return unless view.request.query["asked"]

          tag(:p, "The application was asked to start a run. It is listed here as soon as it begins.", class: "note", role: "status")
        end

        def failure
          run = runs.first
          return unless run&.failed?

          error = tag(:pre, text(short(run.error, 1_000)), tabindex: 0) if run.error
          section("The latest run did not succeed", tag(:p, "#{state(run.status)} #{link(view.url("runs", run.run_id), "run #{run.run_id}")}"), error,
                  class: "failures")
        end

        def recent
          return section("Last runs", tag(:p, "It has not run yet.")) if runs.empty?

          rows = runs.first(RUNS).map { |run| row(run) }
          section("Last runs", Report::Bars.new(runs.reverse, height: 48).to_s, table("Last runs", RUN_HEADS, rows, class: "runs"))
        end

        def row(run)
          started = tag(:a, moment(run.started_at), href: view.url("runs", run.run_id))
          line(started, state(run.status), seconds(run.duration), [text(given_params(run))], text(run.trigger))
        end

        def graph
          data = Report::Sources.graph(definition, runs.first)
          return if data.steps.empty? || !data.steps.all?(&:after)

          picture = Report::Graph.new(data) { |step| view.url("runs", runs.first.run_id, "steps", step.name) if step.status }.picture
          section(runs.any? ? "Graph, with the latest run" : "Graph", picture.sheets(SHEETS))
        end

        def params
          return if definition.nil? || definition.params.empty?

          rows = definition.params.each_value.map do |param|
            kind = Fields::Facts.kind(param) + (param.required? ? ", required" : "")
            cells = [kind, *Fields::Facts.of(param), param.description.to_s].map { |cell| [text(short(Text.line(cell), 400))] }
            line(text(caption(param.name)), *cells)
          end
          section("Params", table("Params", PARAM_HEADS, rows, class: "runs"))
        end

        def times
          return if runs.empty?

          stats = view.history.stats(name, last: TIMES)
          steps = stats.steps.sort_by { |step| -step.median.to_f }
          rows = [[WHOLE, stats.runs], *steps.first(STEPS).map { |step| [step_link(step.name), step] }].select { |_, times| times.runs.positive? }
          return if rows.empty?

          rest = tag(:p, "The slowest #{STEPS} of #{steps.size} steps.", class: "quiet") if steps.size > STEPS
          section("Times", tag(:p, "Of those among the last #{TIMES} runs in which they succeeded.", class: "quiet"),
                  table("Times", TIME_HEADS, rows.map { |label, times| time_row(label, times) }, class: "numbers"), rest)
        end

        def step_link(step)
          link(view.url("runs", runs.first.run_id, "steps", step), caption(step))
        end

        def time_row(label, times)
          trend = times.trend && format("%+d %%", ((times.trend - 1) * 100).round)
          line(label, seconds(times.median), seconds(times.p95), seconds(times.last), trend, times.runs)
        end
      end
    end
  end
end
