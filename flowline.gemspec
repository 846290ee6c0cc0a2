# frozen_string_literal: true

require_relative "lib/flowline/version"

Gem::Specification.new do |spec|
  spec.name = "flowline"
  spec.version = Flowline::VERSION
  spec.authors = ["Flowline contributors"]
  spec.summary = "Data pipelines as graphs of steps, with a Rust core"
  spec.description = "Write a pipeline as steps that depend on each other. Flowline checks the graph, plans the order, " \
                     "runs it, and draws it."
  spec.license = "MIT"
  spec.homepage = "https://github.com/flowline-rb/flowline"
  spec.metadata = {
    "source_code_uri" => spec.homepage,
    "changelog_uri" => "#{spec.homepage}/blob/main/CHANGELOG.md",
    "documentation_uri" => "#{spec.homepage}/blob/main/docs/guides.md",
    "bug_tracker_uri" => "#{spec.homepage}/issues",
    "rubygems_mfa_required" => "true"
  }
  spec.required_ruby_version = ">= 3.1"

  # Lists the files that ship, so that no other file is added by accident. `rake gem` checks the built gem.
  shipped = %w[Cargo.toml Cargo.lock README.md CHANGELOG.md LICENSE .yardopts exe/flowline lib/**/*.{rb,css,js,rake,tt} sig/**/*.rbs
               ext/**/{*.rs,Cargo.toml,extconf.rb}]
  spec.files = Dir.glob(shipped, base: __dir__).grep_v(%r{\Aext/.*/(tests|benches|examples|target)[/.]})
  spec.bindir = "exe"
  spec.executables = ["flowline"]
  spec.require_paths = ["lib"]
  spec.extensions = ["ext/flowline/extconf.rb"]
end
