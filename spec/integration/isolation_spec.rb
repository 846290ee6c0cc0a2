# frozen_string_literal: true

require "open3"
require "openssl"
require "pty"
require "stringio"
require "tempfile"
require "timeout"

RSpec.describe "Steps in a process of their own" do
  def isolated(**options, &block)
    Flowline.define { |p| p.step(:apart, isolate: :process, **options, &block) }.run
  end

  def descriptors
    Dir.children("/proc/self/fd").size
  end

  it "can be left out of a default" do
    pipeline = Flowline.define do
      defaults isolate: :process
      step(:apart) { Process.pid }
      step(:here, isolate: false) { Process.pid }
    end
    expect(pipeline.run.outputs).to match(apart: satisfy { |pid| pid != Process.pid }, here: Process.pid)
  end

  it "fail in one line if Marshal calls a method that their output does not have" do
    claims_all = Object.new.tap { |object| object.instance_eval { def respond_to?(*) = true } }
    expect(isolated { claims_all }.error.message)
      .to match(/\Astep apart failed: its output cannot leave its process: undefined method .marshal_dump. for .*; return data, or the path of a file\z/)
  end

  it "return their outputs" do
    pid = Process.pid
    result = isolated { [Process.pid, { bytes: "\xFF\x00".b, text: "ü" }] }
    expect(result).to be_success
    expect(result[:apart].output).to match([be_an(Integer), { bytes: "\xFF\x00".b, text: "ü" }])
    expect(result[:apart].output.first).not_to eq(pid)
  end

  it "get copies of their inputs" do
    counter = [0]
    result = Flowline.define do
      step(:rows) { [1, 2] }
      step(:sum, depends_on: :rows, isolate: :process) { |rows| (counter[0] += 1) && rows.sum }
    end.run
    expect([result[:sum].output, counter]).to eq([3, [0]])
  end

  it "succeed if what brings other data from them fails" do
    broken = Module.new do
      def self.enter = raise(NameError, "gone")
      def self.leave = raise(IOError, "gone")
    end
    Flowline::Executor::Isolation.carry(broken)
    expect(isolated { 7 }[:apart].output).to eq(7)
  ensure
    Flowline::Executor::Isolation.carriers.delete(broken)
  end

  it "stream large outputs" do
    expect(isolated { "x" * 20_000_000 }[:apart].output.size).to eq(20_000_000)
  end

  it "fail with the exception they raised: class, message, source location and cause" do
    result = isolated do
      raise KeyError, "inner"
    rescue KeyError
      raise ArgumentError, "outer"
    end
    error = result.error.cause
    expect([error.class, error.message, error.cause.class]).to eq([ArgumentError, "outer", KeyError])
    expect(result.error.location).to start_with(__FILE__)
  end

  it "fail with the exception they raised, without parts that cannot be dumped" do
    stub_const("Holder", Class.new(StandardError) { def initialize(io, count) = super("holds an IO") && ((@io = io) && @count = count) })
    stub_const("Odd", Class.new(StandardError) { def initialize(io) = (@io = io) && super() })
    Odd.class_eval { def message = @io.class.name }
    asked = []
    result = isolated(retries: 1, retry_if: ->(error) { asked.push(error).nil? }) do
      raise Odd, $stdin
    rescue Odd
      raise Holder.new($stdin, 3)
    end
    error = result.error.original
    expect([error.class, error.message, error.instance_variables, error.cause.message, asked]).to eq([Holder, "holds an IO", [:@count], "Odd: IO", [error]])
    expect(result.error.location).to start_with(__FILE__)
    expect(isolated { raise Odd, $stdin }.error.message).to match(/\Astep apart failed: Odd: IO \(/)
  end

  it "flush files that they opened and did not close" do
    path = "#{ENV.fetch("FLOWLINE_ROOT")}.txt"
    mine = File.open("#{path}.mine", "w")
    mine.write("once")
    [-> { :fine }, -> { raise "not so" }].each do |ending|
      result = Flowline.define do |p|
        p.step(:apart, isolate: :process) { @kept = File.open(path, "w") and (@kept.write("written") && ending.call) }
        p.step(:next, depends_on: :apart, run_if: :always) { |_| File.read(path) }
      end.run
      expect(result[:next].output).to eq("written")
    end
    mine.close
    expect(File.read("#{path}.mine")).to eq("once")
    expect(isolated { @full = File.open("/dev/full", "w") and @full.write("x") }.error.original).to be_a(Errno::ENOSPC)
  end

  it "get EIO instead of input from the terminal" do
    PTY.spawn(RbConfig.ruby, "-I#{File.expand_path("../../lib", __dir__)}", "-rflowline", "-e", <<~RUBY) do |output, _, pid|
      puts Flowline.define { |p| p.step(:ask, isolate: :process) { $stdin.gets } }.run.error.message
    RUBY
      expect(Timeout.timeout(20) { output.gets }).to include("step ask failed: Errno::EIO")
      Process.wait(pid)
    end
  end

  it "leave no descriptor open when fork fails" do
    before = descriptors
    allow_any_instance_of(Flowline::Executor::Isolation).to receive(:fork).and_raise(Errno::EAGAIN)
    expect(isolated { 1 }.error.original).to be_a(Errno::EAGAIN)
    expect(descriptors).to be <= before
  end

  it "fail with a description when the exception cannot be dumped" do
    odd = Class.new(StandardError) { def initialize(io) = (@io = io) && super("holds an IO") }
    result = isolated { raise odd, $stdin }
    expect(result.error.cause).to be_a(Flowline::Error::Remote)
    expect(result.error.message).to include("holds an IO")
    expect(isolated { -> {} }.error.message).to include("its output cannot leave its process")
  end

  it "fail when the process ends without an answer" do
    {
      -> { Process.kill(:KILL, Process.pid) && sleep } => /was killed by SIGKILL \(out of memory\?\)/,
      -> { exit!(3) } => /ended with status 3 before it answered/,
      -> { Process.kill(:SEGV, Process.pid) && sleep } => /was killed by SIG(SEGV|ABRT)/,
      -> { exit(4) } => /the step called exit/
    }.each do |block, message|
      error = without_stderr { isolated(&block) }.error
      expect(error.message).to match(message)
    end
  end

  it "are killed when they time out, whatever they do" do
    {
      "sleeping" => -> { sleep },
      "rescuing everything" => -> { loop { begin sleep; rescue Exception then nil end } }, # rubocop:disable Lint/RescueException
      "in native code that holds the lock" => -> { OpenSSL::KDF.pbkdf2_hmac("a", salt: "b", iterations: 2**29, length: 32, hash: "sha256") }
    }.each_value do |block|
      before = descriptors
      others = child_pids
      result = isolated(timeout: 0.1, &block)
      expect(result[:apart].status).to eq(:timed_out)
      expect(descriptors).to be <= before
      expect(child_pids - others).to be_empty
    end
  end

  it "end with the processes that they started" do
    reader, writer = IO.pipe
    result = isolated(timeout: 0.3) do
      writer.write("#{spawn("sleep", "100")}\n")
      sleep
    end
    child = Integer(reader.gets)
    expect(result[:apart].status).to eq(:timed_out)
    expect { eventually(10) { !alive?(child) } }.not_to raise_error
  end

  {
    "sleeping" => -> { sleep },
    "in native code that holds the lock" => -> { OpenSSL::KDF.pbkdf2_hmac("a", salt: "b", iterations: 2**29, length: 32, hash: "sha256") },
    "while another has what they hang on" => -> { sleep }
  }.each do |what, block|
    it "end with their parent, and remove their temporary files: #{what}" do
      reader, writer = IO.pipe
      apart = what.include?("another")
      parent = fork do
        Flowline.define do |p|
          p.step(:apart, isolate: :process) do
            writer.write("#{Process.pid} #{Dir.mktmpdir}\n")
            block.call
          end
          p.step(:other, isolate: :process, when: ->(_) { apart }) { fork { Process.setsid && sleep(3) } && sleep }
        end.run(executor: :parallel, max_threads: 2)
      end
      child, folder = reader.gets.split
      sleep(0.2) if apart # So that the other is there.
      Process.kill(:KILL, parent)
      Process.wait(parent)
      expect { eventually(10) { !alive?(child) } }.not_to raise_error
      expect(Dir.exist?(folder)).to be(false)
    end
  end

  it "end with their parent, and no other process with them, although they have joined another process group" do
    bystander = child { sleep }
    eventually { Process.getpgid(bystander.pid) == bystander.pid }
    reader, writer = IO.pipe
    parent = fork do
      Flowline.define do |p|
        p.step(:joins, isolate: :process) do
          Process.setpgid(0, bystander.pid)
          writer.write("#{Process.pid}\n")
          sleep
        end
      end.run
    end
    joined = reader.gets.to_i
    Process.kill(:KILL, parent)
    Process.wait(parent)
    expect { eventually(10) { !alive?(joined) } }.not_to raise_error
    expect(alive?(bystander.pid)).to be(true)
  ensure
    [reader, writer].each(&:close)
  end

  it "are ended by a time limit that was up just before they were forked, and leave no descriptor open" do
    loading = Flowline::Loading.tap { |loading| loading.of(Flowline::Execution, Flowline::Executor) }
    entered = Queue.new
    before = descriptors
    holder = Thread.new { loading.apart { (entered << true) && sleep(0.5) } }
    entered.pop
    run = Flowline.define { step(:apart, isolate: :process, timeout: 0.1) { sleep } }.start
    result = run.wait(20)
    expect([result&.success?, result && result[:apart].status]).to eq([false, :timed_out])
    holder.join
    expect(descriptors).to be <= before + 2 # Those of the timer and of the run's thread.
  end

  it "are ended by their time limit although they have joined another process group" do
    group = Process.getpgrp
    result = Flowline.define do |p|
      p.step(:joins, isolate: :process, timeout: 0.2) do
        Process.setpgid(0, group)
        sleep
      end
    end.run
    expect(result[:joins].status).to eq(:timed_out)
  end

  it "write to the same streams as other steps, in order" do
    out = StringIO.new
    err = StringIO.new
    stdout, stderr = $stdout, $stderr
    begin
      $stdout = out
      $stderr = err
      puts "before"
      isolated do
        puts "in it"
        print "a", "b"
        $stdout << "c" << "\n"
        printf("%d\n", 7)
        warn "a warning"
        :ok
      end
      puts "after"
    ensure
      $stdout = stdout
      $stderr = stderr
    end
    expect(out.string).to eq("before\nin it\nabc\n7\nafter\n")
    expect(err.string).to eq("a warning\n")
  end

  it "leave no temporary files and run no at_exit handlers" do
    result = isolated { [Dir.tmpdir, Tempfile.new("left").path, at_exit { File.write("/nowhere/at_exit", "") }].first(2) }
    expect(result[:apart].error).to be_nil
    folder, file = result[:apart].output
    expect(file).to start_with(folder)
    expect([File.exist?(folder), File.exist?(file)]).to eq([false, false])
  end

  it "have an output when the step has removed its folder for temporary files" do
    expect(isolated { Dir.rmdir(Dir.tmpdir) }.status).to eq :succeeded
  end

  it "leave no temporary files when Tempfile.new failed in the program" do
    failed = Tempfile.allocate
    result = isolated { Tempfile.new("left").path }
    expect(result[:apart].error).to be_nil
    expect([File.exist?(result[:apart].output), failed.class]).to eq([false, Tempfile])
  end

  it "leave persistent temporary files for later steps" do
    result = Flowline.define do |p|
      p.step(:file, isolate: :process) { Tempfile.create("stays").tap { |file| file.write("data") && file.close }.path }
      p.step(:folder, isolate: :process) { Dir.mktmpdir.tap { |folder| File.write("#{folder}/x", "more") } }
      p.step(:read, depends_on: %i[file folder]) { |file, folder| [File.read(file), File.read("#{folder}/x")] }
    end.run
    expect(result[:read].output).to eq(%w[data more])
  ensure
    result&.outputs&.values_at(:file, :folder)&.each { |path| FileUtils.rm_rf(File.dirname(path)) }
  end

  it "may block forever until they time out" do
    expect(isolated(timeout: 0.3) { Thread::Queue.new.pop }[:apart].status).to eq(:timed_out)
  end

  it "write output of child processes, in all encodings" do
    out, err, status = Open3.capture3(RbConfig.ruby, "-I#{File.expand_path("../../lib", __dir__)}", "-rflowline", "-e", <<~'RUBY')
      Flowline.define do |p|
        p.step(:a, isolate: :process) { system("echo out", out: $stdout) && system("echo err", out: $stderr) }
        p.step(:b, isolate: :process, depends_on: :a) { |_| $stdout.write("\xFF".b, "é\n") && $stdout.puts("x".encode("UTF-16LE")) }
      end.run!
    RUBY
    expect([out.b, err, status.exitstatus]).to eq(["out\n\xFFé\nx\0\n".b, "err\n", 0])
  end

  it "offer the methods of IO to loggers and other writers" do
    out = StringIO.new
    stdout, $stdout = $stdout, out
    result = isolated do
      require "logger"
      Logger.new($stdout, formatter: ->(*, text) { text }).info("logged\n")
      $stdout.putc("x")
      p 1
      [$stdout.tty?, $stdout.sync]
    end
    expect([result[:apart].output, out.string]).to eq([[false, true], "logged\nx1\n"])
  ensure
    $stdout = stdout
  end

  it "fail with a description when a part of a large output cannot be dumped" do
    expect(isolated { ["x" * 1_000_000, -> {}] }.error.message).to include("its output cannot leave its process")
  end

  it "fail with a description of an exception whose class only they have loaded" do
    error = isolated { raise Object.const_set(:OnlyInTheChild, Class.new(StandardError)), "told" }.error
    expect(error.message).to include("OnlyInTheChild: told")
  end

  it "fail when signals, a lack of memory or a jump end them, and the run continues" do
    { -> { raise NoMemoryError, "none left" } => /NoMemoryError: none left/, -> { Process.kill(:TERM, Process.pid) && sleep } => /SIGTERM/,
      -> { throw :out } => /use `next`/, -> { Thread.current.kill } => /the step called exit/ }.each do |block, message|
      result = catch(:out) { isolated(&block) }
      expect(result.error.message).to match(message)
    end
  end

  it "do without the child's status when other code waited for it" do
    allow(Process).to(receive(:wait2).and_wrap_original { |wait, pid| wait.call(pid) && raise(Errno::ECHILD) })
    expect([isolated { 1 }[:apart].output, isolated { exit!(1) }.error.message]).to match([1, /ended before it answered/])
  end

  it "end when the child has exited, although a grandchild holds its pipe" do
    began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    reader, writer = IO.pipe
    [-> {}, -> { Process.setsid }].each do |leave|
      result = isolated do
        writer.puts(fork { [leave.call, sleep(20)] })
        sleep(0.1)
        Process.kill(:KILL, Process.pid)
      end
      expect(result.error.message).to include("was killed by SIGKILL")
    end
    expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - began).to be < 5
  ensure
    2.times do
      Process.kill(:KILL, Integer(reader.gets))
    rescue Errno::ESRCH
      nil # With its group.
    end
  end

  it "name the line that called exit, and no line for an output that cannot be dumped" do
    leave = isolated { exit(3) }
    expect(leave.error.message).to include("the step called exit (#{line(-1)})")
    unread = isolated { Object.const_set(:OnlyInThisChild, Struct.new(:a)).new(1) }
    expect([isolated { -> {} }, unread].map { |result| result.error.location }).to eq([nil, nil])
  end

  it "do not write buffered output of the parent again" do
    script = '$stdout = StringIO.new; STDOUT.write("once"); Flowline.define { step(:a, isolate: :process) { 1 } }.run!'
    expect(IO.popen([RbConfig.ruby, "-Ilib", "-rstringio", "-rflowline", "-e", script], &:read)).to eq("once")
  end

  it "run from several threads at once" do
    threads = Array.new(4) { |n| Thread.new { isolated { n * 10 }[:apart].output } }
    expect(threads.map(&:value)).to eq([0, 10, 20, 30])
  end

  it "are retried, cached and skipped by conditions like other steps" do
    file = Tempfile.new("count").path
    pipeline = Flowline.define do |p|
      p.step(:apart, isolate: :process, retries: 1, cache: true) do
        File.write(file, "x", mode: "a")
        File.size(file) == 1 ? raise(IOError) : :done
      end
    end
    expect(pipeline.run[:apart]).to have_attributes(output: :done, attempts: 2)
    expect(pipeline.run[:apart].status).to eq(:cached)
  end

  it "ignore the exit of a process that they forked" do
    pipeline = Flowline.define do |p|
      p.step(:exits, isolate: :process) { (pid = fork) ? Process.wait2(pid).last.exitstatus : exit(3) }
      p.step(:raises, isolate: :process) { (pid = fork) ? Process.wait2(pid).last.exitstatus : raise("elsewhere") }
      p.step(:returns, isolate: :process) { (pid = fork) ? Process.wait2(pid).last.exitstatus : :elsewhere }
    end
    expect(pipeline.run!.outputs).to eq(exits: 3, raises: 1, returns: 0)
  end

  it "raise an error where there is no fork", executor: :in_process do
    allow(Process).to receive(:respond_to?).and_call_original
    allow(Process).to receive(:respond_to?).with(:fork).and_return(false)
    expect(isolated { 1 }.error.message).to include("isolate: :process needs fork")
  end
end
