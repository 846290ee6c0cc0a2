# frozen_string_literal: true

require "fileutils"
require "rbconfig"
require "tmpdir"
require_relative "child"
require_relative "fan_out"
require_relative "tally"

module Torture
  # Kills runs in processes of their own, resumes them, and counts the errors.
  class Kills
    # @param count [Integer] kills at random
    # @param processes [Integer] that share one store
    # @param runs [Integer] of each of them
    # @param steps [Integer, nil] kills before and after steps; nil: of all steps
    def initialize(count: 300, processes: 8, runs: 50, steps: nil, random: Random.new)
      @count = count
      @steps = steps
      @processes = processes
      @runs = runs
      @random = random
      @expected = FanOut.outputs
    end

    # @yieldparam tally [Tally]
    # @return [void]
    def call
      yield at_steps
      yield at_random
      yield together
    end

    # @return [Tally] a kill before and after every step
    def at_steps
      cases = FanOut.step_names.product(%w[KILL_BEFORE KILL_AFTER]).shuffle(random: @random)
      tally("kill -9 before/after a step", cases.first(@steps || cases.size)) do |folder, (name, place)|
        Process.wait(start(folder, place => name.to_s))
      end
    end

    # @return [Tally] kills at a random time within 60 ms from the start of a run: it takes about 40
    def at_random
      tally("kill -9 at a random time", Array.new(@count)) do |folder, _|
        pid = start(folder)
        wait_for_run(folder)
        sleep(@random.rand(0.06))
        Process.kill(:KILL, pid)
        Process.wait(pid)
      end
    end

    # @return [Tally] of runs of one pipeline in several processes
    def together
      tally = Tally.of("#{@processes} processes share one store")
      Dir.mktmpdir("torture") do |folder|
        children = Array.new(@processes) { Child.new { enter(folder) && run_many } }
        children.each do |child|
          child.wait(Child::LIMIT + @runs)
          child.answer.to_a.each { |findings| tally.add(findings) }
          tally.add(child.findings("a process")) unless child.findings("").empty?
        end
        check = Child.call { enter(folder) && history }
        tally.add(check.answer.to_a + check.findings("the check"))
      end
      tally
    end

    private

    def enter(folder)
      Flowline.configure { |config| config.root = store(folder) }
    end

    def run_many
      Array.new(@runs) { FanOut.pipeline(File::NULL).run!.outputs == @expected ? [] : [[:wrong, "other outputs"]] }
    end

    # Checks that history has the last hundred runs of the pipeline.
    def history
      statuses = Flowline::Checkpoint.list(FanOut::NAME).map(&:status)
      runs = FanOut.history.map { |run| run["status"] }
      return [[:lost, "of the history: #{runs.tally}"]] if runs != (["succeeded"] * [@processes * @runs, 100].min)

      statuses.all?(:succeeded) ? [] : [[:wrong, "checkpoints: #{statuses.tally}"]]
    end

    def tally(label, cases)
      cases.each_with_object(Tally.of(label)) do |given, tally|
        Dir.mktmpdir("torture") do |folder|
          yield folder, given
          child = Child.call { enter(folder) && check(folder) }
          findings = child.answer.to_a + child.findings("the check")
          tally.add(findings.map { |kind, note| [kind, [*given, note].join(" ")] })
        end
      end
    end

    def log(folder)
      File.join(folder, "log")
    end

    def store(folder)
      File.join(folder, "store")
    end

    def start(folder, env = {})
      spawn({ "FLOWLINE_ROOT" => store(folder), **env }, RbConfig.ruby, "-I", File.expand_path("../../lib", __dir__),
            "--disable=gems", "-rrbconfig", File.join(__dir__, "fan_out.rb"), log(folder), out: File::NULL, err: File::NULL)
    end

    # Loading takes longer than the run, and before there is a database nothing can be asked.
    def wait_for_run(folder)
      sleep(0.001) until File.exist?(File.join(store(folder), "flowline.db"))
    end

    def started(folder)
      File.exist?(log(folder)) ? File.readlines(log(folder), chomp: true).map(&:to_sym) : []
    end

    # Resumes in a process of its own, as a user would. A step must be recorded if something that needs it has started.
    def check(folder)
      status = FanOut.history.dig(0, "status")
      recorded = Flowline::Checkpoint.latest(FanOut::NAME)&.step_names.to_a
      dag = FanOut.pipeline(File::NULL).dag
      needed = started(folder).flat_map { |name| dag[name].depends_on }.uniq
      File.write(log(folder), "")
      outputs = FanOut.pipeline(log(folder)).run!(resume: true).outputs
      cut = status != "succeeded" # A run that has succeeded is not resumed.
      lost = (cut ? recorded & started(folder) : []) | (needed - recorded)
      findings = lost.map { |name| [:lost, "#{name} ran again"] }
      findings << [:cut, ""] if cut
      findings << [:wrong, "other outputs"] if outputs != @expected
      findings
    end
  end
end
