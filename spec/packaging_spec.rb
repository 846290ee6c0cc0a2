# frozen_string_literal: true

require "flowline/version"
require "open3"
require "rbconfig"
require "ripper"
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

  # What of a Ruby program means something, by line.
  def tokens(text)
    Ripper.lex(text).filter_map { |(line, _), kind, token| [line, kind, token] unless %i[on_sp on_comment on_ignored_nl on_nl].include?(kind) }
  end

  it "hold the repository's Ruby, on the same lines" do
    files = Dir.glob("{lib,exe,ext}/**/{*.rb,flowline}", base: File.join(root, "tmp/gem")).select { |file| File.file?(File.join(root, "tmp/gem", file)) }
    expect(files.size).to be > 50
    files.each do |file|
      packed, original = [File.join(root, "tmp/gem"), root].map { |folder| tokens(File.read(File.join(folder, file))) }
      expect(packed).to eq(original), file
    end
  end

  it "keep what only looks like comments and indentation" do
    require_relative "../rakelib/pack"
    source = "x = <<~A\n    # no comment\n      indented\nA\n  y = '# no'  # yes\n__END__\n  # stays\n"
    expect(Pack::Ruby.pack(source)).to eq("x = <<~A\n    # no comment\n      indented\nA\ny = '# no'\n__END__\n  # stays\n")
  end

  it "hold the crates' tokens, strings and all" do
    require_relative "../rakelib/pack"
    Dir.mktmpdir do |folder|
      File.write(File.join(folder, "lib.rs"), %(mod a; // gone\nfn f<'a>(x: &'a str) -> f64 { let _ = ("//  no", r#"/* " */"#, 'x', '\\''); 1. + 1..2 }\n))
      File.write(File.join(folder, "a.rs"), "/// doc\npub fn g() { /* a /* b */ c */ }\n")
      expect(Pack::Rust.pack(File.join(folder, "lib.rs")))
        .to eq(%q(mod a{pub fn g(){}}fn f<'a>(x:&'a str)->f64{let _=("//  no",r#"/* " */"#,'x','\'');1.+1..2}))
    end
  end

  it "have the version of the crates" do
    expect(File.read(File.join(root, "Cargo.toml"))[/^version = "(.+)"/, 1]).to eq(version)
  end
end
