# frozen_string_literal: true

require "fileutils"
require "rbconfig"
require "tmpdir"

# An application with jobs, in a folder of its own: its file, the processes of its worker, and what its steps have noted.
class JobApp
  LIMIT = 60

  # @return [String]
  attr_reader :folder

  # @param source [String] the code of the application
  # @param env [Hash{String => String}] the environment of its processes
  def initialize(source, env = {})
    @folder = File.realpath(Dir.mktmpdir("jobs"))
    @env = { "FLOWLINE_ROOT" => File.join(@folder, "store"), **env }
    @pids = []
    File.write(path("app.rb"), source)
  end

  # @return [String]
  def path(name)
    File.join(folder, name)
  end

  # @return [Array<String>] the lines that steps have written into the file +calls+
  def calls
    File.exist?(path("calls")) ? File.readlines(path("calls"), chomp: true) : []
  end

  # @return [String] what the workers have written
  def log
    File.exist?(path("log")) ? File.read(path("log")) : ""
  end

  # Lets the steps go on that wait for this file.
  def touch(name)
    FileUtils.touch(path(name))
  end

  # Starts a worker.
  # @return [Integer] its process
  def start(*command)
    log = [path("log"), "a"]
    pid = Process.spawn(@env, RbConfig.ruby, "-I#{Processes::LIB}", *command, chdir: folder, out: log, err: log, pgroup: true)
    @pids << pid
    pid
  end

  # Waits until a process has ended.
  # @return [Process::Status]
  def wait(pid)
    status = nil
    await("process #{pid} ends") { status = Process.wait2(pid, Process::WNOHANG)&.last }
    @pids.delete(pid)
    status
  end

  # Sends a signal to a worker, and waits for its end.
  # @return [Process::Status]
  def end_worker(pid, signal = :TERM)
    Process.kill(signal, pid)
    wait(pid)
  end

  # @yieldreturn [Object] a true value when it is time
  def await(what)
    limit = Process.clock_gettime(Process::CLOCK_MONOTONIC) + LIMIT
    until (found = yield)
      raise "not in time: #{what}\n#{log}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > limit

      sleep(0.02)
    end
    found
  end

  # @return [Array<Flowline::History::Run>] its runs, the first one first
  def runs
    Flowline::History.runs(root: path("store")).reverse
  end

  # Ends what is left of it.
  def close
    @pids.each do |pid|
      Process.kill(:KILL, -pid)
      Process.wait(pid)
    rescue SystemCallError
      next # It has ended.
    end
    FileUtils.rm_rf(folder)
  end

  # The environment of its processes.
  attr_reader :env
end
