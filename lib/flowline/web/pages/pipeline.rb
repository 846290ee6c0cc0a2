# frozen_string_literal: true

module Flowline
  class Web
    module Pages
      # A pipeline: its last runs, its graph, its params, and its steps with their times.
      # @api private
      class Pipeline < Page
        # The last runs that are listed; those whose times are counted; the steps on the sheets of folds; those in the table.
        RUNS = 10
        TIMES = 30
        SHEETS = 60
        STEPS = 60
        RUN_HEADS = ["Run", "Status", "Took", "Params", "Started by"].freeze
        PARAM_HEADS = %w[Param Type Default Allowed Meaning].freeze
        WHOLE = "the whole run"
        STEP_HEADS = ["Step", "Median", "95th percentile", "Latest", "Trend", "Runs"].freeze
        private_constant :RUNS, :TIMES, :SHEETS, :STEPS, :RUN_HEADS, :PARAM_HEADS, :WHOLE, :STEP_HEADS

        # (see Page#title)
        def title
          caption(name)
        end

        # (see Page#body)
        def body
          raise Refusal.new(404, "There is no pipeline #{title}.") unless definition || runs.any?

          [tag(:h1, text(title)), *head, asked, mistakes, failure, recent, graph, params, steps].compact.join("\n")
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
          location = definition ? definition.location : runs.first.location
          [description, (tag(:p, "Defined at #{code(location)}", class: "quiet") if location), links].compact
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

        # Mistakes that only a run would raise. A graph with them cannot be drawn.
        def mistakes
          return unless problems.any?

          section("It cannot run", *problems.map { |problem| tag(:pre, text(short(problem.message, 1_000)), tabindex: 0) }, class: "failures")
        end

        def problems
          @problems ||= definition ? definition.problems : []
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
          return if problems.any?

          data = Report::Sources.graph(definition, runs.first)
          return if data.steps.empty? || !data.steps.all?(&:after)

          picture = Report::Graph.new(data) { |step, at| step_url(declared.keys[at]) if step.status }.picture
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

        # The steps of the graph, and their descriptions.
        def declared
          @declared ||= if definition
                          definition.steps.to_h { |step| [step.name, step.description] }
                        else
                          nodes = runs.first.graph&.fetch(:steps) || []
                          nodes.to_h { |node| [node[:name].to_sym, node[:description]] }
                        end
        end

        # The slowest steps first, then the others in the order of the definition.
        def steps
          stats = view.history.stats(name, last: TIMES)
          times = stats.steps.to_h { |step| [step.name, step] }
          order = declared.keys.each_with_index.sort_by { |step, at| [-times[step]&.median.to_f, at] }.map(&:first)
          rows = order.first(STEPS).map { |step| times_of(step_name(step), times[step]) }
          rows.unshift(times_of(WHOLE, stats.runs)) if stats.runs.runs.positive?
          rest = tag(:p, "The slowest #{STEPS} of #{order.size} steps.", class: "quiet") if order.size > STEPS
          section("Steps", tag(:p, "Times are those of the steps that succeeded in the last #{TIMES} runs.", class: "quiet"),
                  table("Steps", STEP_HEADS, rows, class: "numbers"), rest)
        end

        def step_name(step)
          shown = runs.any? ? link(step_url(step), caption(step)) : text(caption(step))
          declared[step] ? shown + tag(:p, text(caption(declared[step], 200)), class: "quiet") : shown
        end

        def step_url(step)
          view.url("runs", runs.first.run_id, "steps", step)
        end

        def times_of(label, times)
          return line(label, "", "", "", "", "") unless times

          trend = times.trend && format("%+d %%", ((times.trend - 1) * 100).round)
          line(label, seconds(times.median), seconds(times.p95), seconds(times.last), trend, times.runs)
        end
      end
    end
  end
end
