# frozen_string_literal: true

require "fileutils"
require "tmpdir"
require_relative "pipeline"

module Torture
  # Kills runs, resumes each, and counts what was lost or wrong.
  class Killing
    # Fault, how often it was tried, completions lost, outputs or repetitions wrong.
    Row = Struct.new(:fault, :tries, :lost, :wrong)

    def initialize
      @expected = undisturbed
    end

    # @return [Row] kills before and after every step's own work
    def boundaries
      moments = @expected.keys.flat_map { |name| %w[before after].map { |moment| "#{name}:#{moment}" } }
      row = Row.new("kill -9 at a boundary", 0, [], [])
      moments.each { |moment| try(row, moment) { |pid| Process.wait(pid) } }
      row
    end

    # @return [Row] kills at random instants
    def instants(count, random: Random.new(1))
      row = Row.new("kill -9 at random", 0, [], [])
      count.times do |n|
        instant = random.rand * 0.06
        try(row, nil, "kill #{n} after #{(instant * 1000).round} ms") do |pid|
          sleep(instant)
          Process.kill(:KILL, pid)
          Process.wait(pid)
        end
      end
      row
    end

    private

    def undisturbed
      within { |folder| Torture.pipeline(folder).run!.outputs }
    end

    def within
      Dir.mktmpdir("torture") do |folder|
        before = ENV.fetch("FLOWLINE_ROOT", nil)
        ENV["FLOWLINE_ROOT"] = "#{folder}/store"
        yield folder
      ensure
        ENV["FLOWLINE_ROOT"] = before
      end
    end

    def try(row, moment, label = moment)
      row.tries += 1
      within do |folder|
        pid = fork do
          ENV[KILL] = moment
          Torture.pipeline(folder).run
          exit!(0)
        end
        yield pid
        resume(row, folder, label)
      end
    end

    def resume(row, folder, label)
      recorded = Flowline::Checkpoint.latest("torture")&.step_names || []
      calls = "#{folder}/#{CALLS}"
      FileUtils.rm_f(calls)
      result = Torture.pipeline(folder).run(resume: true)
      again = (File.exist?(calls) ? File.readlines(calls, chomp: true).map(&:to_sym) : []) & recorded
      row.lost << "#{label}: #{recorded - result.outputs.keys}" unless (recorded - result.outputs.keys).empty?
      row.wrong << "#{label}: ran #{again.join(", ")} again" unless again.empty?
      row.wrong << "#{label}: #{result.status}, other outputs" unless result.success? && result.outputs == @expected
    end
  end
end
