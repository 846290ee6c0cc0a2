# frozen_string_literal: true

require "net/http"
require "zlib"

module Flowline
  module Telemetry
    # Sends the bodies of one signal with HTTP. One thread calls it.
    # @api private
    class Sender
      # The statuses of servers that may take the same request later.
      LATER = %w[429 502 503 504].freeze
      private_constant :LATER

      # How a request went: +:sent+, +:refused+ (it is not to be sent again) or +:later+; why, if it was not sent; how many spans the
      # server has not taken; and after how many seconds it asks for the next request.
      Answer = Struct.new(:outcome, :reason, :rejected, :wait)

      # @param settings [Settings]
      # @param signal [String] +"traces"+ or +"metrics"+
      def initialize(settings, signal)
        @settings = settings
        @signal = signal
      end

      # @return [String] for messages, without a password
      def address
        @settings.endpoint(@signal).to_s.sub(%r{(?<=//)[^/@]*@}, "")
      end

      # @param body [String] JSON
      # @param seconds [Numeric] how long the request may take
      # @return [Answer]
      def post(body, seconds = @settings.timeout)
        answer(connection(seconds).request(request(body)))
      rescue Error => e # Of the settings.
        Answer.new(:refused, e.message, 0)
      rescue StandardError => e
        close
        Answer.new(:later, "#{e.class}: #{Error.words(e)}", 0)
      end

      # @return [void]
      def close
        @connection&.finish if @connection&.started?
      rescue IOError
        nil # It was closed.
      ensure
        @connection = nil
      end

      private

      # Connections are reused. Net::HTTP opens one again after a pause.
      def connection(seconds)
        @connection ||= build
        @connection.open_timeout = @connection.read_timeout = @connection.write_timeout = seconds
        @connection.start unless @connection.started?
        @connection
      end

      def build
        uri = @settings.endpoint(@signal)
        Net::HTTP.new(uri.hostname, uri.port).tap do |http|
          http.use_ssl = uri.scheme == "https"
          http.ca_file = @settings.certificate if @settings.certificate
          http.keep_alive_timeout = 30
          http.max_retries = 0
        end
      end

      def request(body)
        uri = @settings.endpoint(@signal)
        request = Net::HTTP::Post.new(uri.request_uri, { "Content-Type" => "application/json", "User-Agent" => "flowline/#{VERSION}" })
        request.basic_auth(*[uri.user, uri.password].map { |text| URI.decode_www_form_component(text.to_s) }) if uri.user
        @settings.headers(@signal).each { |name, value| request[name] = value }
        request["Content-Encoding"] = "gzip" if @settings.gzip?(@signal)
        request.body = @settings.gzip?(@signal) ? Zlib.gzip(body) : body
        request
      end

      def answer(response)
        return Answer.new(:sent, *partly(response.body)) if Net::HTTPSuccess === response

        wait = Float(response["Retry-After"] || "", exception: false)
        Answer.new(LATER.include?(response.code) ? :later : :refused, "it answered #{response.code} #{response.message}", 0, wait)
      end

      # @return [Array(String, Integer)] what a server has to say about a request that it has taken in part
      def partly(body)
        part = ::JSON.parse(body.to_s)["partialSuccess"] || {}
        [part["errorMessage"], part["rejectedSpans"].to_i]
      rescue ::JSON::ParserError, TypeError, NoMethodError
        [nil, 0]
      end
    end
  end
end
