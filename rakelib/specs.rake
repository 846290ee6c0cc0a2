# frozen_string_literal: true

require "json"
require_relative "jobs"

# Splits the spec files into parts, a process each. A process that has run few specs has a small heap, and what a fork and a
# collection cost depends on the size of the heap.
module SpecParts
  # Seconds that each file took, from an earlier run: `rake spec:weights` writes them.
  WEIGHTS = "spec/weights.json"
  # The directory for the results of each part.
  OUT = "tmp/specs"
  COUNT = 12
  # Examples that stress the garbage collector.
  GC = /:gc\b/

  # +arguments+ are those of rspec.
  Part = Struct.new(:name, :arguments) do
    # @return [Jobs::Job]
    def job
      Jobs::Job.new("specs #{name}", -> { call }, -> { summary })
    end

    private

    def call
      environment = { "COVERAGE" => "part", "COVERAGE_PART" => name }
      formats = ["--format", "progress", "--format", "json", "--out", file]
      seed = ENV["SEED"] ? ["--seed", ENV["SEED"]] : []
      system(environment, "rspec", *formats, *seed, *arguments)
    end

    def summary
      JSON.parse(File.read(file))["summary_line"]
    rescue Errno::ENOENT, JSON::ParserError
      "the process has crashed"
    end

    def file
      "#{OUT}/#{name}.json"
    end
  end

  module_function

  # @return [Array<Jobs::Job>] the heaviest first
  def jobs
    FileUtils.rm_rf([OUT, "coverage"])
    FileUtils.mkdir_p([OUT, "coverage/parts"])
    parts.map(&:job)
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
end

desc "Run the specs in parts, failing below the least coverage; SEED"
task coverage: :compile do
  failed = Jobs.run(SpecParts.jobs).map(&:name)
  abort "There are failures: #{failed.join(", ")}" if failed.any?
  Rake::Task["coverage:merge"].invoke
end

desc "Fail below the least coverage of the specs that were run in parts"
task "coverage:merge" do
  puts SpecParts.totals
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
