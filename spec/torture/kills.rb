# frozen_string_literal: true

require "fileutils"
require "rbconfig"
require "tmpdir"
require_relative "pipeline"

module Torture
  # Kills runs, resumes them, and counts what should not be.
  class Kills
    # How many runs there were, how many were killed before their end, in how many a completed step ran again or its record was lost, and in how many the
    # outputs were wrong or the run could not be resumed; and what was wrong.
    Tally = Struct.new(:fault, :tries, :cut, :lost, :wrong, :notes) do
      # @return [String] a line of the table
      def to_s
        [fault.ljust(28), *to_a[1..4].map { |count| count.to_s.rjust(6) }].join(" ")
      end
    end

    # The heads of the columns.
    HEAD = "fault                         tries    cut   lost  wrong"

    def initialize
      @expected = Torture.outputs
    end

    # @param count [Integer]
    # @return [Tally] kills at a random time within 60 ms from the run's start: it takes about 40
    def at_random(count, random: Random.new)
      tally("kill -9 at random", Array.new(count)) do |folder, _|
        pid = start(folder)
        started(folder)
        sleep(random.rand(0.06))
        Process.kill(:KILL, pid)
        Process.wait(pid)
      end
    end

    # @return [Tally] a kill before and after every step
    def at_boundaries
      tally("kill -9 before/after a step", Torture.step_names.product(%w[KILL_BEFORE KILL_AFTER])) do |folder, (name, place)|
        Process.wait(start(folder, place => name.to_s))
      end
    end

    # @param processes [Integer] that share one store
    # @param runs [Integer] of each
    # @return [Tally]
    def together(processes, runs)
      tally = Tally.new("#{processes} processes, one store", 0, 0, 0, 0, [])
      Dir.mktmpdir("torture") do |folder|
        Flowline.configure { |config| config.root = File.join(folder, "store") }
        threads = Array.new(processes) { Thread.new { in_child { run_many(runs) } } }
        threads.flat_map { |thread| Array(thread.value) }.each { |note| note(tally, note) }
        kept = in_child { Flowline::Store.at(File.join(folder, "store")).runs(NAME, -1).map { |run| run[:status] } }
        next if kept == (["succeeded"] * [processes * runs, 100].min)

        tally.lost += 1
        tally.notes << kept.tally
      ensure
        Flowline.configure { |config| config.root = nil }
      end
      tally
    end

    private

    def run_many(runs)
      Array.new(runs) { Torture.pipeline(File::NULL).run!.outputs == @expected ? :right : "other outputs" }
    end

    def note(tally, note)
      tally.tries += 1
      return if note == :right

      tally.wrong += 1
      tally.notes << note
    end

    def tally(fault, cases)
      tally = Tally.new(fault, 0, 0, 0, 0, [])
      cases.each do |given|
        Dir.mktmpdir("torture") do |folder|
          yield folder, given
          tally.tries += 1
          check(folder, tally, given)
        end
      end
      tally
    end

    def log(folder)
      File.join(folder, "log")
    end

    def start(folder, env = {})
      spawn({ "FLOWLINE_ROOT" => File.join(folder, "store"), **env }, RbConfig.ruby, "-I", File.expand_path("../../lib", __dir__),
            "--disable=gems", "-rrbconfig", File.join(__dir__, "pipeline.rb"), log(folder), out: File::NULL, err: File::NULL)
    end

    # Loading takes longer than the run.
    def started(folder)
      sleep(0.001) until Dir.exist?(File.join(folder, "store"))
    end

    # Resumes in a process of its own, as a user would.
    def check(folder, tally, given)
      status, recorded, before = facts(folder)
      File.write(log(folder), "")
      result = resumed(folder)
      again = File.readlines(log(folder), chomp: true).map(&:to_sym)
      cut = status != :succeeded # What has succeeded is not resumed, but run anew.
      lost = ((recorded & again) if cut).to_a | (before - recorded)
      tally.cut += 1 if cut
      tally.lost += 1 if lost.any?
      tally.wrong += 1 if result != @expected
      tally.notes << [given, lost, result.is_a?(String) ? result : nil] if lost.any? || result != @expected
    end

    # How the run ended, the steps that are recorded, and those that must be, since something that needs them has started.
    def facts(folder)
      status, recorded = in_child do
        checkpoint = Flowline::Checkpoint.latest(NAME, root: File.join(folder, "store"))
        [checkpoint&.status, checkpoint&.step_names || []]
      end
      called = File.exist?(log(folder)) ? File.readlines(log(folder), chomp: true).map(&:to_sym) : []
      dag = Torture.pipeline(File::NULL).dag
      [status, recorded, called.flat_map { |name| dag[name].depends_on }.uniq]
    end

    def resumed(folder)
      in_child do
        Flowline.configure { |config| config.root = File.join(folder, "store") }
        Torture.pipeline(log(folder)).run!(resume: true).outputs
      end
    end

    # @return [Object] what the block returns; a String that tells of its exception
    def in_child
      reader, writer = IO.pipe(binmode: true)
      pid = fork do
        reader.close
        answer = begin
          yield
        rescue StandardError => e
          "#{e.class}: #{e.message}"
        end
        writer.write(Marshal.dump(answer))
        writer.close
        exit!(0)
      end
      writer.close
      Marshal.load(reader.read)
    ensure
      reader.close
      Process.wait(pid)
    end
  end
end
