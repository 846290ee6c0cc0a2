# frozen_string_literal: true

require "json"
require "pathname"

module Pack
  # The crates, with no more in their manifests than building them takes: the workspace of two becomes a package at the
  # root and one beneath it. The facts are asked of cargo, so nothing here reads TOML.
  module Cargo
    class << self
      # Writes them into this directory.
      def pack(into:)
        packages = JSON.parse(cargo("metadata", "--locked", "--no-deps", "--format-version", "1"))["packages"]
        packages.each do |package|
          binding = target(package, "cdylib")
          directory = binding ? "." : relative(File.dirname(package["manifest_path"]))
          Pack.write(File.join(into, directory, "Cargo.toml"), manifest(package, directory) + (binding ? workspace : ""))
          [binding || target(package, "lib"), target(package, "custom-build")].compact.each do |file|
            Pack.write(File.join(into, file), Rust.pack(file))
          end
        end
        lock(File.join(into, "Cargo.lock"))
      end

      private

      def cargo(*arguments, chdir: ".")
        output = IO.popen(["cargo", *arguments], chdir: chdir, &:read)
        $?.success? ? output : abort("cargo #{arguments.first} failed, see above.")
      end

      def relative(path, from = ".")
        Pathname(File.expand_path(path)).relative_path_from(File.expand_path(from)).to_s
      end

      def target(package, kind)
        found = package["targets"].find { |target| target["kind"] == [kind] } and relative(found["src_path"])
      end

      def manifest(package, directory)
        package["features"].empty? or raise ArgumentError, "#{package["name"]}: features are not packed"
        library, build = %w[cdylib custom-build].map { |kind| target(package, kind) }
        toml("package" => { **package.slice("name", "version", "edition"), "rust-version" => package["rust_version"],
                                                                           "build" => (relative(build, directory) if build) },
             "lib" => library ? { "path" => relative(library, directory), "crate-type" => ["cdylib"] } : {},
             "dependencies" => dependencies(package, nil, directory),
             "build-dependencies" => dependencies(package, "build", directory))
      end

      def dependencies(package, kind, directory)
        package["dependencies"].select { |dependency| dependency["kind"] == kind }.to_h do |dependency|
          name, path, features = dependency.values_at("name", "path", "features")
          dependency.values_at("rename", "target", "registry").any? || dependency["optional"] and
            raise ArgumentError, "#{name}: only plain dependencies are packed"
          source = path ? { "path" => relative(path, directory) } : { "version" => dependency["req"] }
          source["default-features"] = false unless dependency["uses_default_features"]
          source["features"] = features if features.any?
          [name, source]
        end
      end

      # Without `[workspace]` cargo would ask the directories above for theirs.
      def workspace
        "[workspace]\n#{File.read("Cargo.toml")[/^\[profile\.release\]\n(\S.*\n)+/]}"
      end

      def toml(tables)
        tables.map do |name, pairs|
          pairs.compact.map { |key, value| "#{key} = #{inline(value)}\n" }.unshift("[#{name}]\n").join unless pairs.empty?
        end.join
      end

      # Strings, truth and lists are written as in JSON.
      def inline(value)
        value.is_a?(Hash) ? "{ #{value.map { |key, part| "#{key} = #{inline(part)}" }.join(", ")} }" : value.to_json
      end

      # The repository's, less what only its tests need: `cargo tree` sees to that, and asks no network for what is here.
      def lock(file)
        Pack.write(file, File.read("Cargo.lock"))
        cargo("tree", "--quiet", chdir: File.dirname(file))
      end
    end
  end
end
