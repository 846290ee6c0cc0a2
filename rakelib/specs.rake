# frozen_string_literal: true

require "etc"
require "json"

# Runs the spec files in parts: a process each, as many at a time as there are processors. A process that has run few specs
# has a small heap, and what a fork and a collection cost depends on the size of the heap.
module SpecParts
  # Seconds that each file took, from an earlier run: `rake spec:weights` writes them.
  WEIGHTS = "spec/weights.json"
  # The directory for the output and the results of each part.
  OUT = "tmp/specs"
  COUNT = 8
  # Examples that stress the garbage collector.
  GC = /:gc\b/

  # +arguments+ are those of rspec.
  Part = Struct.new(:name, :arguments) do
    # @return [Boolean] whether it passed
    def run
      environment = { "COVERAGE" => "part", "COVERAGE_PART" => name }
      formats = ["--format", "progress", "--format", "json", "--out", file("json")]
      seed = ENV["SEED"] ? ["--seed", ENV["SEED"]] : []
      system(environment, "rspec", *formats, *seed, *arguments, %i[out err] => file("txt")).tap { |passed| puts summary(passed) }
    end

    # @return [Hash] the JSON that rspec writes
    def results
      @results ||= File.exist?(file("json")) ? JSON.parse(File.read(file("json"))) : {}
    rescue JSON::ParserError # The process has crashed.
      @results = {}
    end

    # @return [String]
    def output
      File.read(file("txt"))
    end

    private

    def file(extension)
      "#{OUT}/#{name}.#{extension}"
    end

    def summary(passed)
      seconds = results.dig("summary", "duration")
      "specs #{name.ljust(3)} #{format("%6.1f s", seconds || 0)}  #{results["summary_line"]}#{" FAILED" unless passed}"
    end
  end

  module_function

  # @return [Boolean] whether all passed
  def run
    FileUtils.rm_rf([OUT, "coverage"])
    FileUtils.mkdir_p(OUT)
    $stdout.sync = true
    before = processor_time
    queue = parts.each_with_object(Queue.new) { |part, waiting| waiting << part }.close
    failed = Queue.new
    Array.new(Etc.nprocessors) { Thread.new { (part = queue.pop) && (part.run || (failed << part)) until queue.empty? } }.each(&:join)
    puts "#{totals}, #{(processor_time - before).round} s of processor time"
    passed = failed.empty?
    puts failed.pop.output until failed.empty?
    passed
  end

  # @return [Array<Part>] the heaviest first
  def parts
    [*split(files, weights, COUNT).each.with_index(1).map { |group, number| Part.new(number.to_s, group) },
     Part.new("gc", ["--tag", "gc", "--tag", "~gc_full", *gc_files])]
  end

  # @return [Array<Array<String>>] the files in groups of about the same weight
  def split(files, weights, count)
    groups = Array.new(count) { [0.0, []] }
    files.sort_by { |file| -weights.fetch(file, 1.0) }.each do |file|
      lightest = groups.min_by(&:first)
      lightest[0] += weights.fetch(file, 1.0)
      lightest[1] << file
    end
    groups.sort_by { |weight, _| -weight }.map(&:last).reject(&:empty?)
  end

  def files
    Dir.glob("spec/**/*_spec.rb")
  end

  def gc_files
    files.select { |file| File.read(file).match?(GC) }
  end

  def weights
    File.exist?(WEIGHTS) ? JSON.parse(File.read(WEIGHTS)) : {}
  end

  # @return [Hash{String => Float}] seconds by file, of the last run
  def measured
    examples = Dir.glob("#{OUT}/*.json").grep_v(%r{/gc\.json}).flat_map { |file| JSON.parse(File.read(file))["examples"] }
    examples.group_by { |example| example["id"][%r{\A\./([^\[]+)}, 1] }
            .transform_values { |group| group.sum { |example| example["run_time"] }.round(1) }.sort.to_h
  end

  def totals
    counts = Dir.glob("#{OUT}/*.json").reject { |file| File.empty?(file) }.map { |file| JSON.parse(File.read(file))["summary"] }
    %w[example failure pending].map { |what| "#{counts.sum { |summary| summary["#{what}_count"] }} #{what}s" }.join(", ")
  end

  # @return [Float] seconds, of processes that have ended
  def processor_time
    Process.times.then { |times| times.cutime + times.cstime }
  end
end

desc "Run the specs in parts, failing below the least coverage; SEED"
task coverage: :compile do
  passed = SpecParts.run
  abort "There are failures." unless passed
  sh({ "COVERAGE" => "merge" }, RbConfig.ruby, "spec/support/coverage.rb", verbose: false)
end

namespace :spec do
  desc "Run the examples that stress the garbage collector: all of them, in a process with a small heap"
  task gc: :compile do
    sh "rspec", "--tag", "gc", *SpecParts.gc_files
  end

  desc "Record how long each spec file took in the last `rake coverage`, for a fair split"
  task :weights do
    File.write(SpecParts::WEIGHTS, "#{JSON.pretty_generate(SpecParts.measured)}\n")
  end
end
