# frozen_string_literal: true

# Records which lines of lib/ run. Coverage only means something over the whole suite, so it is asked for:
#
# - COVERAGE=part, COVERAGE_PART=name: one process of several, which `rake coverage` starts. Programs that they start with this
#   file in RUBYOPT are parts of their own. It is loaded before anything of lib/, needs no gem, and writes a file at the end.
# - COVERAGE=merge: this file as a program reads the files of those parts, and fails below the least coverage.
require "coverage"

root = File.expand_path("../..", __dir__)
parts = "#{root}/coverage/parts"

case ENV["COVERAGE"]
when "part"
  Coverage.start(oneshot_lines: true) # A line that has run once costs nothing further.
  process = Process.pid
  at_exit do
    next unless Process.pid == process # A forked process belongs to its parent.

    ran = Coverage.result.select { |file, _| file.start_with?("#{root}/lib/") }.transform_values { |result| result[:oneshot_lines] }
    File.binwrite("#{parts}/#{ENV.fetch("COVERAGE_PART")}-#{process}", Marshal.dump(ran))
  end
when "merge"
  require "json"
  require "simplecov"

  # Files that nobody requires count, too. The gemspec loads the version before anything can be counted.
  files = Dir.glob("#{root}/lib/**/*.rb") - ["#{root}/lib/flowline/version.rb"]
  lines = files.to_h { |file| [file, Coverage.line_stub(file)] }
  Dir.glob("#{parts}/*").each do |part|
    Marshal.load(File.binread(part)).each { |file, ran| ran.each { |line| lines[file][line - 1] = 1 } if lines[file] }
  end
  merged = "#{root}/coverage/merged.json"
  File.write(merged, JSON.generate(specs: { coverage: lines.transform_values { |counts| { lines: counts } }, timestamp: Time.now.to_i }))
  SimpleCov.collate([merged]) do
    root root
    minimum_coverage line: 95
  end
end
