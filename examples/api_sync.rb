# frozen_string_literal: true

# Copies changed orders from the API of a shop to the API of a warehouse, with net/http and nothing else.
#
#   ruby examples/api_sync/servers.rb                             # in another terminal: both servers
#   flowline run examples/api_sync.rb --executor parallel         # copies 60 orders
#   flowline run examples/api_sync.rb --executor parallel         # copies what has changed since
#   flowline resume examples/api_sync.rb                          # after Ctrl-C, a crash or a failure: only the rest
#
# - The shop lists changes in pages. The Enumerator of `changes` reads a page when its last change was taken.
# - Both servers limit requests. `rate:` stays below the limit. If a server still answers 429, because others use it too, the
#   order is tried again after the time that the server has asked for. Meanwhile it occupies no worker.
# - Each order is recorded as soon as it is read, and again as soon as it is sent.
# - `ctx.state` holds the number of the last change that was copied. It moves only if the whole run succeeds.

require "flowline"
require "json"
require "net/http"
require "time"

module ApiSync
  # A server has no time now: 429, or 503 with Retry-After.
  class Busy < StandardError
    attr_reader :seconds

    # @param advice [String, nil] the header Retry-After: seconds, or a time
    def initialize(advice)
      @seconds = advice.to_s.match?(/\A\d+\z/) ? advice.to_i : [Time.httpdate(advice.to_s) - Time.now, 0].max
    rescue ArgumentError
      @seconds = 1
    ensure
      super("the server asks to wait for #{@seconds} s")
    end
  end

  Unavailable = Class.new(StandardError)
  Refused = Class.new(StandardError)

  # Worth another attempt. A wrong token or a wrong address is not.
  TEMPORARY = [Busy, Unavailable, EOFError, Errno::ECONNRESET, Errno::ETIMEDOUT, Net::OpenTimeout, Net::ReadTimeout].freeze

  Api = Struct.new(:url, :token) do
    def get(path) = request(Net::HTTP::Get, path)
    def put(path, body) = request(Net::HTTP::Put, path, JSON.generate(body))

    # Returns all changes after a number, page by page. Flowline retries calls of steps; this is called between them, so it
    # waits itself.
    def changes(after)
      Enumerator.new do |changes|
        position = after
        loop do
          page = get("/changes?after=#{position}&limit=25")
          break if page.empty?

          page.each { |change| changes << change }
          position = page.last["change"]
        rescue Busy => e
          sleep(e.seconds)
        end
      end
    end

    private

    def request(kind, path, body = nil)
      uri = URI.join(url, path)
      request = kind.new(uri, "Authorization" => "Bearer #{token}", "Content-Type" => "application/json")
      request.body = body
      answer = Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == "https", open_timeout: 5, read_timeout: 20) { |http| http.request(request) }
      case answer
      when Net::HTTPSuccess then JSON.parse(answer.body)
      when Net::HTTPTooManyRequests, Net::HTTPServiceUnavailable then raise Busy, answer["Retry-After"]
      when Net::HTTPServerError then raise Unavailable, "#{path}: #{answer.code} #{answer.message}"
      else raise Refused, "#{path}: #{answer.code} #{answer.message}"
      end
    end
  end

  PIPELINE = Flowline.define(name: "api_sync", exclusive: true) do
    param :shop, type: :string, default: "http://127.0.0.1:8081", description: "The API to read"
    param :warehouse, type: :string, default: "http://127.0.0.1:8082", description: "The API to write"
    param :token, type: :string, secret: true, default: ENV.fetch("API_TOKEN", "let-me-in"), description: "The token for both"

    defaults retries: 9, retry_if: ->(error) { TEMPORARY.any? { |kind| error.is_a?(kind) } },
             retry_delay: ->(attempt, error) { error.is_a?(Busy) ? error.seconds : [0.1 * (2**attempt), 10].min }

    # Without a record, because an Enumerator cannot be stored: a resumed run lists the changes again, and reads no order twice.
    step(:changes, checkpoint: false) do |ctx, shop:, token:|
      Api.new(shop, token).changes(ctx.state.fetch(:change, 0))
    end

    step :orders, each: :changes, rate: "35/s", label: ->(change) { "order #{change["id"]}" } do |change, shop:, token:|
      Api.new(shop, token).get("/orders/#{change["id"]}")
    end

    # PUT may be repeated: a step runs at least once.
    step :send, each: :orders, rate: "35/s", label: ->(order) { "order #{order["id"]}" } do |order, warehouse:, token:|
      Api.new(warehouse, token).put("/orders/#{order["id"]}", order)["id"]
    end

    step :remember, depends_on: %i[orders send] do |orders, sent, ctx|
      ctx.state[:change] = [ctx.state.fetch(:change, 0), *orders.map { |order| order["change"] }].max
      puts "#{sent.size} orders copied; the last change is #{ctx.state[:change]}"
    end
  end
end

exit ApiSync::PIPELINE.run(reporter: :console, executor: :parallel, resume: true).success? if $PROGRAM_NAME == __FILE__
