# frozen_string_literal: true

module Flowline
  class Web
    module Pages
      # Cancels a run, after it has said what will happen.
      # @api private
      class Cancel < Page
        # Names in a list.
        NAMES = 20
        private_constant :NAMES

        # (see Page#title)
        def title
          "Cancel #{caption(run.pipeline)}"
        end

        # (see Page#status)
        def status
          @refused ? 409 : 200
        end

        # (see Page#body)
        def body
          id = link(view.url("runs", run.run_id), run.run_id)
          [tag(:h1, text(title)), tag(:p, "Run #{id}, #{state(run.status)}, since #{moment(run.started_at)}"),
           *(run.alive? ? [effect, buttons] : [over])].compact.join("\n")
        end

        # Asks the run to end, as +flowline cancel+ does.
        # @return [String, nil]
        def submit
          now = view.request.form["now"] == "1"
          @refused = !Flowline::Run.cancel(run.run_id, now: now, by: "#{view.who}@web", root: view.history.root)
          return if @refused

          view.audit(now ? :cancel_now : :cancel, run: run.run_id, pipeline: run.pipeline)
          view.url("runs", run.run_id)
        end

        private

        def run
          @run ||= view.run(@ids.first)
        end

        def over
          tag(:p, "The run has ended, so there is nothing to cancel.")
        end

        def effect
          live = run.live
          running = live ? live.steps.select(&:running?).map(&:name) : []
          clean_ups = run.clean_ups - running
          rest = live ? live.total - live.ended - running.size - clean_ups.size : 0
          facts = { "Steps that run now, and finish first unless they are stopped" => running,
                    "Clean-ups that run nevertheless" => clean_ups }
          [*facts.map { |title, names| section(title, names.empty? ? tag(:p, "none", class: "quiet") : list(shown(names))) },
           (tag(:p, "#{rest} further #{rest == 1 ? "step does" : "steps do"} not start.") if rest.positive?)].compact.join
        end

        def shown(names)
          list = names.first(NAMES).map { |name| link(view.url("runs", run.run_id, "steps", name), caption(name)) }
          names.size > NAMES ? [*list, "#{names.size - NAMES} more"] : list
        end

        def buttons
          return tag(:p, "You may look and not cancel it.", class: "quiet") unless view.act?

          url = view.url("runs", run.run_id, "cancel")
          tag(:div, [form(url, tag(:button, "Cancel: finish what runs", class: "danger")),
                     form(url, tag(:button, "Cancel now: stop what runs, too", name: "now", value: "1", class: "danger")),
                     link(view.url("runs", run.run_id), "Back")], class: "buttons")
        end
      end
    end
  end
end
