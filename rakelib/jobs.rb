# frozen_string_literal: true

require "etc"
require "fileutils"

# Runs jobs in processes of their own, twice as many at a time as there are processors, because specs wait for half of their
# time. The output of a job goes to a file, and is printed whole when the job has ended.
module Jobs
  # The directory for what the jobs print.
  OUT = "tmp/jobs"
  WORKERS = Etc.nprocessors * 2
  ROW = "%-12<name>s %7.1<seconds>f s %7.1<processor>f s of processor time"

  # A job: +work+ is called in a process of its own, and fails by returning false or by an exception. If there is a +summary+, it
  # is called for a line about the job, and what the job prints is printed only when it has failed. A job that +needs+ another one
  # waits for its end, and is left out if that has failed.
  Job = Struct.new(:name, :work, :summary, :needs) do
    # @return [Float] seconds that it took, and processor time, once it has ended
    attr_reader :seconds, :processor

    def initialize(...)
      super
      @ended = Queue.new
    end

    # @return [Boolean] false if it has failed
    def run
      return true if needs&.failed?

      began = Jobs.now
      pid = fork { Jobs.exit_after(file("txt"), file("time"), &work) }
      @passed = Process.wait2(pid).last.success?
      @seconds = Jobs.now - began
      @processor = File.exist?(file("time")) ? File.read(file("time")).to_f : 0.0
      puts report(@passed)
      @passed
    ensure
      @ended.close
    end

    # Waits for its end.
    # @return [Boolean]
    def failed?
      @ended.pop
      !@passed
    end

    # @return [String]
    def row
      format(ROW, name: name, seconds: seconds, processor: processor)
    end

    private

    def report(passed)
      [row, summary&.call, ("FAILED" unless passed)].compact.join("  ") + ("\n#{File.read(file("txt"))}" unless passed && summary).to_s
    end

    def file(extension)
      "#{OUT}/#{name.tr(" ", "-")}.#{extension}"
    end
  end

  module_function

  # @param jobs [Array<Job>] the longest first, and each one after the one that it needs
  # @return [Array<Job>] those that have failed
  def run(jobs)
    FileUtils.rm_rf(OUT)
    FileUtils.mkdir_p(OUT)
    $stdout.sync = true
    queue = jobs.each_with_object(Queue.new) { |job, waiting| waiting << job }.close
    workers = Array.new(WORKERS) do
      Thread.new { Enumerator.produce { queue.pop || raise(StopIteration) }.reject(&:run) }
    end
    workers.flat_map(&:value)
  end

  # Calls the block and ends the process, without what Rake does at the end of its own.
  def exit_after(output, time)
    [$stdout, $stderr].each { |stream| stream.reopen(output, "a").sync = true }
    passed = yield
  rescue SystemExit => e
    passed = e.success?
  rescue StandardError, ScriptError => e
    warn e.full_message
  ensure
    File.write(time, Process.times.to_a.sum)
    exit!(passed ? true : false)
  end

  # Prints how long each took.
  # @param seconds [Float] how long all took
  def print_table(jobs, seconds)
    puts jobs.map(&:row), format(ROW, name: "total", seconds: seconds, processor: jobs.sum(&:processor))
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
