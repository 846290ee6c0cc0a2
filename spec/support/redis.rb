# frozen_string_literal: true

require "fileutils"
require "socket"
require "tmpdir"

# A Redis server of its own: in a temporary folder, on a socket there, so that it needs no port.
class RedisServer
  LIMIT = 20

  # @return [Boolean] whether there is a redis-server
  def self.there?
    ENV["PATH"].split(":").any? { |folder| File.executable?(File.join(folder, "redis-server")) }
  end

  # @return [String]
  attr_reader :url

  def initialize
    @folder = Dir.mktmpdir("redis")
    @socket = File.join(@folder, "redis.sock")
    @url = "unix://#{@socket}"
    options = { port: 0, unixsocket: @socket, dir: @folder, save: "", appendonly: "no", daemonize: "no" }
    arguments = options.flat_map { |name, value| ["--#{name}", value.to_s] }
    @pid = Process.spawn("redis-server", *arguments, out: File.join(@folder, "log"), err: %i[child out])
    await { answers? }
  end

  # Ends it.
  def stop
    Process.kill(:TERM, @pid)
    Process.wait(@pid)
  ensure
    FileUtils.rm_rf(@folder)
  end

  private

  def answers?
    UNIXSocket.open(@socket) do |socket|
      socket.write("PING\r\n")
      return socket.gets.start_with?("+PONG")
    end
  rescue SystemCallError
    raise "redis-server does not start:\n#{File.read(File.join(@folder, "log"))}" if Process.wait(@pid, Process::WNOHANG)

    false
  end

  def await
    limit = Process.clock_gettime(Process::CLOCK_MONOTONIC) + LIMIT
    until yield
      raise "redis-server does not answer" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > limit

      sleep(0.01)
    end
  end
end
