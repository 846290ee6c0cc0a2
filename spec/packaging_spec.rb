# frozen_string_literal: true

require "flowline/version"
require "open3"
require "rbconfig"
require "rubygems/package"
require "tmpdir"

# The gems as a user gets them: installed where there is nothing else, run where nothing of the checkout is in reach.
# `rake packaging` builds the gems and runs this; an ordinary `rspec` leaves it out, since it compiles for a minute.
RSpec.describe "Flowline's gems", :packaging do
  root = File.expand_path("..", __dir__)
  version = Flowline::VERSION
  platform = Gem::Platform.local.to_s

  around do |example|
    Dir.mktmpdir("flowline") { |directory| @home = directory and example.run }
  end

  # Runs Ruby in the new gem home, with none of Bundler's and the checkout's settings.
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

  it "install from source, leave nothing of the build behind, and run" do
    install(File.join(root, "pkg", "flowline-#{version}.gem"))

    expect(Dir.glob("#{@home}/**/target", File::FNM_DOTMATCH)).to be_empty
    size = Dir.glob("#{@home}/**/*", File::FNM_DOTMATCH).select { |file| File.file?(file) }.sum { |file| File.size(file) }
    expect(size).to be < 16 * 1024 * 1024
    expect_it_runs
  end

  it "install compiled for this platform, and run, with nothing but Ruby" do
    nowhere = File.join(@home, "nowhere")
    install(File.join(root, "pkg", "flowline-#{version}-#{platform}.gem"), path: nowhere)

    expect(Dir.glob("#{@home}/gems/*/{ext,Cargo.toml}")).to be_empty
    expect_it_runs(path: nowhere)
  end

  it "hold the repository's files as they are" do
    package = Gem::Package.new(File.join(root, "pkg", "flowline-#{version}.gem"))
    Dir.mktmpdir do |folder|
      package.extract_files(folder)
      expect(package.contents.size).to be > 100
      expect(package.contents.reject { |file| File.binread(File.join(folder, file)) == File.binread(File.join(root, file)) }).to be_empty
    end
  end

  it "have the version of the crates" do
    expect(File.read(File.join(root, "Cargo.toml"))[/^version = "(.+)"/, 1]).to eq(version)
  end
end
