# frozen_string_literal: true

module Flowline
  class Web
    module Pages
      # Starts a run of a pipeline with params.
      # @api private
      class Start < Proposal
        # (see Page#title)
        def title
          "Run #{caption(pipeline)}"
        end

        private

        def pipeline
          @ids.first
        end

        def about
          [(tag(:p, text(short(definition.description, 2_000))) if definition.description)].compact
        end

        def params
          definition.params.values
        end

        def options
          {}
        end

        def resumes
          nil
        end

        def verb
          "Start the run"
        end

        def address
          view.url("pipelines", pipeline, "start")
        end

        def back
          view.url("pipelines", pipeline)
        end
      end
    end
  end
end
