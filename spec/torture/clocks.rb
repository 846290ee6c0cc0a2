# frozen_string_literal: true

require "tmpdir"
require_relative "child"
require_relative "databases"
require_relative "shim"
require_relative "tally"
require_relative "work"

module Torture
  # Processes whose wall clocks are days apart share a store, as machines do that share a directory.
  class Clocks
    DAY = 86_400
    SHIFTS = [-400, -2, -1, 0, 1, 2, 400].freeze

    # @param count [Integer] how many histories of runs
    def initialize(count: 20, random: Random.new)
      @count = count
      @random = random
    end

    # @yieldparam tally [Tally]
    # @return [void]
    def call
      { "runs, clocks apart" => method(:runs), "cached values, clocks apart" => method(:entries) }.each do |label, trial|
        tally = Tally.of(label)
        @count.times do
          Dir.mktmpdir("torture") do |folder|
            @folder = File.realpath(folder)
            tally.add(trial.call + Databases.check(@folder))
          end
        end
        yield tally
      end
    end

    private

    def at(days, label)
      child = Child.call do
        Flowline.configure { |config| config.root = File.join(@folder, "store") }
        Work.log = File.join(@folder, "log")
        Shim.shift_clock(days * DAY)
        yield
      end
      child.answer.to_a + child.findings(label).map { |kind, note| [kind, "#{note} (#{days} days ahead)"] }
    end

    # Runs fail and are resumed: the latest is the one that began last, whatever the clocks say.
    def runs
      Array.new(3) do |round|
        failed, resumed, other = SHIFTS.sample(3, random: @random)
        at(failed, "a failing run") { fail_run } + at(other, "another pipeline") { other_run(round) } + at(resumed, "resuming") { resume(failed, resumed) }
      end.flatten(1)
    end

    def fail_run
      Work.broken = true
      Work.pipeline("clock").run
      FileUtils.rm_f(Work.log)
      nil
    end

    # It clears its outputs when it succeeds.
    def other_run(round)
      Work.pipeline("other#{round}").run!
      FileUtils.rm_f(Work.log)
      nil
    end

    def resume(failed, resumed)
      result = Work.pipeline("clock").run(resume: true)
      note = "between #{failed} and #{resumed} days"
      findings = (Work::BEFORE_JOIN & Work.started("clock")).map { |step| [:lost, "#{step} ran again #{note}"] }
      findings << [:wrong, "the run #{result.status}: #{result.error&.message} #{note}"] unless result.success?
      findings << [:wrong, "other outputs #{note}"] if result.success? && result.outputs != Work.outputs("clock")
      durations = result.steps.filter_map(&:duration)
      findings << [:wrong, "a negative duration"] if durations.any?(&:negative?)
      findings
    end

    # A value that was written in the future counts as expired, because its age is unknown. A value without a limit that
    # was written in the past stays, and a value that was written now is found.
    def entries
      writer, reader = SHIFTS.sample(2, random: @random)
      at(writer, "the writer") { write && nil } + at(reader, "the reader") { read(writer, reader) } +
        at(writer, "the writer, later") { Flowline::Cache::File.new.fetch("new", ttl: 3600) { "computed" } == "new" ? [[:wrong, "a stale entry"]] : [] }
    end

    def write
      cache = Flowline::Cache::File.new
      cache.set("hour", "an hour", ttl: 3600)
      cache.set("ever", "x" * Work::LARGE)
    end

    def read(writer, reader)
      cache = Flowline::Cache::File.new
      findings = []
      findings << [:wrong, "an entry of #{writer > reader ? "the future" : "the past"} is found"] if cache.get("hour")
      findings << [:lost, "an entry without a limit"] if writer < reader && cache.get("ever") != "x" * Work::LARGE
      cache.set("new", "new", ttl: 3600)
      findings << [:lost, "an entry of now"] unless cache.get("new") == "new"
      findings
    end
  end
end
