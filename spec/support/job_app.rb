# frozen_string_literal: true

require "fileutils"
require "rbconfig"
require "tmpdir"
require_relative "compiled"
require_relative "processes"

# An application with jobs, in a folder of its own: its file, the processes of its worker, and what its steps have noted.
class JobApp
  LIMIT = 60

  # A pipeline of which each step notes its calls. Of its six items the third one waits for the file `go`.
  IMPORT = <<~'RUBY'
    # The file `cancelling` says that a run was asked to stop. (Its own events come when the step ends.)
    Flowline::Execution::Coordinator.prepend(Module.new { def cancel(*) = super.tap { File.write("cancelling", "") } })

    module Notes
      def self.add(line) = File.write("calls", "#{line}\n", mode: "a")

      def self.wait_for(name)
        limit = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 60
        sleep 0.01 until File.exist?(name) || Process.clock_gettime(Process::CLOCK_MONOTONIC) > limit
      end
    end

    class Import < Flowline::Pipeline
      param :date, type: :date, required: true
      param :token, secret: true, default: -> { ENV.fetch("TOKEN", "none") }
      step(:pages) { Notes.add("pages"); [1, 2, 3, 4, 5, 6] }
      step :load, each: :pages, concurrency: 1 do |page|
        Notes.add(page.to_s)
        Notes.wait_for("go") if page == 3
        page * 10
      end
      step(:sum, depends_on: :load) { |numbers, ctx| Notes.add("sum #{numbers.sum} #{ctx[:date].inspect}"); raise "no sum" if File.exist?("bad") }
    end
  RUBY

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
    pid = Process.spawn({ **Compiled.environment, **@env }, RbConfig.ruby, "-I#{Processes::LIB}", *command, chdir: folder, out: log, err: log, pgroup: true)
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

  # For examples: +app+ is their application.
  module Examples
    include Processes

    # Runs code of the application in another process, and returns what it returns.
    def client(code)
      app
      elsewhere do
        Dir.chdir(app.folder)
        app.env.each { |name, value| ENV[name] = value }
        $VERBOSE = nil # Libraries warn.
        require app.path("app.rb")
        eval(code) # rubocop:disable Security/Eval
      end
    end

    def await_call(line)
      app.await("call #{line}") { app.calls.include?(line) }
    end

    def await_cancelling
      app.await("a run that is stopping") { File.exist?(app.path("cancelling")) }
    end

    def await_runs(*statuses)
      app.await("runs #{statuses}, not #{app.runs.map(&:status)}") { app.runs.map(&:status) == statuses }
    end

    def await_log(text)
      app.await("log #{text}") { app.log.include?(text) }
    end
  end
end
