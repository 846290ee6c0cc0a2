# frozen_string_literal: true

require "json"
require "tmpdir"

# Measures this version and, if there is one, the version before, with the same programs: those of this version.
module Bench
  # A version of Flowline that is compiled for release, in a directory of its own.
  Version = Struct.new(:directory, :environment) do
    def compile
      run("rake", "compile") or abort "#{directory} cannot be compiled."
    end

    # @return [Hash{Array(String, String) => Hash}] the rows that a program measured, by heading and work
    def measure(program, **options)
      Dir.mktmpdir do |folder|
        file = File.join(folder, "rows")
        passed = run("-Ilib", program, "BENCH_ROWS" => file, **options)
        warn "#{program} failed in #{directory}" unless passed
        rows = File.exist?(file) ? File.readlines(file).map { |line| JSON.parse(line, symbolize_names: true) } : []
        rows.to_h { |row| [row.values_at(:heading, :work), row] }
      end
    end

    private

    def run(*command, **more)
      options, variables = more.partition { |name, _| name.is_a?(Symbol) }.map(&:to_h)
      command.unshift("-S") unless command.first.start_with?("-")
      gems = { "BUNDLE_GEMFILE" => File.join(directory, "Gemfile"), "FLOWLINE_PROFILE" => "release" }
      system(gems.merge(environment, variables), RbConfig.ruby, *command, chdir: directory, **options)
    end
  end

  COLUMNS = ["work", "before", "after", "change", "floor or peer", "ratio before", "ratio after", "goal", ""].freeze
  private_constant :COLUMNS

  module_function

  # Calls the block with the version of a Git reference, in a temporary worktree that has the programs of this version.
  # @yieldparam version [Version, nil] nil: there is no reference
  def with_version(reference)
    return yield unless reference

    Dir.mktmpdir("flowline-before") do |folder|
      directory = File.join(folder, "flowline")
      system("git", "worktree", "add", "--quiet", "--detach", directory, reference, exception: true)
      FileUtils.rm_rf(File.join(directory, "benchmarks"))
      FileUtils.cp_r("benchmarks", directory)
      FileUtils.cp("Gemfile.lock", directory) if File.exist?("Gemfile.lock")
      yield Version.new(directory, { "CARGO_TARGET_DIR" => File.expand_path("target/before") })
    ensure
      system("git", "worktree", "remove", "--force", directory)
    end
  end

  # @return [Array<Array<String>>] a line for each row of the version after
  def lines(before, after)
    after.map do |key, row|
      old = before[key]
      change = "#{digits(row[:figure] / old[:figure])}×" if old && old[:figure].nonzero?
      [key.join(": "), old && show(old), show(row), change, row[:than], old && ratio(old), ratio(row), row[:goals], row[:verdict]]
    end
  end

  def print_table(lines)
    table = [COLUMNS, *lines].map { |line| line.map(&:to_s) }
    widths = table.transpose.map { |column| column.map(&:size).max }
    puts("", table.map { |line| line.zip(widths).map { |text, width| text.ljust(width) }.join("  ").rstrip })
    verdicts = lines.map(&:last).compact
    puts "", "#{verdicts.count("met")} of #{verdicts.size} goals are met"
  end

  def show(row)
    "#{digits(row[:figure])} #{row[:unit]}"
  end

  def ratio(row)
    row[:ratio] && "#{digits(row[:ratio])}×"
  end

  def digits(number)
    format(number.abs < 100 ? "%.2f" : "%.0f", number)
  end
end

desc "Compile for release, run benchmarks/PROGRAMS.rb (all) and print a table; BEFORE=a Git reference to compare with"
task :bench do
  programs = FileList["benchmarks/{#{ENV.fetch("PROGRAMS", "*")}}.rb"].sort
  Bench.with_version(ENV.fetch("BEFORE", nil)) do |before|
    after = Bench::Version.new(Dir.pwd, {})
    [before, after].compact.each(&:compile)
    rows = programs.flat_map do |program| # One after the other, so that both meet the same machine.
      old = before ? before.measure(program, out: File::NULL) : {}
      Bench.lines(old, after.measure(program))
    end
    Bench.print_table(rows)
  end
  puts "", "This is the release build; `rake compile` returns to the development build."
end
