# frozen_string_literal: true

require "timeout"

# Steps that ignore everything, under the command line: a third signal ends the program.
RSpec.describe "A third signal", executor: :sequential do
  around { |example| Dir.mktmpdir { |folder| Dir.chdir(folder) { example.run } } }

  # Runs a file as a program, and kills the program if the block does not end it.
  # @return [Array(Integer, String, Float)] its status, its standard error, and the seconds since the last signal
  def stop(*options, signal: :INT, times: 3)
    out, out_writer = IO.pipe
    err, err_writer = IO.pipe
    pid = Process.spawn({ "FLOWLINE_ROOT" => ".flowline" }, *Processes::FLOWLINE, "run", "stubborn.rb", *options, out: out_writer, err: err_writer, pgroup: true)
    [out_writer, err_writer].each(&:close)
    lines = Queue.new
    reader = Thread.new { err.each_line { |line| lines << line } }
    raise "it does not start" unless out.wait_readable(20) && out.gets

    seen = +""
    times.times do |number|
      Process.kill(signal, pid)
      expected = [/finishing running steps/, /stopping running steps/][number] or next
      seen << lines.pop until seen.match?(expected)
    end
    began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    status = wait(pid)
    reader.join(5)
    seen << lines.pop until lines.empty?
    [status, seen, Process.clock_gettime(Process::CLOCK_MONOTONIC) - began]
  ensure
    [out, err].each { |stream| stream&.close unless reader&.alive? }
  end

  def wait(pid)
    Timeout.timeout(15) { Process.wait2(pid).last.exitstatus }
  rescue Timeout::Error
    Process.kill(:KILL, -pid)
    Process.wait(pid)
    "it did not end"
  end

  before do
    File.write("stubborn.rb", <<~RUBY)
      Flowline.define(name: "stubborn") do
        step(:before) { 1 }
        step(:stubborn, depends_on: :before) do |_|
          puts "started"
          $stdout.flush
          sleep
        rescue Exception
          retry
        end
        step(:after, depends_on: :stubborn) { |_| 2 }
      end
    RUBY
  end

  { INT: 130, TERM: 143 }.each do |signal, expected|
    it "ends the program although a step rescues everything, and the run is recorded as cancelled: SIG#{signal}" do
      status, err, = stop(signal: signal)
      expect([status, err]).to match([expected, /stopped by SIG#{signal}, although a step did not stop/])
      store = Flowline::Store.existing(File.expand_path(".flowline"))
      run = store.runs("stubborn", 1).first
      expect(run[:status]).to eq("cancelled")
      expect(store.steps(run[:id]).to_h { |step| [step[:name], step[:status]] }).to eq("before" => "succeeded", "stubborn" => "cancelled", "after" => "cancelled")
    end
  end

  it "is not needed under :parallel, which abandons such a step after the second" do
    status, err, = stop("--executor", "parallel", times: 2)
    expect([status, err]).to match([130, /did not stop, and may still run/])
  end
end
