# frozen_string_literal: true

require "json"
require "net/http"
require "socket"

# Real servers for the web page, on free ports, and clients for them. All end with the example.
module WebServers
  # Seconds within which a server starts, answers and ends.
  LIMIT = 20

  # Follows a run as a browser does, and remembers what it is sent.
  class Follower
    attr_reader :text, :socket

    def initialize(port, path, **headers)
      @socket = TCPSocket.new("127.0.0.1", port)
      @socket.write("GET #{path} HTTP/1.1\r\nHost: 127.0.0.1:#{port}\r\n#{headers.map { |name, value| "#{name}: #{value}\r\n" }.join}\r\n")
      @text = +""
    end

    # Reads until the block is content with what was read.
    # @return [Object] what the block returns
    def read_until(limit = LIMIT)
      give_up = Process.clock_gettime(Process::CLOCK_MONOTONIC) + limit
      until (value = yield(@text))
        raise "nothing of the kind was sent, but #{@text[-500..] || @text}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > give_up

        chunk = @socket.read_nonblock(65_536, exception: false)
        break if chunk.nil?

        chunk == :wait_readable ? @socket.wait_readable(0.05) : @text << chunk
      end
      value
    end

    # @return [Array<Hash>] the changes so far
    def changes
      @text.scan(/^data: (\{"cursor".*)\n/).map { |(json)| JSON.parse(json) }
    end

    # @return [String] the last id of an event
    def last_id
      @text.scan(/^id: (.*)$/).last&.first
    end
  end

  # Serves an application in a thread with Puma.
  # @return [Integer] the port
  def serve(app, threads: 2, port: 0)
    require "puma"
    require "puma/server"
    events = defined?(Puma::LogWriter) ? Puma::Events.new : Puma::Events.strings
    server = Puma::Server.new(app, events, { min_threads: 0, max_threads: threads })
    port = server.add_tcp_listener("127.0.0.1", port).addr[1]
    server.run
    servers[port] = server
    port
  rescue LoadError
    raise if ENV["CI"]

    skip "needs puma"
  end

  # Ends a server.
  def stop_server(port)
    servers.delete(port)&.stop(true)
  end

  def follow(port, path, **headers)
    Follower.new(port, path, **headers).tap { |follower| followers << follower }
  end

  # @return [Net::HTTPResponse]
  def get(port, path, **headers)
    Net::HTTP.start("127.0.0.1", port, read_timeout: LIMIT) { |http| http.get(path, headers.transform_keys(&:to_s)) }
  end

  def servers
    @servers ||= {}
  end

  def followers
    @followers ||= []
  end

  def end_servers
    followers.each { |follower| follower.socket.close unless follower.socket.closed? }
    servers.each_key.to_a.each { |port| stop_server(port) }
  end
end

RSpec.configure do |config|
  config.include WebServers
  config.after { end_servers }
end
