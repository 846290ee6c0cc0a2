# frozen_string_literal: true

# The size of the source gem. `rake gem` prints it by part.
require_relative "support/measure"
require "rubygems/package"
require "tmpdir"

Dir.chdir(File.expand_path("..", __dir__)) do
  Dir.mktmpdir do |folder|
    spec = Gem::Specification.load("flowline.gemspec")
    path = File.join(folder, spec.file_name)
    Gem::DefaultUserInteraction.use_ui(Gem::SilentUI.new) { Gem::Package.build(spec, false, true, path) }
    Measure.heading "The source gem"
    Measure.row("size", File.size(path) / 1024.0, "KB", most: 400)
    Measure.row("runtime dependencies", spec.runtime_dependencies.size, "gems", most: 0)
  end
end
