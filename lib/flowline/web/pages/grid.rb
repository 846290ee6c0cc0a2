# frozen_string_literal: true

module Flowline
  class Web
    module Pages
      # The last runs of a pipeline, a column each, and its steps, a row each. Of many steps a page is shown, those first that failed.
      # @api private
      class Grid < Page
        # The runs and the steps of a page.
        RUNS = 20
        ROWS = 60
        private_constant :RUNS, :ROWS

        # (see Page#title)
        def title
          "#{caption(name)}: runs and steps"
        end

        # (see Page#body)
        def body
          raise Refusal.new(404, "There is no pipeline #{caption(name)}.") unless known?

          [tag(:p, link(view.url("pipelines", name), caption(name)), class: "way"), tag(:h1, text(title)), search,
           *(grid.nil? || grid.runs.empty? ? tag(:p, "It has no #{"earlier " if before}runs.") : [note, chart, pages])].compact.join("\n")
        end

        private

        def name
          @ids.first
        end

        def known?
          grid&.runs&.any? || view.pipelines.key?(name) || view.history.runs(pipeline: name, limit: 1).any?
        end

        def grid
          @grid ||= view.history.grid(name, last: RUNS, before: before, text: wanted, limit: ROWS, offset: offset)
        end

        def before
          view.request.query["before"]
        end

        def wanted
          view.request.query["text"].to_s.strip
        end

        # The position of the first step.
        def offset
          view.request.query["from"].to_s[/\A\d{1,6}\z/].to_i
        end

        def search
          label = tag(:label, "Step#{input(type: "search", name: "text", value: wanted)}")
          tag(:form, [label, tag(:button, "Show")], action: view.url("pipelines", name, "grid"), class: "fields", role: "search")
        end

        def note
          return tag(:p, "No step is like that.") if grid.names.empty?

          range = "#{offset + 1} to #{offset + grid.names.size} of #{grid.total} steps" if grid.total > grid.names.size
          tag(:p, "The latest run is on the left.#{" Steps #{range}, those first that failed in one of these runs." if range}", class: "quiet")
        end

        def chart
          rows = grid.names.map { |step| line(text(caption(step)), *grid.runs.map { |run| cell(run, step) }) }
          table("Runs and steps", ["Step", *grid.runs.map { |run| head(run) }], rows, class: "grid") if rows.any?
        end

        def head(run)
          time = run.started_at.strftime("%m-%d\n%H:%M")
          about = "#{word(run.status)}, #{seconds(run.duration)}"
          tag(:a, text(time), href: view.url("runs", run.run_id), class: "state #{run.status}", title: about)
        end

        def cell(run, name)
          step = grid[run, name]
          status = step ? step.status : open_status(run, name)
          return "" unless status

          took = ", #{seconds(step.duration)}" if step&.duration
          tag(:a, "", href: view.url("runs", run.run_id, "steps", name), class: "state #{status}", aria_label: "#{word(status)}#{took}")
        end

        # How a step stands that has not ended.
        def open_status(run, name)
          return unless %i[running crashed].include?(run.status)

          @live ||= {}.compare_by_identity
          step = (@live[run] ||= [run.live]).first&.step(name) or return
          step.running? ? :running : :waiting
        end

        def pages
          address = ->(**fields) { view.url("pipelines", name, "grid", **{ text: wanted, from: offset, before: before }.merge(fields)) }
          links = [(link(address.call(from: [offset - ROWS, 0].max), "Steps before") if offset.positive?),
                   (link(address.call(from: offset + ROWS), "Further steps") if offset + ROWS < grid.total),
                   (link(address.call(before: nil), "Latest runs") if before),
                   (link(address.call(before: grid.runs.last.run_id), "Older runs") if grid.runs.size == RUNS)].compact
          tag(:p, links.join(" "), class: "actions") if links.any?
        end
      end
    end
  end
end
