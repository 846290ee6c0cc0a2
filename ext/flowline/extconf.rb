# frozen_string_literal: true

# Writes a Makefile around `cargo build`, with nothing but the standard library: the gem depends on no other, not even
# to be built. It serves two callers, told apart by the directory they run it in: RubyGems (here: build for release,
# leave nothing behind) and rake-compiler (in tmp/: share the workspace's target/).
require "rbconfig"
require "rubygems"
require "shellwords"

config = RbConfig::CONFIG
root = File.expand_path("../..", __dir__)
installing = File.identical?(Dir.pwd, __dir__)

# What must be there is said here, before a wall of compiler output hides it.
rustc = `cargo --version 2>&1 && rustc --version --verbose 2>&1`
version = rustc[/^release: ([\d.]+)/, 1] or
  abort "Flowline needs Rust to be built, and found no cargo. To install it: https://rustup.rs"
minimum = File.read(File.join(root, "Cargo.toml"))[/^rust-version = "(.+?)"/, 1]
Gem::Version.new(version) >= Gem::Version.new(minimum) or
  abort "Flowline needs Rust #{minimum} or later, and found #{version}. To update it: rustup update"

# bindgen reads Ruby's headers through libclang, which it looks for in these places.
places = ENV.values_at("LD_LIBRARY_PATH", "LIBRARY_PATH").compact.flat_map { |paths| paths.split(":") } + [
  `#{ENV.fetch("LLVM_CONFIG_PATH", "llvm-config").shellescape} --libdir 2>/dev/null`.chomp,
  "#{`xcode-select --print-path 2>/dev/null`.chomp}/{,Toolchains/XcodeDefault.xctoolchain/}usr/lib",
  "/Library/Developer/CommandLineTools/usr/lib", "/{usr/local,opt/homebrew}/opt/llvm*/lib{,/llvm*/lib}",
  "/usr/{,local/}lib*{,/*,/*/*}", "/usr/local/llvm*/lib*"
]
clang = ENV["LIBCLANG_PATH"] || Dir.glob(places.map { |place| "#{place}/libclang{,-[0-9]*}.{so,dylib}*" }).any?
unless clang
  message = "Flowline needs libclang to be built, and found none. Install libclang-dev (Debian, Ubuntu), clang-devel (Fedora), " \
            "clang-dev (Alpine) or the Xcode tools; or set LIBCLANG_PATH to its directory."
  # Elsewhere these places are not known to be all there are: bindgen shall find out.
  config["host_os"].match?(/linux|darwin/) ? abort(message) : warn(message)
end

profile = ENV.fetch("FLOWLINE_PROFILE", installing ? "release" : "dev")
target = installing ? File.join(__dir__, "target") : File.expand_path(ENV.fetch("CARGO_TARGET_DIR", "target"), root)
product = "#{"lib" unless config["SOEXT"] == "dll"}flowline.#{config["SOEXT"]}"
built = File.join(target, profile == "dev" ? "debug" : profile, product)
quote = ->(path) { path.shellescape.gsub("$", "$$") }
# musl links all statically unless told: such a library could not be loaded, nor could bindgen load libclang.
flags = 'RUSTFLAGS="$$RUSTFLAGS -C target-feature=-crt-static" ' if rustc.match?(/^host: .*musl/)

# RubyGems calls `make clean`, `make` and `make install` (and `make clean` once more from 3.4 on), with DESTDIR and, from
# 3.4 on, sitearchdir; rake-compiler calls it with target_prefix. Cargo alone decides what is stale. The copy is new in
# any case, since rake-compiler compares its time with the sources'; `mv` spares a Ruby that has the old one loaded.
File.write("Makefile", <<~MAKEFILE)
  sitearchdir = #{quote[config["sitearchdir"]]}
  target_prefix = /flowline
  library = flowline.#{config["DLEXT"]}
  folder = $(DESTDIR)$(sitearchdir)$(target_prefix)

  all:
  \t+#{flags}RUBY=#{quote[RbConfig.ruby]} cargo build --locked --profile #{profile} --package flowline \\
  \t\t--manifest-path #{quote[File.join(root, "Cargo.toml")]} --target-dir #{quote[target]}
  \tcp #{quote[built]} $(library)

  install:
  \tmkdir -p $(folder)
  \tcp $(library) $(folder)/$(library).new
  \tmv -f $(folder)/$(library).new $(folder)/$(library)
  #{"\t$(MAKE) clean" if installing}

  clean:
  \trm -rf $(library) #{quote[target] if installing}

  .PHONY: all install clean
MAKEFILE
