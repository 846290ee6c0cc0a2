# frozen_string_literal: true

require "rubygems/package"
require "zlib"

# The source gem holds these files and no others, as they are in the repository: editors, `ri` and auditors read them.
GEM_REQUIRED = %w[Cargo.toml Cargo.lock README.md CHANGELOG.md LICENSE .yardopts exe/flowline lib/flowline.rb
                  ext/flowline/extconf.rb ext/flowline/build.rs ext/flowline/src/lib.rs
                  ext/flowline-core/Cargo.toml ext/flowline-core/src/lib.rs].freeze
GEM_ALLOWED = %r{\A(#{Regexp.union(GEM_REQUIRED)}|lib/.+\.rb|sig/.+\.rbs|ext/[^/]+/(src/.+\.rs|build\.rs|Cargo\.toml))\z}
# Bytes. It is watched, not squeezed.
GEM_BUDGET = 400 * 1024

def flowline_spec
  Gem::Specification.load("flowline.gemspec").dup
end

# Builds into pkg/ from the files of a directory; RubyGems' own warnings are errors here.
def build_gem(spec, from: ".")
  path = File.expand_path(File.join("pkg", spec.file_name))
  mkdir_p "pkg"
  Dir.chdir(from) { Gem::Package.build(spec, false, true, path) }
  path
end

# How many bytes each part of the gem takes, about: compressed by itself.
def shares(files)
  files.group_by { |file| file[%r{\A(lib|sig|ext/[^/]+)/}, 1] || "the rest" }
       .transform_values { |part| Zlib.gzip(part.map { |file| File.read(file) }.join, level: 9).bytesize }
       .map { |part, size| "#{part} #{size}" }.join(", ")
end

def gem_problems(package, size)
  unexpected = package.contents.grep_v(GEM_ALLOWED)
  missing = GEM_REQUIRED - package.contents
  needed = package.spec.runtime_dependencies
  [("holds #{unexpected.join(", ")}" if unexpected.any?), ("lacks #{missing.join(", ")}" if missing.any?),
   ("depends on #{needed.join(", ")}" if needed.any?), ("is larger than #{GEM_BUDGET} bytes" if size > GEM_BUDGET)].compact
end

desc "Build the source gem into pkg/, check what is in it, and print the size of its parts"
task :gem do
  path = build_gem(flowline_spec)
  package = Gem::Package.new(path)
  problems = gem_problems(package, File.size(path))
  abort "The gem #{problems.join("; it ")}." if problems.any?
  puts "#{File.basename(path)}: #{File.size(path)} bytes (#{shares(package.contents)})"
end

desc "Build a gem for this platform and this Ruby into pkg/, to be installed without Rust"
task "gem:native" do
  spec = flowline_spec
  spec.platform = Gem::Platform.local
  spec.required_ruby_version = "~> #{RbConfig::CONFIG["ruby_version"][/\A\d+\.\d+/]}.0"
  spec.extensions = []
  spec.files = spec.files.grep_v(%r{\A(ext/|Cargo\.)})

  # Staged apart, so that the development build in lib/ stays as it is.
  rm_rf "tmp/native"
  spec.files.each do |file|
    mkdir_p File.join("tmp/native", File.dirname(file)), verbose: false
    cp file, File.join("tmp/native", file), preserve: true, verbose: false
  end
  build = "tmp/native-build"
  mkdir_p build
  sh({ "FLOWLINE_PROFILE" => "release" }, RbConfig.ruby, File.expand_path("ext/flowline/extconf.rb"), chdir: build)
  sh "make", "all", "install", "sitearchdir=../native/lib", chdir: build
  spec.files += Dir.glob("lib/flowline/flowline.#{RbConfig::CONFIG["DLEXT"]}", base: "tmp/native")

  path = build_gem(spec, from: "tmp/native")
  puts "#{File.basename(path)}: #{File.size(path)} bytes"
end
