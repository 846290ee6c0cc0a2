# frozen_string_literal: true

module Flowline
  class Web
    module Pages
      # The first page: the failures, the runs that go on, and all pipelines.
      # @api private
      class Overview < Page
        # How many runs are looked at, and how many of a pipeline are drawn.
        RECENT = 200
        BARS = 15
        HEADS = ["Pipeline", "Last run", "Started", "Took", "Last runs"].freeze
        private_constant :RECENT, :BARS, :HEADS

        # (see Page#title)
        def title
          "Pipelines"
        end

        # (see Page#body)
        def body
          tag(:h1, title) + parts.map { |id, html| tag(:div, html, id: id) }.join("\n")
        end

        # (see Page#fresh)
        def fresh
          parts.keys
        end

        private

        def parts
          @parts ||= { "failed" => failed, "running" => running, "pipelines" => all }
        end

        def latest
          @latest ||= view.history.last_runs
        end

        def failed
          runs = latest.select(&:failed?)
          return "" if runs.empty?

          items = runs.sort_by(&:started_at).reverse.map do |run|
            tag(:li, [state(run.status), link(view.url("runs", run.run_id), caption(run.pipeline)), moment(run.started_at),
                      (tag(:span, text(short(first_line(run.error), 200)), class: "quiet") if run.error)].compact.join(" "))
          end
          section(runs.one? ? "1 pipeline failed" : "#{runs.size} pipelines failed", tag(:ul, items, class: "plain"), class: "failures")
        end

        def running
          runs = view.history.runs(status: :running, limit: 100)
          return "" if runs.empty?

          section("Running now", tag(:ul, runs.map { |run| tag(:li, running_run(run)) }, class: "plain"))
        end

        def running_run(run)
          live = run.live
          steps = live ? live.steps.first(3).map { |step| caption(step.name, 40) } : []
          [state(run.status), link(view.url("runs", run.run_id), caption(run.pipeline)), elapsed(run.started_at),
           (bar(live) if live), (tag(:span, text(steps.join(", ")), class: "quiet") if steps.any?)].compact.join(" ")
        end

        def bar(live)
          tag(:progress, "", value: live.ended, max: live.total, aria_label: "Steps that have ended") + " #{live.ended} of #{live.total} steps"
        end

        def all
          names = view.pipelines.keys | latest.map(&:pipeline)
          return nothing if names.empty?

          runs = latest.to_h { |run| [run.pipeline, run] }
          recent = view.history.runs(limit: RECENT).group_by(&:pipeline)
          rows = names.sort.map { |name| row(name, runs[name], recent.fetch(name, [])) }
          section("Pipelines", table("Pipelines", HEADS, rows))
        end

        def nothing
          tag(:p, "No pipeline has run yet in #{code(Store.path(view.history.root))}. A pipeline with a name is recorded when it runs.")
        end

        def row(name, run, recent)
          start = link(view.url("pipelines", name, "start"), "Run…", class: "action") if startable?(name)
          about = [link(view.url("pipelines", name), caption(name)), start]
          cells = run ? facts(run, recent) : ["has not run", "", "", ""]
          tag(:tr, [tag(:th, about.compact.join(" "), scope: "row"), *cells.map { |cell| tag(:td, cell) }])
        end

        def facts(run, recent)
          [tag(:a, state(run.status), href: view.url("runs", run.run_id)), moment(run.started_at), seconds(run.duration),
           Report::Bars.new(recent.first(BARS).reverse).to_s]
        end

        def startable?(name)
          view.enqueue? && view.pipelines.key?(name)
        end
      end
    end
  end
end
