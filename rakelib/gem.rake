# frozen_string_literal: true

require "rubygems/package"
require "zlib"

# The source gem contains these files and no others, as they are in the repository: editors, `ri` and auditors read them.
GEM_DOCUMENTS = %w[README.md CHANGELOG.md LICENSE .yardopts].freeze
GEM_REQUIRED = (GEM_DOCUMENTS + %w[Cargo.toml Cargo.lock exe/flowline lib/flowline.rb sig/flowline.rbs
                                   ext/flowline/extconf.rb ext/flowline/build.rs ext/flowline/src/lib.rs
                                   ext/flowline-core/Cargo.toml ext/flowline-core/src/lib.rs]).freeze
GEM_ALLOWED = %r{\A(#{Regexp.union(GEM_REQUIRED)}|lib/.+\.(?:rb|css|js|rake|tt)|sig/.+\.rbs|ext/[^/]+/(src/.+\.rs|build\.rs|Cargo\.toml))\z}
# A platform gem contains an extension for each Ruby instead of the Rust sources, and a file that loads the right one.
NATIVE_REQUIRED = [*GEM_DOCUMENTS, "exe/flowline", "lib/flowline.rb", "lib/flowline/flowline.rb", "sig/flowline.rbs"].freeze
NATIVE_ALLOWED = %r{\A(#{Regexp.union(NATIVE_REQUIRED)}|lib/.+\.(?:rb|css|js|rake|tt)|sig/.+\.rbs|lib/flowline/\d+\.\d+/flowline\.(so|bundle))\z}
# The largest source gem, in bytes.
GEM_BUDGET = 560 * 1024

# The versions of Ruby that a release supports. The workflows in .github/ test and compile for each of them.
RUBIES = %w[3.1 3.2 3.3 3.4 4.0].freeze
# Compiled extensions, as PLATFORM/RUBY/flowline.so.
EXTENSIONS = "pkg/extensions"
# The gem home into which the source gem is installed as a user does, with nothing of the checkout.
INSTALLED = "tmp/gem-home"
# In a quick build the crates of the gem are not optimized: they are compiled from the packed sources, to be loaded and run once.
QUICK_BUILD = <<~TOML
  [profile.dev.package]
  flowline = { opt-level = 0, debug = false }
  flowline-core = { opt-level = 0, debug = false }
TOML
LOADER = <<~'RUBY'
  # frozen_string_literal: true

  # Loads the extension that was compiled for this version of Ruby.
  require_relative "#{RUBY_VERSION[/\A\d+\.\d+/]}/flowline"
RUBY

def flowline_spec
  Gem::Specification.load("flowline.gemspec").dup
end

# Builds into pkg/ from the files of a directory, and checks the gem. A warning of RubyGems is an error here.
# @return [String] the path of the gem
def build_gem(spec, allowed:, required:, from: ".", budget: nil)
  path = File.expand_path(File.join("pkg", spec.file_name))
  mkdir_p "pkg", verbose: false
  Dir.chdir(from) { Gem::Package.build(spec, false, true, path) }
  problems = gem_problems(Gem::Package.new(path), allowed, required)
  problems << "is larger than #{budget} bytes" if budget && File.size(path) > budget
  abort "#{File.basename(path)} #{problems.join("; it ")}." if problems.any?
  path
end

def gem_problems(package, allowed, required)
  unexpected = package.contents.grep_v(allowed)
  missing = required - package.contents
  dependencies = package.spec.runtime_dependencies
  [("contains #{unexpected.join(", ")}" if unexpected.any?), ("lacks #{missing.join(", ")}" if missing.any?),
   ("depends on #{dependencies.join(", ")}" if dependencies.any?)].compact
end

# Prints the size of a gem and of its parts. Each part is compressed separately, so the sum is approximate.
def print_size(path, from: ".")
  parts = Gem::Package.new(path).contents.group_by do |file|
    file[%r{\A(ext/[^/]+|lib/flowline/\d[^/]*|lib|sig)/}, 1] || "documents and other files"
  end
  puts "#{File.basename(path)}: #{File.size(path)} bytes"
  parts.sort.each do |part, files|
    bytes = files.map { |file| File.binread(File.join(from, file)) }.join
    puts format("  %-26<part>s %4<count>d files %8<bytes>d bytes", part: part, count: files.size, bytes: Zlib.gzip(bytes, level: 9).bytesize)
  end
end

# @return [String] the name of this platform. A gem for macOS is for every version of it. PLATFORM names the C library in a release
def native_platform
  platform = Gem::Platform.local.dup
  platform.version = nil if platform.os == "darwin"
  ENV.fetch("PLATFORM", platform.to_s)
end

# @return [String] the version of this Ruby, as in RUBIES
def ruby_series
  RbConfig::CONFIG["ruby_version"][/\A\d+\.\d+/]
end

# @param rubies [Array<String>] adjacent versions, as in RUBIES
# @return [Array<String>] the requirement that only these versions meet
def ruby_requirement(rubies)
  last = rubies.last
  following = RUBIES[RUBIES.index(last) + 1] if RUBIES.include?(last)
  [">= #{rubies.first}", "< #{following || Gem::Version.new("#{last}.0").bump}.dev"]
end

# @param profile [String] "release", as for users, or "dev": a quick build, with the other crates as `rake compile` has compiled them
def install_gem(path, profile)
  home = File.expand_path(INSTALLED)
  install = ["gem", "install", "--local", "--no-document", "--install-dir", home, File.expand_path(path)]
  settings = { "GEM_HOME" => home, "GEM_PATH" => home, "CARGO_TARGET_DIR" => nil, "FLOWLINE_PROFILE" => nil }
  if profile == "dev"
    settings.update("CARGO_TARGET_DIR" => File.expand_path(ENV["CARGO_TARGET_DIR"] || "target"), "FLOWLINE_PROFILE" => profile)
    mkdir_p "#{home}/.cargo", verbose: false
    File.write("#{home}/.cargo/config.toml", QUICK_BUILD)
  end
  defined?(Bundler) ? Bundler.with_unbundled_env { sh(settings, *install) } : sh(settings, *install)
end

# Builds the gem of a platform from the extensions in EXTENSIONS.
def build_native_gem(platform)
  rubies = Dir.children(File.join(EXTENSIONS, platform)).sort_by { |ruby| Gem::Version.new(ruby) }
  adjacent = rubies.one? || RUBIES.each_cons(rubies.size).include?(rubies)
  abort "#{EXTENSIONS}/#{platform} has extensions for Ruby #{rubies.join(", ")}; it needs adjacent versions of #{RUBIES.join(", ")}." unless adjacent

  spec = native_spec(platform, rubies)
  stage = File.join("tmp/native", platform)
  stage_native(spec, stage, platform)
  path = build_gem(spec, from: stage, allowed: NATIVE_ALLOWED, required: NATIVE_REQUIRED)
  print_size(path, from: stage)
end

def native_spec(platform, rubies)
  spec = flowline_spec
  spec.platform = Gem::Platform.new(platform)
  abort "RubyGems #{Gem::VERSION} reads platform #{platform} as #{spec.platform}; run `gem update --system`." unless spec.platform.to_s == platform

  # Earlier versions of RubyGems install a gem for glibc on musl.
  spec.required_rubygems_version = ">= 3.3.22" if platform.match?(/linux-(gnu|musl)/)
  spec.required_ruby_version = ruby_requirement(rubies)
  spec.extensions = []
  spec.files = spec.files.grep_v(%r{\A(ext/|Cargo\.)})
  spec
end

# Copies the files of a platform gem to a directory of their own, so that the development build in lib/ does not change.
def stage_native(spec, stage, platform)
  rm_rf stage, verbose: false
  spec.files.each do |file|
    mkdir_p File.join(stage, File.dirname(file)), verbose: false
    cp file, File.join(stage, file), preserve: true, verbose: false
  end
  cp_r File.join(EXTENSIONS, platform, "."), File.join(stage, "lib/flowline"), verbose: false
  File.write(File.join(stage, "lib/flowline/flowline.rb"), LOADER)
  spec.files += ["lib/flowline/flowline.rb", *Dir.glob("lib/flowline/*/flowline.{so,bundle}", base: stage)]
end

desc "Build the source gem into pkg/, check its content, and print the size of its parts"
task :gem do
  path = build_gem(flowline_spec, allowed: GEM_ALLOWED, required: GEM_REQUIRED, budget: GEM_BUDGET)
  print_size(path)
end

namespace :gem do
  desc "Print what CHANGELOG.md says about this version"
  task :notes do
    version = flowline_spec.version
    puts File.read("CHANGELOG.md", encoding: "UTF-8")[/^## \[#{Regexp.escape(version.to_s)}\].*?\n(.*?)(?=^## \[|\z)/m, 1]&.strip ||
         abort("CHANGELOG.md has no section for version #{version}.")
  end

  desc "Install the source gem into #{INSTALLED}, and copy its extension into #{EXTENSIONS}/PLATFORM; PLATFORM is this one if it is not given"
  task :extension, [:profile] => :gem do |_, arguments|
    target = File.expand_path(File.join(EXTENSIONS, native_platform, ruby_series))
    rm_rf INSTALLED, verbose: false
    mkdir_p target, verbose: false
    install_gem(File.join("pkg", flowline_spec.file_name), arguments.fetch(:profile, "release"))
    cp File.join(INSTALLED, "gems", flowline_spec.full_name, "lib/flowline/flowline.#{RbConfig::CONFIG["DLEXT"]}"), target
  end

  desc "Build a gem for each platform in #{EXTENSIONS} into pkg/, for the Rubies that have an extension there"
  task :pack do
    platforms = Dir.glob("*", base: EXTENSIONS).sort
    abort "There are no extensions in #{EXTENSIONS}; run rake gem:extension." if platforms.empty?
    platforms.each { |platform| build_native_gem(platform) }
  end

  desc "Build a gem for this platform and this Ruby into pkg/, which installs without Rust"
  task :native, [:profile] do |_, arguments|
    rm_rf File.join(EXTENSIONS, native_platform), verbose: false
    Rake::Task["gem:extension"].invoke(*arguments)
    build_native_gem(native_platform)
  end
end
