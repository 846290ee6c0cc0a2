# frozen_string_literal: true

# Writes a Makefile around `cargo build`, with nothing but Ruby: the gem depends on no other, not even to be built. It
# serves two callers, which run it in different directories: RubyGems in this one (build for release, remove every
# intermediate file), rake-compiler in tmp/ (share the workspace's target/). Both respect CARGO_TARGET_DIR, whose files are not ours to remove.
config = RbConfig::CONFIG
root = File.expand_path("../..", __dir__)
installing = File.identical?(".", __dir__)

# Checks the version first, because an old cargo fails with an obscure error in files that it cannot read.
rust = `cargo -V 2>&1 && rustc -vV 2>&1`
found = rust[/^release: ([\d.]+)/, 1]
needed = File.read("#{root}/Cargo.toml")[/^rust-version = "(.+)"/, 1]
Gem::Version.new(found.to_s) >= Gem::Version.new(needed) or
  abort "Flowline needs Rust #{needed} or later to be built, and found #{found || "no cargo"}: see https://rustup.rs"

profile = ENV["FLOWLINE_PROFILE"] || (installing ? "release" : "dev")
shared = ENV["CARGO_TARGET_DIR"] || ("target" unless installing)
# On musl, Rust links statically by default: such a library could not be loaded, nor could bindgen load libclang.
flags = 'RUSTFLAGS="$$RUSTFLAGS -C target-feature=-crt-static"' if rust[/^host: .*musl/]

missing = "Flowline was not built. If libclang was not found: install libclang-dev (Debian, Ubuntu), clang-devel (Fedora), " \
          "clang-dev (Alpine) or the Xcode tools; or set LIBCLANG_PATH to its directory."

# RubyGems calls `make clean`, `make` and `make install` (and `make clean` again from 3.4 on), with DESTDIR and, from
# 3.4 on, sitearchdir; rake-compiler calls it with target_prefix. Cargo alone decides what is stale. The library is copied
# every time, because rake-compiler compares its time with the sources'; `mv` does not disturb a Ruby that has the old
# library loaded.
#
# bindgen reads Ruby's headers through libclang, and looks for it in many places: only bindgen knows whether it is there.
# Its message is hard to find in the output of cargo, so the Makefile prints a hint as the last line.
File.write("Makefile", <<~MAKEFILE)
  target = #{File.expand_path(shared || "#{__dir__}/target", root)}
  library = flowline.#{config["DLEXT"]}
  sitearchdir = #{config["sitearchdir"]}
  target_prefix = /flowline
  installed = "$(DESTDIR)$(sitearchdir)$(target_prefix)/$(library)"

  all:
  \t+#{flags} RUBY="#{RbConfig.ruby}" cargo build --locked --profile #{profile} --package flowline \\
  \t\t--manifest-path "#{root}/Cargo.toml" --target-dir "$(target)" || { echo "#{missing}" >&2; false; }
  \tcp "$(target)"/#{profile.sub("dev", "debug")}/*flowline.#{config["SOEXT"]} $(library)

  install:
  \tmkdir -p "$(DESTDIR)$(sitearchdir)$(target_prefix)"
  \tcp $(library) $(installed).new
  \tmv -f $(installed).new $(installed)
  #{"\t$(MAKE) clean" if installing}

  clean:
  \trm -rf $(library) #{'"$(target)"' unless shared}
MAKEFILE
