# frozen_string_literal: true

# Two HTTP servers for examples/api_sync.rb: a shop that has orders, and a warehouse that wants a copy of them.
#
#   ruby examples/api_sync/servers.rb [SHOP_PORT WAREHOUSE_PORT]
#
# Each allows so many requests a second, and answers further ones with 429 and the header Retry-After. Other clients use the
# warehouse as well, so that some requests of the example get this answer although it sends fewer.

require "json"
require "socket"
require "time"

module ApiSync
  # A server for JSON that is small enough to read. Subclasses have `answer`.
  class Server
    STATUS = { 200 => "OK", 401 => "Unauthorized", 404 => "Not Found", 429 => "Too Many Requests" }.freeze

    attr_reader :port

    # @param limit [Integer] how many requests a second it answers
    # @param busy [Integer, nil] of how many requests one finds that others have used up the limit
    def initialize(port, limit:, busy: nil, token: "let-me-in")
      @socket = TCPServer.new("127.0.0.1", port)
      @port = @socket.addr[1]
      @limit = limit
      @busy = busy
      @token = token
      @lock = Mutex.new
      @recent = [] # When it answered requests, in the last second.
      @again = {}  # When it asked the sender of a request to come back, by request.
      @log = []
      @orders = {}
    end

    def start
      Thread.new { loop { Thread.new(@socket.accept) { |client| serve(client) } } }
    end

    private

    def serve(client)
      verb, path, = client.gets.to_s.split
      headers = client.each_line(chomp: true).take_while { |line| !line.empty? }.to_h { |line| line.split(": ", 2) }.transform_keys(&:downcase)
      body = client.read(headers.fetch("content-length", 0).to_i)
      status, answer, more = @lock.synchronize { respond(verb, path, headers, body) }
      text = JSON.generate(answer)
      client.write("HTTP/1.1 #{status} #{STATUS.fetch(status)}\r\nContent-Type: application/json\r\nContent-Length: #{text.bytesize}\r\n" \
                   "Connection: close\r\n#{more.to_h.map { |name, value| "#{name}: #{value}\r\n" }.join}\r\n#{text}")
    rescue Errno::EPIPE, Errno::ECONNRESET
      nil # The client has gone.
    ensure
      client.close
    end

    def respond(verb, path, headers, body)
      return [200, @log] if path == "/log"

      early = @again.delete([verb, path]).to_f > now
      status, answer, more = admit(verb, path, headers) || answer(verb, path, body.empty? ? nil : JSON.parse(body))
      @log << { verb: verb, path: path, status: status, early: early }
      [status, answer, more]
    end

    # Refuses strangers, and what is too much.
    def admit(verb, path, headers)
      return [401, { error: "wrong token" }] if headers["authorization"] != "Bearer #{@token}"

      @recent.reject! { |time| time <= now - 1 }
      full = @recent.size >= @limit || (@busy && ((@log.size + 1) % @busy).zero?)
      return (@recent << now) && nil unless full

      @again[[verb, path]] = now + 1
      [429, { error: "more than #{@limit} requests a second" }, { "Retry-After" => 1 }]
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  # Numbers every change of an order, and lists the changes after a number: each order once, with its latest change.
  class Shop < Server
    def initialize(port, orders: 60, **options)
      super(port, **options)
      @changes = 0
      1.upto(orders) { |id| store(id, "customer" => "customer #{id % 7}", "cents" => 100 * id) }
    end

    private

    def answer(verb, path, body)
      case [verb, path]
      in ["GET", %r{\A/changes\?after=(\d+)&limit=(\d+)\z}]
        after, limit = Regexp.last_match.captures.map(&:to_i)
        changed = @orders.values.select { |order| order["change"] > after }
        [200, changed.min_by(limit) { |order| order["change"] }.map { |order| order.slice("id", "change") }]
      in ["GET", %r{\A/orders/(\d+)\z}]
        order = @orders[Regexp.last_match(1).to_i]
        order ? [200, order] : [404, { error: "no such order" }]
      in ["PUT", %r{\A/orders/(\d+)\z}] then [200, store(Regexp.last_match(1).to_i, body)]
      else [404, { error: "no such page" }]
      end
    end

    def store(id, order)
      @orders[id] = { **order, "id" => id, "change" => @changes += 1 }
    end
  end

  # Stores what it is sent. A second PUT of the same order changes nothing.
  class Warehouse < Server
    private

    def answer(verb, path, body)
      case [verb, path]
      in ["PUT", %r{\A/orders/(\d+)\z}] then [200, @orders[Regexp.last_match(1).to_i] = body]
      in ["GET", "/orders"] then [200, @orders.values]
      else [404, { error: "no such page" }]
      end
    end
  end
end

if $PROGRAM_NAME == __FILE__
  ports = [*ARGV.map(&:to_i), 8081, 8082].first(2)
  shop = ApiSync::Shop.new(ports[0], limit: 40)
  warehouse = ApiSync::Warehouse.new(ports[1], limit: 40, busy: 15)
  $stdout.puts "shop: http://127.0.0.1:#{shop.port}", "warehouse: http://127.0.0.1:#{warehouse.port}"
  $stdout.flush
  [shop, warehouse].map(&:start).each(&:join)
end
