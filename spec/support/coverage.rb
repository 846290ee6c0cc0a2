# frozen_string_literal: true

# To be required before anything of lib/. Only of use over the whole suite, hence asked for: COVERAGE=1 rspec
if ENV["COVERAGE"] == "1"
  require "simplecov"

  SimpleCov.start do
    add_filter "/spec/"
    add_filter "/lib/flowline/version.rb" # the gemspec loads it, before anything can be counted
    track_files "lib/**/*.rb" # so that a file nobody requires counts too
    minimum_coverage line: 95
  end
end
