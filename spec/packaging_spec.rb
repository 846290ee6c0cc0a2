# frozen_string_literal: true

require "flowline/version"
require "open3"
require "rbconfig"
require "rubygems/package"
require "tmpdir"
require "yaml"

# Runs the gems, installed as a user does in an empty gem home, without access to the checkout. `rake packaging` builds the gems,
# installs the source gem, and runs these specs. A plain `rspec` excludes them, because compiling takes minutes.
RSpec.describe "Flowline's gems", :packaging do
  root = File.expand_path("..", __dir__)
  version = Flowline::VERSION
  platform = Gem::Platform.local
  platform.version = nil if platform.os == "darwin"
  source_gem = File.join(root, "pkg", "flowline-#{version}.gem")
  platform_gem = File.join(root, "pkg", "flowline-#{version}-#{platform}.gem")

  around do |example|
    Dir.mktmpdir("flowline") { |directory| @home = directory and example.run }
  end

  # Runs Ruby in the new gem home, without the settings of Bundler and of the checkout.
  def ruby(*arguments, path: ENV.fetch("PATH"))
    environment = { "GEM_HOME" => @home, "GEM_PATH" => @home, "PATH" => path, "LANG" => "C.UTF-8",
                    "HOME" => ENV.fetch("HOME", "/"), "CARGO_HOME" => ENV["CARGO_HOME"], "RUSTUP_HOME" => ENV["RUSTUP_HOME"],
                    "LIBCLANG_PATH" => ENV["LIBCLANG_PATH"], "LD_LIBRARY_PATH" => ENV["LD_LIBRARY_PATH"] }
    output, status = Open3.capture2e(environment, RbConfig.ruby, *arguments, chdir: @home, unsetenv_others: true, stdin_data: "")
    expect(status).to be_success, output
    output
  end

  def install(gem, **options)
    ruby(File.join(RbConfig::CONFIG["bindir"], "gem"), "install", "--local", "--no-document",
         "--install-dir", @home, gem, **options)
  end

  def expect_it_runs(**options)
    expect(ruby(File.join(@home, "bin", "flowline"), "version", **options)).to eq("flowline #{Flowline::VERSION}\n")
    expect(ruby("-w", "-e", <<~'RUBY', **options).lines(chomp: true)).to eq(["2", @home])
      require "flowline"
      pipeline = Flowline.define(name: "x") { step(:a) { 1 }; step(:b, depends_on: :a) { |n| n + 1 } }
      puts pipeline.run[:b].output
      puts $LOADED_FEATURES.grep(/flowline/).map { |file| file[%r{\A#{Regexp.escape(Dir.pwd)}|.*}] }.uniq
    RUBY
  end

  def contents(gem)
    Gem::Package.new(gem).contents
  end

  # @return [Array<String>] the files of a gem that differ from those of the repository
  def changed(gem, root)
    Dir.mktmpdir do |folder|
      Gem::Package.new(gem).extract_files(folder)
      contents(gem).reject do |file|
        original = File.join(root, file)
        File.exist?(original) && File.binread(File.join(folder, file)) == File.binread(original)
      end
    end
  end

  it "are installed from source, without the files of the build, and run" do
    @home = File.join(root, "tmp/gem-home")
    expect(File.mtime(@home)).to be > File.mtime(source_gem)
    expect(Dir.glob("#{@home}/**/target", File::FNM_DOTMATCH)).to be_empty
    files = Dir.glob("#{@home}/**/*", File::FNM_DOTMATCH).select { |file| File.file?(file) }
    extensions, others = files.partition { |file| File.basename(file) == "flowline.#{RbConfig::CONFIG["DLEXT"]}" }
    expect(extensions.size).to eq(2) # RubyGems has one in its own folder.
    expect(others.sum { |file| File.size(file) }).to be < 4 * 1024 * 1024
    expect(files.sum { |file| File.size(file) }).to be < 16 * 1024 * 1024 if ENV["PACKAGED"] == "release"
    expect_it_runs
  end

  it "install for this platform with nothing but Ruby, and run" do
    nowhere = File.join(@home, "nowhere")
    install(platform_gem, path: nowhere)

    expect(Dir.glob("#{@home}/gems/*/{ext,Cargo.toml}")).to be_empty
    expect_it_runs(path: nowhere)
  end

  it "contain the repository's files unchanged" do
    expect(contents(source_gem).size).to be > 100
    expect(changed(source_gem, root)).to be_empty
  end

  it "contain for a platform the same files, the extension, and its loader" do
    series = RbConfig::CONFIG["ruby_version"][/\A\d+\.\d+/]
    extension = "lib/flowline/#{series}/flowline.#{RbConfig::CONFIG["DLEXT"]}"
    expect(changed(platform_gem, root)).to contain_exactly("lib/flowline/flowline.rb", extension)
    expect(contents(source_gem).grep_v(%r{\A(ext/|Cargo)}) - contents(platform_gem)).to be_empty
  end

  it "install for a platform only with the Rubies that they have an extension for" do
    requirement = Gem::Package.new(platform_gem).spec.required_ruby_version
    major, minor = RbConfig::CONFIG["ruby_version"].split(".").map(&:to_i)
    expect(["#{major}.#{minor}.0", "#{major}.#{minor}.99", "#{major}.#{minor + 1}.0", "#{major}.#{minor - 1}.9"].map do |ruby|
      requirement.satisfied_by?(Gem::Version.new(ruby))
    end).to eq([true, true, false, false])
  end

  it "have the version of the crates" do
    expect(File.read(File.join(root, "Cargo.toml"))[/^version = "(.+)"/, 1]).to eq(version)
  end
end

RSpec.describe "workflows" do
  root = File.expand_path("..", __dir__)
  define_method(:jobs) { |name| YAML.load_file(File.join(root, ".github/workflows/#{name}.yml")).fetch("jobs") }
  define_method(:matrix) { |name, job| jobs(name).dig(job, "strategy", "matrix") }
  let(:rubies) { File.read(File.join(root, "rakelib/gem.rake"))[/^RUBIES = %w\[(.+)\]/, 1].split }

  it "test and release every supported Ruby" do
    oldest = Gem::Specification.load(File.join(root, "flowline.gemspec")).required_ruby_version
    expect(oldest).to eq(Gem::Requirement.new(">= #{rubies.first}"))
    expect([matrix("test", "test"), matrix("release", "extension")].map { |matrix| matrix["ruby"] }).to eq([rubies] * 2)
    expect(matrix("release", "try")["ruby"]).to eq([rubies.first, rubies.last])
  end

  it "build the gems for release before a release" do
    expect(jobs("test").each_value.flat_map { |job| job["steps"] }.map { |step| step["run"] }).to include("bundle exec rake packaging[release]")
  end

  it "release a gem for every platform, each on a system of its own" do
    platforms = %w[x86_64 aarch64].product(%w[gnu musl]).map { |cpu, libc| "#{cpu}-linux-#{libc}" } + %w[x86_64-darwin arm64-darwin]
    [matrix("release", "extension"), matrix("release", "try")].each do |matrix|
      expect(matrix["platform"]).to match_array(platforms)
      expect(matrix["include"].to_h { |entry| entry.values_at("platform", "os") }.keys).to match_array(platforms)
    end
  end
end
