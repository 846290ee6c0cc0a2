# frozen_string_literal: true

module Flowline
  class Web
    module Pages
      # Resumes a run that did not succeed, with its params. Secrets are not recorded and have to be typed again.
      # @api private
      class Resume < Proposal
        # The names in a list.
        NAMES = 20
        private_constant :NAMES

        # (see Page#title)
        def title
          "Resume #{caption(pipeline)}"
        end

        # (see Page#body)
        def body
          obstacle ? [way, tag(:h1, text(title)), *facts, tag(:p, obstacle)].join("\n") : super
        end

        # (see Proposal#submit)
        def submit
          super unless obstacle
        end

        private

        def run
          @run ||= view.run(@ids.first)
        end

        def pipeline
          run.pipeline
        end

        # Why it cannot be resumed.
        def obstacle
          return "It goes on, so there is nothing to resume." if run.alive?
          return "It succeeded, so there is nothing to resume." unless run.failed?

          "It was resumed by #{link(view.url("runs", run.resumed_by), run.resumed_by)}." if run.resumed_by
        end

        def facts
          params = run.params.map { |name, value| tag(:dt, text(caption(name))) + tag(:dd, code(caption(value || "nil", 400))) }
          which = "Run #{link(view.url("runs", run.run_id), run.run_id)}, #{state(run.status)}, started #{moment(run.started_at)}"
          [tag(:p, which), (tag(:dl, params) if params.any?)].compact
        end

        # The facts of history. The plan knows more.
        def about
          return facts if @plan

          done = run.recorded
          rest = run.steps.map(&:name) - done
          [*facts, section("#{done.size} of #{done.size + rest.size} steps can be restored",
                           tag(:p, "Restored, unless their code has changed: #{names(done)}."),
                           tag(:p, "The others run, if their conditions are met: #{names(rest)}."))]
        end

        def names(list)
          return "none" if list.empty?

          shown = list.first(NAMES).map { |name| text(caption(name, 60)) }
          list.size > NAMES ? "#{shown.join(", ")} and #{list.size - NAMES} more" : shown.join(", ")
        end

        def params
          definition.params.values.select(&:secret?)
        end

        def options
          { resume: run.run_id }
        end

        def resumes
          run.run_id
        end

        def verb
          "Resume the run"
        end

        def address
          view.url("runs", run.run_id, "resume")
        end

        def back
          view.url("runs", run.run_id)
        end
      end
    end
  end
end
