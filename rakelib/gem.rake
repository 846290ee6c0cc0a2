# frozen_string_literal: true

require "digest"
require "ripper"
require "rubygems/package"
require "yaml"

# The source gem stays below this, and holds these files and no others.
GEM_BUDGET = 50 * 1024
GEM_REQUIRED = %w[Cargo.toml Cargo.lock LICENSE exe/flowline lib/flowline.rb
                  ext/flowline/extconf.rb ext/flowline/Cargo.toml ext/flowline-core/Cargo.toml].freeze
GEM_ALLOWED = %r{\A(#{Regexp.union(GEM_REQUIRED)}|lib/.+\.rb|sig/.+\.rbs|ext/flowline(-core)?/(build|src/.+)\.rs)\z}

def flowline_spec
  Gem::Specification.load("flowline.gemspec").dup
end

# Copies the files, lines that are nothing but comment left empty: documentation is written for those who read it in the
# repository or on its pages, and would be a third of the gem. Line numbers stay, so backtraces fit the repository.
def stage(files, into:)
  rm_rf into, verbose: false
  files.each do |file|
    text = File.read(file)
    text = without_comments(text, file) if file.end_with?(".rb", ".rs")
    target = File.join(into, file)
    mkdir_p File.dirname(target), verbose: false
    File.write(target, text)
    File.chmod(File.stat(file).mode, target)
  end
end

def without_comments(text, file)
  return text.gsub(%r{^\s*(//.*)?\n}, "").gsub(/^ +/, "") if file.end_with?(".rs") # Nobody reads what is compiled once.

  lines = text.lines
  comment_lines(text).each { |n| lines[n] = "\n" }
  lines.join
end

# Magic comments stay.
def comment_lines(text)
  comments = Ripper.lex(text).select { |_, kind, _| kind == :on_comment }.map { |(line, _), _| line - 1 }
  lines = text.lines
  comments.select { |n| lines[n].lstrip.start_with?("#") && !lines[n].start_with?("#!", "# frozen_string_literal") }
end

# Builds into pkg/ from the files of a directory; RubyGems' own warnings are errors here.
def build_gem(spec, from:)
  path = File.expand_path(File.join("pkg", spec.file_name))
  mkdir_p "pkg"
  Dir.chdir(from) { Gem::Package.build(spec, false, true, path) }
  squeeze(path)
  path
end

# Compresses a gem's contents again with Zopfli, a slower and better maker of ordinary gzip: a twentieth less.
def squeeze(path)
  entries = File.open(path, "rb") { |file| Gem::Package::TarReader.new(file).to_h { |entry| [entry.full_name, entry.read] } }
  content = "tmp/data.tar"
  File.binwrite(content, Zlib.gunzip(entries["data.tar.gz"]))
  entries["data.tar.gz"] = IO.popen(["zopfli", "-c", content], "rb", &:read)
  entries["checksums.yaml.gz"] = Zlib.gzip(checksums(entries.except("checksums.yaml.gz")), level: 9)
  File.open(path, "wb") do |file|
    Gem::Package::TarWriter.new(file) do |tar|
      entries.each { |name, bytes| tar.add_file_simple(name, 0o444, bytes.bytesize) { |io| io.write(bytes) } }
    end
  end
end

# What RubyGems checks when it installs.
def checksums(entries)
  { "SHA256" => Digest::SHA256, "SHA512" => Digest::SHA512 }
    .transform_values { |digest| entries.transform_values { |bytes| digest.hexdigest(bytes) } }.to_yaml
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
  stage(spec.files, into: "tmp/gem")
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
  stage(spec.files, into: "tmp/native")
  build = "tmp/native-build"
  mkdir_p build
  sh({ "FLOWLINE_PROFILE" => "release" }, RbConfig.ruby, File.expand_path("ext/flowline/extconf.rb"), chdir: build)
  sh "make", "all", "install", "sitearchdir=../native/lib", chdir: build
  spec.files += Dir.glob("lib/flowline/flowline.#{RbConfig::CONFIG["DLEXT"]}", base: "tmp/native")

  path = build_gem(spec, from: "tmp/native")
  puts "#{File.basename(path)}: #{File.size(path)} bytes"
end
