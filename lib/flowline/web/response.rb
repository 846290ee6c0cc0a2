# frozen_string_literal: true

require "zlib"

module Flowline
  class Web
    # An answer. All headers are set here.
    # @api private
    class Response
      # Nothing is loaded or sent that is not allowed here: scripts only with the nonce of the page, styles, data and forms only of
      # this host. No other page may frame it or learn its address. (With the policy "no-referrer", browsers would send no Origin.)
      POLICY = "default-src 'none'; script-src %s; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; " \
               "base-uri 'none'; frame-ancestors 'none'"
      HEADERS = { "x-content-type-options" => "nosniff", "referrer-policy" => "same-origin", "x-frame-options" => "DENY",
                  "cross-origin-opener-policy" => "same-origin", "cross-origin-resource-policy" => "same-origin" }.freeze
      PRIVATE = "no-store"
      FOREVER = "private, max-age=31536000, immutable"
      # Bytes from which compression is worth it.
      SMALL = 1024
      # Statuses of answers without a body.
      BARE = [204, 304].freeze
      private_constant :POLICY, :HEADERS, :PRIVATE, :FOREVER, :SMALL, :BARE

      class << self
        # @param html [String]
        # @param nonce [String] of its scripts
        # @param headers [Hash{String => String}] further ones
        # @return [Response]
        def page(html, nonce, headers = {}, status: 200)
          new(status, "text/html; charset=utf-8", html, headers, script: "'nonce-#{nonce}'")
        end

        # @param json [String]
        # @return [Response]
        def json(json)
          new(200, "application/json; charset=utf-8", json)
        end

        # @param asset [Assets::Asset]
        # @return [Response]
        def asset(asset)
          new(200, asset.type, asset.body, { "cache-control" => FOREVER, "etag" => asset.etag }, zipped: asset.zipped)
        end

        # @param body [#each] what is sent at once
        # @param headers [Hash{String => Object}] with the block that gets the connection, if the server hands it over
        # @return [Response] events
        def stream(body, headers = {})
          headers = { "cache-control" => "no-store, no-transform", "x-accel-buffering" => "no", **headers }
          new(200, "text/event-stream; charset=utf-8", body, headers)
        end

        # @return [Response] that there is nothing more
        def nothing
          new(204, nil, "")
        end

        # @return [Response] that what the browser has is still right
        def unchanged(etag)
          new(304, nil, "", { "cache-control" => FOREVER, "etag" => etag })
        end

        # @param html [String] a page of one file, to be stored
        # @param file [String] its name, of letters, digits, dots and dashes
        # @return [Response]
        def download(html, file)
          new(200, "text/html; charset=utf-8", html, { "content-disposition" => "attachment; filename=\"#{file}\"" })
        end

        # @param url [String] where the browser goes after a form was sent
        # @return [Response]
        def redirect(url)
          new(303, "text/plain; charset=utf-8", "See #{url}\n", { "location" => url })
        end

        # @param refusal [Refusal]
        # @return [Response] in plain text, for readers of whom nothing is known
        def refusal(refusal)
          new(refusal.status, "text/plain; charset=utf-8", "#{refusal.message}\n")
        end
      end

      # @param status [Integer]
      # @param type [String, nil] the type of its content
      # @param body [String, #each]
      # @param headers [Hash{String => String}] further ones
      # @param script [String] the source of scripts in the policy
      # @param zipped [String, nil] the body, if it is compressed already
      def initialize(status, type, body, headers = {}, script: "'none'", zipped: nil)
        @status = status
        @body = body
        @zipped = zipped
        @headers = { "content-security-policy" => format(POLICY, script), **HEADERS, "cache-control" => PRIVATE, **headers }
        @headers["content-type"] = type if type
      end

      # @param request [Request]
      # @return [Array(Integer, Hash, #each)] for Rack
      def to_rack(request)
        return [@status, @headers, []] if BARE.include?(@status)
        return request.head? ? [@status, @headers.except("rack.hijack"), []] : [@status, @headers, @body] unless @body.is_a?(String)

        body = compressed(request)
        [@status, { **@headers, "content-length" => body.bytesize.to_s }, request.head? ? [] : [body]]
      end

      private

      def compressed(request)
        return @body if @body.bytesize < SMALL

        @headers["vary"] = "accept-encoding"
        return @body unless request.gzip?

        @headers["content-encoding"] = "gzip"
        @zipped || Zlib.gzip(@body, level: 6)
      end
    end
  end
end
