# frozen_string_literal: true

require "net/http"
require "timeout"
require "zlib"

module Flowline
  module Telemetry
    # Sends the bodies of one signal with HTTP. One thread calls it.
    # @api private
    class Sender
      # The statuses of servers that may take the same request later.
      LATER = %w[429 502 503 504].freeze
      # The most bytes of an answer, and the most characters of its words that are shown.
      LONGEST = 1 << 16
      SHOWN = 300
      # The time of a request is up.
      class Late < StandardError
      end
      private_constant :LATER, :LONGEST, :SHOWN, :Late

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
      rescue Error # It is no address, as the reason says.
        "the collector"
      end

      # @param body [String] JSON
      # @param seconds [Numeric] how long the request may take
      # @return [Answer]
      def post(body, seconds = @settings.timeout)
        Timeout.timeout(seconds, Late) { exchange(connection(seconds), request(body)) } # Net::HTTP limits each read.
      rescue Late
        close
        Answer.new(:later, "it has not answered within #{seconds} s", 0)
      rescue Error => e # Of the settings.
        Answer.new(:refused, e.message, 0)
      rescue StandardError => e
        close
        Answer.new(:later, shown("#{e.class}: #{Error.words(e)}"), 0)
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

      # @return [Answer]
      # @raise [IOError] the answer does not end
      def exchange(connection, request)
        body = +""
        response = connection.request(request) do |incoming|
          incoming.read_body do |part|
            raise IOError, "its answer has more than #{LONGEST} bytes" if (body << part).bytesize > LONGEST
          end
        end
        answer(response, body)
      end

      def answer(response, body)
        return Answer.new(:sent, *partly(body)) if Net::HTTPSuccess === response

        wait = Float(response["Retry-After"] || "", exception: false)
        Answer.new(LATER.include?(response.code) ? :later : :refused, shown("it answered #{response.code} #{response.message}"), 0, wait)
      end

      # @return [String] words of the server, for people
      def shown(text)
        Text.line(Error.text(text))[0, SHOWN]
      end

      # @return [Array(String, Integer)] what a server has to say about a request that it has taken in part
      def partly(body)
        part = ::JSON.parse(body.to_s)["partialSuccess"] || {}
        [part["errorMessage"]&.then { |text| shown(text) }, part["rejectedSpans"].to_i]
      rescue ::JSON::ParserError, TypeError, NoMethodError
        [nil, 0]
      end
    end
  end
end
