# frozen_string_literal: true

module Flowline
  class Web
    module Pages
      # Says why a request was not answered.
      # @api private
      class Failure < Page
        TITLES = { 403 => "Not allowed", 404 => "Not found", 405 => "Not possible here", 503 => "Not available" }.freeze
        private_constant :TITLES

        # @param view [View]
        # @param refusal [Refusal]
        def initialize(view, refusal)
          super
          @refusal = refusal
        end

        # (see Page#status)
        def status
          @refusal.status
        end

        # (see Page#title)
        def title
          TITLES.fetch(status, "Not understood")
        end

        # (see Page#body)
        def body
          [tag(:h1, title), tag(:p, text(@refusal.message)), tag(:p, link(view.url, "All pipelines"))].join("\n")
        end
      end
    end
  end
end
