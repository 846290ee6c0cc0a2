# frozen_string_literal: true

require_relative "child"
require_relative "databases"
require_relative "tally"
require_relative "work"

module Torture
  # A process whose threads record runs in a loop while it starts processes in every possible way. Meanwhile another
  # process asks for the status all the time. At the end every acknowledged record must be in the store.
  class Forks
    # How a process is made.
    WAYS = { plain: "fork, exit!", exit: "fork, exit", run: "fork, run in the child", resume: "fork, resume in the child",
             daemon: "run, Process.daemon, run", process: "runs in steps, executor: :process",
             isolate: "runs in steps, isolate: :process" }.freeze
    RECORDERS = 3
    # How long its children may take.
    PATIENCE = Child::LIMIT / 2
    private_constant :RECORDERS, :PATIENCE

    # @param count [Integer] how many processes are made in each way
    def initialize(count: 20)
      @count = count
    end

    # @yieldparam tally [Tally] of each way
    # @return [void]
    def call
      WAYS.each_key do |way|
        Dir.mktmpdir("torture") { |folder| yield in_folder(File.realpath(folder), way) }
      end
    end

    private

    def in_folder(folder, way)
      @folder = folder
      tally = Tally.of(WAYS.fetch(way))
      owner = Child.new { enter && own(way) }
      watch(owner).each { |findings| tally.add(findings) }
      owner.wait(Child::LIMIT + @count)
      owner.answer.to_a.each { |findings| tally.add(findings) }
      tally.add(owner.findings("the owner") + checked)
      tally
    ensure
      end_daemons
    end

    def enter
      Flowline.configure { |config| config.root = File.join(@folder, "store") }
      Work.log = File.join(@folder, "log")
      Work.broken = true
    end

    # Runs in the process that forks.
    def own(way)
      over = false
      recorders = Array.new(RECORDERS) do |n|
        Thread.new { record("thread#{n}", round = round.to_i + 1) until over }
      end
      sleep(0.001) until File.exist?(Work.log)
      findings = []
      @count.times { |n| (findings << make(way, n)).last.any? { |kind,| kind == :stuck } && break } # The next would be stuck, too.
      findings
    ensure
      over = true
      recorders.each(&:join)
    end

    # Runs a pipeline that succeeds, and one that fails and leaves a checkpoint.
    def record(who, round)
      acknowledge(who)
      name = "#{who}-#{round % 5}"
      Work.write("begun #{name}")
      result = Work.pipeline(name).run
      raise result.error unless result[:join].failed?

      Work.write("failed #{name}")
    end

    def acknowledge(who)
      result = Flowline.define(name: who, executor: :sequential) do |p|
        p.step(:a) { "a" * 1000 }
        p.step(:b, depends_on: :a) { |a| a * 300 }
      end.run!
      Work.write("succeeded #{who} #{result.run_id}")
      true
    end

    # @return [Array] the findings
    def make(way, number)
      case way
      when :plain then Child.call(limit: PATIENCE) { exit!(0) }.findings("the child")
      when :exit then Child.call(limit: PATIENCE) { true }.findings("the child")
      when :run then Child.call(limit: PATIENCE) { acknowledge("child") }.findings("the child")
      when :resume then Child.call(limit: PATIENCE) { resume("child#{number}") }.findings("the child")
      when :daemon then daemon("#{@folder}/daemon#{number}")
      else in_steps(way)
      end
    end

    def resume(name)
      record(name, 0)
      Work.broken = false
      FileUtils.touch(Work.log)
      result = Work.pipeline("#{name}-0", keep: true).run!(resume: true)
      raise "other outputs" if result.outputs != Work.outputs("#{name}-0")

      restored = result.steps.select { |step| step.status == :restored }.map(&:name)
      raise "restored only #{restored}" if restored != Work::BEFORE_JOIN
    end

    def daemon(file)
      child = Child.call(limit: PATIENCE) do
        acknowledge("parent")
        Process.daemon(true, true)
        File.write("#{file}.pid", Process.pid)
        begin
          acknowledge("daemon")
          File.write(file, "")
        rescue Exception => e # rubocop:disable Lint/RescueException -- nobody else sees it
          File.write(file, "#{e.class}: #{e.message}")
        end
        exit!(0)
      end
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + PATIENCE
      sleep(0.005) until File.exist?(file) || Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
      return [[:stuck, "the daemon"]] unless File.exist?(file)

      sleep(0.01) # It may be about to write.
      problem = File.read(file)
      child.findings("the daemon's parent") + (problem.empty? ? [] : [[:wrong, "the daemon: #{problem}"]])
    end

    def in_steps(way)
      torture = self
      pipeline = Flowline.define(name: "outer", executor: way == :process ? :process : :parallel) do |p|
        3.times { |n| p.step(:"inner#{n}", **(way == :isolate ? { isolate: :process } : {})) { torture.send(:acknowledge, "inner#{n}") } }
        p.step(:all, depends_on: %i[inner0 inner1 inner2]) { |*all| all }
      end
      thread = Thread.new { pipeline.run }
      thread.report_on_exception = false
      return [[:stuck, "the run"]] unless thread.join(PATIENCE)

      result = thread.value
      result.success? ? [] : [[:wrong, "the run: #{result.error&.message}"]]
    rescue StandardError => e
      [[:wrong, "the run: #{e.class}: #{e.message}"]]
    end

    # Runs `flowline status` in other processes as long as the owner is alive.
    def watch(owner)
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + Child::LIMIT + @count
      findings = []
      while owner.alive? && Process.clock_gettime(Process::CLOCK_MONOTONIC) < deadline
        child = Child.call do
          enter
          out = StringIO.new
          code = Flowline::CLI.start(["status"], out: out, err: out)
          raise out.string if code > 1 || out.string.match?(/flowline: (?!status: (there is no store|nothing in))/) # It may not have begun.
        end
        findings << child.findings("flowline status")
        sleep(0.05)
      end
      findings
    end

    def checked
      child = Child.call(limit: 3 * Child::LIMIT) { enter && missing }
      child.answer.to_a + child.findings("the check") + Databases.check(@folder)
    end

    # Returns the acknowledged records that are missing.
    def missing
      Work.broken = false
      out = StringIO.new
      Flowline::CLI.start(["history", "--json", "--limit", "1000000"], out: out, err: StringIO.new)
      statuses = JSON.parse(out.string).to_h { |run| run.values_at("run_id", "status") }
      lines = Work.lines
      ended = lines.grep(/\Asucceeded /).map { |line| line.split.drop(1) }.group_by(&:first)
      expected = ended.each_value.flat_map { |runs| runs.last(80).map(&:last) } # History has the last hundred runs of a pipeline.
      lost = expected.reject { |id| statuses[id] == "succeeded" }.map { |id| [:lost, "the end of a run: #{statuses[id].inspect}"] }
      last = lines.grep(/\A(begun|failed) /).to_h { |line| line.split.reverse } # A run that has begun replaces the one before.
      lost + last.select { |_, word| word == "failed" }.keys.flat_map { |name| unrestored(name) }
    end

    def unrestored(name)
      checkpoint = Flowline::Checkpoint.latest(name)
      return [[:lost, "a checkpoint"]] unless checkpoint

      lost = Work::BEFORE_JOIN.reject { |step| checkpoint.output(step) == Work.outputs(name)[step] }
      lost.map { |step| [:lost, "the output of #{step}"] }
    rescue Flowline::CheckpointError => e
      [[:lost, e.message[/no recorded output of \w+/]]]
    end

    def end_daemons
      Dir.glob("#{@folder}/daemon*.pid").each do |file|
        Process.kill(:KILL, Integer(File.read(file)))
      rescue Errno::ESRCH
        nil
      end
    end
  end
end
