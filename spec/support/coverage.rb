# frozen_string_literal: true

# Loaded before anything of lib/. Coverage only means something over the whole suite, so it is asked for:
#
# - COVERAGE=1 rspec: in one process.
# - COVERAGE=part, COVERAGE_PART=name: one process of several, which `rake coverage` starts. Programs that they start with this
#   file in RUBYOPT are parts of their own.
# - COVERAGE=merge: this file as a program reads the results of those parts, and fails below the least coverage.
if %w[1 part merge].include?(ENV["COVERAGE"])
  require "simplecov"

  settings = proc do
    root File.expand_path("../..", __dir__)
    add_filter "/spec/"
    add_filter "/lib/flowline/version.rb" # the gemspec loads it, before anything can be counted
    track_files "lib/**/*.rb" # so that a file nobody requires counts too
    if ENV["COVERAGE"] == "part"
      part = [ENV.fetch("COVERAGE_PART"), *(Process.pid if ENV["RUBYOPT"].to_s.include?(__FILE__))].join("-")
      command_name "part #{part}"
      coverage_dir "coverage/parts/#{part}"
      formatter SimpleCov::Formatter::SimpleFormatter
    else
      minimum_coverage line: 95
    end
  end

  if ENV["COVERAGE"] == "merge"
    SimpleCov.collate(Dir.glob("coverage/parts/*/.resultset.json"), &settings)
  else
    SimpleCov.start(&settings)
  end
end
