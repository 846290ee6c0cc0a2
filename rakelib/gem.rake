# frozen_string_literal: true

require "rubygems/package"
require "zlib"
require_relative "pack"

# The source gem stays below this, and holds these files and no others. Fifty kilobytes were the aim; what it has to do
# takes more, however it is packed (docs/architecture.md has the figures).
GEM_BUDGET = 96 * 1024
GEM_REQUIRED = %w[Cargo.toml Cargo.lock LICENSE exe/flowline lib/flowline.rb
                  ext/flowline/extconf.rb ext/flowline/build.rs ext/flowline/src/lib.rs
                  ext/flowline-core/Cargo.toml ext/flowline-core/src/lib.rs].freeze
GEM_ALLOWED = %r{\A(#{Regexp.union(GEM_REQUIRED)}|lib/.+\.rb|sig/.+\.rbs)\z}

def flowline_spec
  Gem::Specification.load("flowline.gemspec").dup
end

# Builds into pkg/ from the files of a directory; RubyGems' own warnings are errors here.
def build_gem(spec, from:)
  path = File.expand_path(File.join("pkg", spec.file_name))
  mkdir_p "pkg"
  Dir.chdir(from) { Gem::Package.build(spec, false, true, path) }
  Pack::Archive.squeeze(path)
  path
end

# What each part of the gem takes of it, about: compressed by itself.
def shares(files, from:)
  files.group_by { |file| file[%r{\A(lib|sig|ext/[^/]+)/}, 1] || "the rest" }
       .transform_values { |part| Zlib.gzip(part.map { |file| File.read(File.join(from, file)) }.join, level: 9).bytesize }
       .map { |part, size| "#{part} #{size}" }.join(", ")
end

desc "Build the source gem into pkg/, and check its size and what is in it"
task :gem do
  spec = flowline_spec
  spec.files = Pack.stage(spec.files, into: "tmp/gem")
  path = build_gem(spec, from: "tmp/gem")
  package = Gem::Package.new(path)
  unexpected = package.contents.grep_v(GEM_ALLOWED)
  missing = GEM_REQUIRED - package.contents
  left = GEM_BUDGET - File.size(path)
  problems = []
  problems << "holds #{unexpected.join(", ")}" if unexpected.any?
  problems << "lacks #{missing.join(", ")}" if missing.any?
  problems << "depends on #{package.spec.runtime_dependencies.join(", ")}" if package.spec.runtime_dependencies.any?
  problems << "is #{-left} bytes over its budget" if left <= 0
  abort "The gem #{problems.join("; it ")}." if problems.any?
  puts "#{File.basename(path)}: #{File.size(path)} bytes, #{left} of #{GEM_BUDGET} left (#{shares(package.contents, from: "tmp/gem")})"
end

desc "Build a gem for this platform and this Ruby into pkg/, to be installed without Rust"
task "gem:native" do
  spec = flowline_spec
  spec.platform = Gem::Platform.local
  spec.required_ruby_version = "~> #{RbConfig::CONFIG["ruby_version"][/\A\d+\.\d+/]}.0"
  spec.extensions = []
  spec.files = spec.files.grep_v(%r{\A(ext/|Cargo\.)})

  # Staged apart, so that the development build in lib/ stays as it is.
  spec.files = Pack.stage(spec.files, into: "tmp/native")
  build = "tmp/native-build"
  mkdir_p build
  sh({ "FLOWLINE_PROFILE" => "release" }, RbConfig.ruby, File.expand_path("ext/flowline/extconf.rb"), chdir: build)
  sh "make", "all", "install", "sitearchdir=../native/lib", chdir: build
  spec.files += Dir.glob("lib/flowline/flowline.#{RbConfig::CONFIG["DLEXT"]}", base: "tmp/native")

  path = build_gem(spec, from: "tmp/native")
  puts "#{File.basename(path)}: #{File.size(path)} bytes"
end
