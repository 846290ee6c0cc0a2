# frozen_string_literal: true

require_relative "../contracts/executor"
require "open3"
require "tempfile"

RSpec.describe Flowline::Executor::Process do
  it_behaves_like("an executor") do
    let(:executor) { :process }
    let(:elsewhere) { true }
  end

  def processes(define: {}, max_processes: 4, **options, &definition)
    run(define: define, executor: :process, max_processes: max_processes, **options, &definition)
  end

  def descriptors
    Dir.children("/proc/self/fd").size
  end

  it "calls each step in a process of its own, with its inputs, and brings back its output" do
    rows = Array.new(3) { |n| { id: n, text: "ü#{n}", bytes: "\xFF".b } }
    result = processes do
      step(:rows) { rows }
      step(:ids, depends_on: :rows) { |given| [Process.pid, given.map { |row| row[:id] }] }
      step(:same, depends_on: :rows) { |given| [Process.pid, given == rows, given.first[:bytes].encoding] }
    end
    pids = [Process.pid, result[:ids].output[0], result[:same].output[0]]
    expect(pids.uniq.size).to eq(3)
    expect(result[:rows].output).to eq(rows)
    expect(result[:ids].output[1]).to eq([0, 1, 2])
    expect(result[:same].output.drop(1)).to eq([true, Encoding::BINARY])
  end

  it "runs as many steps at once as max_processes: allows" do
    readers, writers = Array.new(3) { IO.pipe }.transpose
    result = processes(max_processes: 3) do
      3.times do |i|
        step(:"s#{i}") do
          writers.each { |writer| writer.write(i.to_s) && writer.flush }
          Array.new(3) { readers[i].read(1) }.sort # It would wait for ever if they didn't all run.
        end
      end
    end
    expect(result.outputs.values.uniq).to eq([%w[0 1 2]])
  ensure
    [*readers, *writers].each(&:close)
  end

  it "does not change inputs and variables of the parent" do
    seen = []
    result = processes do
      step(:a) { [1] }
      step(:b, depends_on: :a) { |a| (seen << 1) && (a << 2) }
      step(:c, depends_on: %i[a b]) { |a, b| [a, b] }
    end
    expect([seen, result[:c].output, result[:a].output]).to eq([[], [[1], [1, 2]], [1]])
  end

  { "KILL" => /killed by SIGKILL \(out of memory\?\)/, "SEGV" => /killed by SIG(SEGV|ABRT)/ }.each do |signal, message|
    it "fails a step whose process is killed, names the signal, and continues: SIG#{signal}" do
      result = without_stderr do
        processes(on_error: :continue) do
          step(:killed) { Process.kill(signal, Process.pid) && sleep }
          step(:other) { 1 }
        end
      end
      expect(outcomes(result)).to eq(killed: :failed, other: :succeeded)
      expect(result.error.original).to be_a(Flowline::Executor::Isolation::Died)
      expect(result.error.message).to match(message)
    end
  end

  it "retries a step whose process died" do
    file = "#{ENV.fetch("FLOWLINE_ROOT")}.tries"
    result = processes { step(:dies, retries: 1) { File.write(file, "x", mode: "a") && (File.size(file) == 1 ? exit!(3) : :alive) } }
    expect(result[:dies]).to have_attributes(output: :alive, attempts: 2)
  end

  it "names an output that cannot be dumped" do
    result = processes { step(:a) { -> {} } }
    expect(result.error.message).to include("its output cannot leave its process")
  end

  it "leaves no zombie, no open descriptor and no temporary directory" do
    before = nil
    others = child_pids # Such as a browser for other examples.
    2.times do # What is opened once is there after the first.
      folders = processes(on_error: :continue) do
        4.times { |i| step(:"good#{i}") { ENV.fetch("TMPDIR") } }
        step(:bad) { raise "no" }
        step(:dead) { exit!(1) }
        step(:slow, timeout: 0.1) { sleep }
      end.outputs.values
      expect(folders.select { |folder| File.exist?(folder) }).to be_empty
      expect(child_pids - others).to be_empty
      before ||= descriptors
    end
    expect(descriptors).to be <= before
  end

  it "leaves no orphan when it is killed" do
    reader, writer = IO.pipe
    parent = fork do
      processes(max_processes: 3) { 3.times { |i| step(:"s#{i}") { writer.write("#{Process.pid}\n") && sleep } } }
    end
    children = Array.new(3) { Integer(reader.gets) }
    Process.kill(:KILL, parent)
    Process.wait(parent)
    expect { eventually(10) { children.none? { |pid| alive?(pid) } } }.not_to raise_error
  ensure
    [reader, writer].each(&:close)
  end

  it "ends the processes of other steps when it is stopped" do
    reader, writer = IO.pipe
    pipeline = Flowline.define { 2.times { |i| step(:"s#{i}") { writer.write("#{Process.pid}\n") && sleep } } }
    thread = Thread.new { pipeline.run(executor: :process) }
    pids = Array.new(2) { Integer(reader.gets) }
    thread.kill.join
    expect(pids & child_pids).to be_empty
  ensure
    [reader, writer].each(&:close)
  end

  it "calls before_fork and after_fork callbacks" do
    allow(Flowline).to receive(:config).and_return(Flowline::Configuration.new)
    log = Queue.new
    forked = []
    Flowline.configure do |config|
      config.before_fork { log << Process.pid }
      config.after_fork { forked << Process.pid }
    end
    result = processes do
      step(:a) { forked.include?(Process.pid) }
      step(:b, depends_on: :a) { |_| forked.include?(Process.pid) }
    end
    expect(result.outputs).to eq(a: true, b: true)
    expect(Array.new(log.size) { log.pop }).to eq([Process.pid] * 2)
    expect(forked).to be_empty
  end

  it "fails the step when a fork callback raises" do
    %i[before_fork after_fork].each do |moment|
      allow(Flowline).to receive(:config).and_return(Flowline::Configuration.new)
      Flowline.configure { |config| config.public_send(moment) { raise IOError, "no connection" } }
      expect(processes { step(:a) { 1 } }[:a].error.original).to be_an(IOError)
    end
  end

  it "raises an error where there is no fork" do
    allow(Process).to receive(:respond_to?).and_call_original
    allow(Process).to receive(:respond_to?).with(:fork).and_return(false)
    expect { processes { step(:a) { 1 } } }.to raise_error(Flowline::Error, /needs fork.*use :parallel/)
  end

  # In a process of its own: who loads ActiveRecord changes what others find.
  describe "with ActiveRecord" do
    def script(body)
      <<~RUBY
        begin
          require "active_record"
          require "sqlite3"
        rescue LoadError => e
          abort "skip: \#{e.message}"
        end
        require "flowline"
        ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: ARGV.first, pool: 3, timeout: 5000, checkout_timeout: 2)
        ActiveRecord::Schema.verbose = false
        ActiveRecord::Schema.define { create_table(:rows) { |table| table.integer :pid } }
        class Row < ActiveRecord::Base; end
        def connection = ActiveRecord::Base.connection.raw_connection.object_id
        #{body}
      RUBY
    end

    def expect_success(body)
      Tempfile.create(["rows", ".sqlite3"]) do |file|
        said, status = Open3.capture2e(RbConfig.ruby, "-I#{File.expand_path("../../lib", __dir__)}", "-", file.path, stdin_data: script(body))
        skip(said.strip.lines.last) if said.include?("skip: ")
        expect([said, status.exitstatus]).to eq(["fine\n", 0])
      end
    end

    it "gives each process its own connection, and does not close the parent's" do
      expect_success(<<~RUBY)
        Row.create!(pid: Process.pid)
        mine = connection
        pipeline = Flowline.define do
          4.times { |i| step(:"s\#{i}") { [connection, Row.count.positive?, Row.create!(pid: Process.pid).pid] } }
        end
        result = pipeline.run!(executor: :process, max_processes: 2)
        abort "shared: \#{result.outputs}" if result.outputs.each_value.any? { |theirs, there, _| theirs == mine || !there }
        abort "parent's is another" unless connection == mine && ActiveRecord::Base.connection.active?
        abort "lost: \#{Row.pluck(:pid)}" unless Row.pluck(:pid).sort == [Process.pid, *result.outputs.values.map(&:last)].sort
        puts "fine"
      RUBY
    end

    it "returns connections of threads to the pool" do
      expect_success(<<~RUBY)
        Row.create!(pid: 1)
        mine = connection
        pipeline = Flowline.define { 4.times { |i| step(:"s\#{i}") { Row.count } } }
        6.times { abort "no" unless pipeline.run!(executor: :parallel, max_threads: 2).outputs.values == [1] * 4 }
        abort "parent's is another" unless connection == mine && Row.count == 1
        puts "fine"
      RUBY
    end
  end
end
