# frozen_string_literal: true

require "io/wait"
require "rbconfig"
require "stringio"

# Programs that are started need no bundle, which takes each of them a third of a second: RubyGems finds the gems by GEM_HOME.
ENV["RUBYOPT"] = ENV["RUBYOPT"]&.gsub(%r{-r\S*bundler/setup\b}, "")

# Child processes with a time limit. None outlives its example.
module Processes
  LIMIT = 30
  LIB = File.expand_path("../../lib", __dir__)
  # The command line as a program.
  FLOWLINE = [RbConfig.ruby, "-I#{LIB}", File.expand_path("../../exe/flowline", __dir__)].freeze

  # @return [Hash{String => String}] variables of a program whose code counts in the coverage
  def self.coverage
    ENV["COVERAGE"] == "part" ? { "RUBYOPT" => "#{ENV["RUBYOPT"]} -r#{File.expand_path("coverage.rb", __dir__)}" } : {}
  end

  # A forked process that calls a block.
  class Child
    attr_reader :pid

    def initialize
      @answers, writer = IO.pipe(binmode: true)
      @pid = fork do
        Process.setpgid(0, 0)
        @answers.close
        Processes.answer(writer) { yield self }
      end
      writer.close
    end

    # @return [Object] the block's value; raises the exception that it raised
    def value(limit = LIMIT)
      @answers.wait_readable(limit) || raise("process #{@pid} has not ended within #{limit} seconds")
      answer = @answers.read(4) or raise("process #{@pid} died: #{wait}")
      good, value = Marshal.load(@answers.read(answer.unpack1("N")))
      wait
      good ? value : raise(value)
    end

    # @return [Boolean] whether it has answered, or is gone
    def ended?
      !@answers.wait_readable(0).nil?
    end

    # @return [Process::Status]
    def wait
      @wait ||= begin
        limit = Process.clock_gettime(Process::CLOCK_MONOTONIC) + LIMIT
        until (_, status = Process.wait2(@pid, Process::WNOHANG))
          raise "process #{@pid} does not end" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > limit

          IO.select(nil, nil, nil, 0.001)
        end
        status
      end
    end

    # Kills it, with the processes that it has started.
    # @return [Process::Status]
    def kill
      begin
        Process.kill(:KILL, -@pid)
      rescue Errno::ESRCH
        nil # They have ended.
      end
      wait
    end
  end

  # Writes what the block returns, and ends the process.
  def self.answer(writer)
    answer = begin
      [true, yield]
    rescue Exception => e # rubocop:disable Lint/RescueException -- whatever it is, the parent raises it
      [false, "#{e.class}: #{e.message}\n#{Array(e.backtrace).first(12).join("\n")}"]
    end
    bytes = Marshal.dump(answer)
    writer.write([bytes.bytesize].pack("N"), bytes)
    writer.flush
  ensure
    exit!(0)
  end

  # Calls the block in a forked process.
  # @return [Child]
  def child(&block)
    Child.new(&block).tap { |child| children << child }
  end

  # @return [Object] what the block returns in another process
  def elsewhere(limit = LIMIT, &block)
    child(&block).value(limit)
  end

  # Runs a script in a Ruby of its own, with Flowline loaded.
  # @return [Array(String, Process::Status)] its output, standard error included
  def ruby(script, *arguments, with: [], **env)
    command = [*with, RbConfig.ruby, "-I#{LIB}", "-rflowline", "-e", script, *arguments.map(&:to_s)]
    reader, writer = IO.pipe
    pid = Process.spawn(env.transform_keys(&:to_s), *command, %i[out err] => writer, pgroup: true)
    writer.close
    output = Thread.new { reader.read }
    output.join(LIMIT) || Process.kill(:KILL, -pid)
    [output.value, Process.wait2(pid).last]
  ensure
    reader&.close
  end

  # Queries the database of a store in another process, with another SQLite.
  # @return [Array<Array>] rows
  def sql(statement, *values, root: ENV.fetch("FLOWLINE_ROOT"))
    elsewhere { Processes.database(root) { |db| db.execute(statement, values).map { |row| [*row] } } }
  end

  def self.database(root)
    require "sqlite3"
    db = SQLite3::Database.new("#{root}/flowline.db")
    db.busy_timeout = 10_000
    yield db
  ensure
    db&.close
  end

  # The command line in another process.
  # @return [Array(Integer, String, String)] its exit status, and its output
  def flowline(*arguments)
    elsewhere { Processes.flowline(*arguments) }
  end

  # The command line in this process.
  def self.flowline(*arguments)
    require "flowline/cli"
    out, err = StringIO.new, StringIO.new
    code = Flowline::CLI.start(arguments, out: out, err: err)
    [code, out.string, err.string]
  end

  # Locks a store for writing, like a transaction of another process, while the block runs.
  def holding_store(root)
    ready, tell = IO.pipe
    goes, go = IO.pipe
    holder = child do
      go.close
      File.open("#{root}/flowline.lock", "r+") do |file|
        file.fcntl(38, [1, 0, 0, 1, 0].pack("s!s!x4q!q!l!")) # F_OFD_SETLKW with F_WRLCK for byte 0.
        tell.write(".")
        goes.read(1)
      end
    end
    tell.close
    raise("the store cannot be held") unless ready.wait_readable(LIMIT) && ready.read(1)

    yield
  ensure
    go&.write(".")
    holder&.wait
    [ready, goes, go].each { |pipe| pipe&.close }
  end

  # Waits until a condition holds.
  def eventually(limit = LIMIT)
    give_up = Process.clock_gettime(Process::CLOCK_MONOTONIC) + limit
    until (value = yield)
      raise "it does not come true" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > give_up

      sleep(0.001) # Spinning would take a processor from the other process.
    end
    value
  end

  # @return [Boolean] whether a process runs; a zombie does not
  def alive?(pid)
    !File.read("/proc/#{pid}/stat").match?(/\) Z /)
  rescue Errno::ENOENT, Errno::ESRCH
    false
  end

  # @return [Array<Integer>] the child processes of this one, with zombies
  def child_pids
    Dir.glob("/proc/self/task/*/children").flat_map { |file| File.read(file).split.map(&:to_i) }
  end

  # Ends a process after the example that is not a child of this one, such as a daemon.
  def adopt(pid)
    adopted << pid
    pid
  end

  def children
    @children ||= []
  end

  def adopted
    @adopted ||= []
  end

  def end_processes
    children.each(&:kill)
    adopted.each do |pid|
      Process.kill(:KILL, pid)
    rescue Errno::ESRCH
      nil # It has ended by itself.
    end
  end
end

RSpec.configure do |config|
  config.include Processes
  config.after { end_processes }
end
