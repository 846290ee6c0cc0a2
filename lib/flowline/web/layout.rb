# frozen_string_literal: true

module Flowline
  class Web
    # The frame of every page: its head, and the way to the others.
    # @api private
    class Layout
      include Report::Markup

      ICON = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E" \
             "%3Cpath d='M2 4h5l3 8h4' fill='none' stroke='%230a5fc4' stroke-width='3'/%3E%3C/svg%3E"
      private_constant :ICON

      # @param view [View]
      # @param page [Page]
      def initialize(view, page)
        @view = view
        @page = page
      end

      # @return [String] HTML
      def to_s
        body = @page.body # First: the title may depend on it.
        <<~HTML
          <!doctype html>
          <html lang="en">
          <head>
          <meta charset="utf-8">
          <meta name="viewport" content="width=device-width, initial-scale=1">
          <title>#{text(short(@page.title, 120))} · Flowline</title>
          <link rel="icon" href="#{ICON}">
          <link rel="stylesheet" href="#{text(@view.asset("flowline.css"))}">
          <script type="module" nonce="#{@view.nonce}" src="#{text(@view.asset("flowline.js"))}"></script>
          </head>
          <body>
          <a class="skip" href="#main">Skip to the content</a>
          #{navigation}
          #{main(body)}
          </body>
          </html>
        HTML
      end

      private

      def main(body)
        address, cursor = @page.live
        fresh = @page.fresh.join(" ") if @page.fresh.any?
        tag(:main, "\n#{body}\n", id: "main", data_live: address, data_cursor: cursor, data_fresh: fresh, data_now: Time.now.to_f.round(1))
      end

      def navigation
        links = { "Flowline" => @view.url, "Runs" => @view.url("runs") }
        tag(:nav, links.map { |name, url| tag(:a, name, href: url, aria_current: ("page" if here?(url))) }, aria_label: "Flowline", class: "top")
      end

      def here?(url)
        @view.url(*@view.request.segments) == url
      end
    end
  end
end
