# frozen_string_literal: true

module Flowline
  class Web
    module Pages
      # Past runs, page by page. The address has what is selected, so that it can be sent to others.
      # @api private
      class History < Page
        # The runs of a page.
        ROWS = 50
        # Characters of a text that is searched for.
        LONGEST = 1_000
        HEADS = ["Run", "Status", "Started", "Took", "Params", "Started by"].freeze
        # The choices, by their values in the address.
        STATUSES = { "" => "any", "unsuccessful" => "not successful",
                     **Flowline::History::STATUSES.to_h { |name| [name.name, name.name.tr("_", " ")] } }.freeze
        UNSUCCESSFUL = (Flowline::History::STATUSES - %i[running succeeded]).freeze
        FIELDS = %i[text status pipeline param trigger].freeze
        private_constant :ROWS, :LONGEST, :HEADS, :STATUSES, :UNSUCCESSFUL, :FIELDS

        # (see Page#title)
        def title
          "Runs"
        end

        # (see Page#body)
        def body
          runs = problem ? [] : view.history.runs(**selection, limit: ROWS + 1)
          shown = runs.first(ROWS)
          [tag(:h1, title), fields, (tag(:p, text(problem), class: "problem", role: "alert") if problem), extent(shown), listed(shown),
           pages(shown, runs.size > ROWS)].compact.join("\n")
        end

        private

        def given
          @given ||= FIELDS.to_h { |name| [name, view.request.query[name.name].to_s.strip] }
        end

        def problem
          return "The text has more than #{LONGEST} characters." if given[:text].size > LONGEST
          return "Write a param as name=value." unless given[:param].empty? || given[:param].include?("=")

          "There is no status #{short(given[:status], 40)}." unless STATUSES.key?(given[:status])
        end

        def selection
          name, value = given[:param].split("=", 2)
          status = given[:status] == "unsuccessful" ? UNSUCCESSFUL : given[:status]
          chosen = { **given.slice(:text, :pipeline, :trigger), status: status, before: view.request.query["before"].to_s }
          { **chosen.reject { |_, content| content.empty? }, params: name ? { name.to_sym => value } : {} }
        end

        def fields
          inputs = [typed(:text, "Text", type: "search", placeholder: "id, name, param or error"), choice(:status, "Status", STATUSES),
                    choice(:pipeline, "Pipeline", pipelines), typed(:param, "Param", placeholder: "date=2024-01-31"),
                    typed(:trigger, "Started by", placeholder: "cli, job, schedule")]
          tag(:form, [*inputs, tag(:button, "Show"), (link(view.url("runs"), "Clear") if given.any? { |_, value| !value.empty? })],
              action: view.url("runs"), class: "fields", role: "search")
        end

        def pipelines
          names = view.pipelines.keys | view.history.last_runs.map(&:pipeline) | [given[:pipeline]]
          { "" => "any", **names.reject(&:empty?).sort.to_h { |name| [name, caption(name, 60)] } }
        end

        def typed(name, label, **attributes)
          tag(:label, text(label) + input(name: name, value: given[name], **attributes))
        end

        def choice(name, label, values)
          options = values.map { |value, caption| tag(:option, text(caption), value: value, selected: value == given[name]) }
          tag(:label, text(label) + tag(:select, options, name: name))
        end

        def extent(runs)
          return tag(:p, problem ? "" : "No run is like that.") if runs.empty?

          range = "from #{moment(runs.last.started_at)} to #{moment(runs.first.started_at)}"
          tag(:p, "#{runs.size} #{runs.one? ? "run" : "runs"}, #{range}", class: "quiet")
        end

        def listed(runs)
          table("Runs", HEADS, runs.map { |run| row(run) }, class: "runs") if runs.any?
        end

        def row(run)
          error = tag(:p, text(caption(first_line(run.error), 160)), class: "quiet") if run.error
          line(link(view.url("runs", run.run_id), caption(run.pipeline)) + error.to_s, state(run.status), moment(run.started_at),
               seconds(run.duration), [text(given_params(run))], text(run.trigger))
        end

        def pages(runs, more)
          before = view.request.query["before"].to_s
          links = [(link(view.url("runs", **given), "Latest runs") unless before.empty?),
                   (link(view.url("runs", **given, before: runs.last.run_id), "Older runs", rel: "next") if more)]
          tag(:p, links.compact.join(" "), class: "actions") if links.any?
        end
      end
    end
  end
end
