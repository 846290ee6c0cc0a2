# frozen_string_literal: true

require "uri"

module Flowline
  class Web
    # A request, read from the environment of Rack with limits on its size.
    # @api private
    class Request
      # Bytes of a query, and of a form.
      QUERY = 16 * 1024
      FORM = 1024 * 1024
      FORMS = "application/x-www-form-urlencoded"
      private_constant :QUERY, :FORM, :FORMS

      # @return [Hash{String => Object}]
      attr_reader :env

      # @param env [Hash{String => Object}] of Rack
      def initialize(env)
        @env = env
      end

      # @return [String] +"GET"+, +"POST"+ or another method; a request for the head is +"GET"+
      def verb
        head? ? "GET" : env["REQUEST_METHOD"]
      end

      # @return [Boolean] whether the body of the answer is left out
      def head?
        env["REQUEST_METHOD"] == "HEAD"
      end

      # @return [Array<String>] the parts of the path below where the application is mounted, unescaped
      # @raise [Refusal] a part is no text
      def segments
        @segments ||= env["PATH_INFO"].to_s.split("/").drop(1).map { |part| unescape(part.gsub("+", "%2B")) }
      end

      # @return [String] the path where the application is mounted
      def mount
        env["SCRIPT_NAME"].to_s
      end

      # @return [Hash{String => String}] the fields of the query
      # @raise [Refusal] it is too long, or no text
      def query
        @query ||= begin
          text = env["QUERY_STRING"].to_s
          raise Refusal.new(414, "The query has more than #{QUERY} bytes.") if text.bytesize > QUERY

          fields(text)
        end
      end

      # @return [Hash{String => String}] the fields of a form that was sent
      # @raise [Refusal] it is no form, too long, or no text
      def form
        @form ||= fields(body)
      end

      # @return [String, nil] a header
      def header(name)
        env["HTTP_#{name.upcase.tr("-", "_")}"]
      end

      # @return [String] the host and, if there is one, the port that the request was sent to
      def host
        header("Host") || env["SERVER_NAME"].to_s
      end

      # @return [Boolean] whether the answer may be compressed
      def gzip?
        header("Accept-Encoding").to_s.match?(/\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|\z))/)
      end

      private

      def body
        return env["rack.request.form_vars"] if env["rack.request.form_vars"].is_a?(String) # Middleware has read it.

        type = env["CONTENT_TYPE"].to_s[/\A[^;\s]*/].downcase
        raise Refusal.new(415, "The body of the request is no form (#{FORMS}).") unless [FORMS, ""].include?(type)

        input = env["rack.input"]
        input.rewind if input.respond_to?(:rewind)
        text = input&.read(FORM + 1).to_s
        raise Refusal.new(413, "The form has more than #{FORM} bytes.") if text.bytesize > FORM

        text
      end

      def fields(text)
        text.split("&").reject(&:empty?).to_h do |field|
          name, value = field.split("=", 2)
          [unescape(name.to_s), unescape(value.to_s)]
        end
      end

      def unescape(part)
        text = URI.decode_www_form_component(part.b, Encoding::UTF_8)
        raise Refusal.new(400, "The address is no valid UTF-8.") unless text.valid_encoding?

        text
      rescue ArgumentError # A "%" without two digits.
        raise Refusal.new(400, "The address has a % without two hexadecimal digits.")
      end
    end
  end
end
