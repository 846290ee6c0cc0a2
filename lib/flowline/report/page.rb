# frozen_string_literal: true

require "digest"

module Flowline
  class Report
    # An HTML page of one file: its stylesheet and its script are in it, and its policy allows nothing else. It makes no
    # request to anywhere.
    # @api private
    class Page
      ESCAPES = { "&" => "&amp;", "<" => "&lt;", ">" => "&gt;", '"' => "&quot;", "'" => "&#39;" }.freeze
      private_constant :ESCAPES

      # @param name [String] a file in this directory
      # @return [String] its content
      def self.asset(name)
        (@assets ||= {})[name] ||= File.read("#{__dir__}/#{name}", encoding: "UTF-8").freeze
      end

      # @param value [Object]
      # @return [String] text for an element or a quoted attribute
      def self.text(value)
        Text.plain(value.to_s.encode("UTF-8", invalid: :replace, undef: :replace).scrub).gsub(/[&<>"']/, ESCAPES)
      end

      # @param title [String]
      # @param body [String] HTML
      # @param script [String, nil] an ES module
      def initialize(title, body, script: nil)
        @title = title
        @body = body
        @script = script
        @style = Page.asset("picture.css") + Page.asset("page.css")
      end

      # @return [String]
      def to_s
        <<~HTML
          <!doctype html>
          <html lang="en">
          <head>
          <meta charset="utf-8">
          <meta http-equiv="Content-Security-Policy" content="#{policy}">
          <meta name="viewport" content="width=device-width, initial-scale=1">
          <title>#{Page.text(@title)}</title>
          <style>#{@style}</style>
          </head>
          <body>
          #{@body}
          #{"<script type=\"module\">#{@script}</script>" if @script}
          </body>
          </html>
        HTML
      end

      private

      def policy
        script = @script ? "'sha256-#{hash(@script)}'" : "'none'"
        "default-src 'none'; style-src 'sha256-#{hash(@style)}'; script-src #{script}; img-src data:; base-uri 'none'; form-action 'none'"
      end

      def hash(text)
        Digest::SHA256.base64digest(text)
      end
    end
  end
end
