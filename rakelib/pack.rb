# frozen_string_literal: true

require "fileutils"

# The gem holds the same program as the repository in fewer bytes, so that there is room for more of it: Ruby without
# comments and indentation but with its line numbers, each crate as one file of bare tokens, manifests of what
# building takes, all in a better compressed archive. Everything is done by tokens and by the tools' own
# words, never by the look of a line; spec/packaging_spec.rb holds the outcome against the repository.
#
# It is for `rake gem` alone: a gem built with `gem build` is larger and the same.
module Pack
  class << self
    # Copies the files of a gem into a new directory.
    # @return [Array<String>] their names there
    def stage(files, into:)
      FileUtils.rm_rf(into)
      rust, others = files.partition { |file| file.end_with?(".rs") || File.basename(file).start_with?("Cargo.") }
      others.each do |file|
        text = File.read(file)
        write(File.join(into, file), file.end_with?(".rb") ? Ruby.pack(text) : text, mode: File.stat(file).mode)
      end
      Cargo.pack(into: into) if rust.any?
      Dir.glob("**/*", base: into).select { |file| File.file?(File.join(into, file)) }
    end

    # Writes a file, and the directories to it.
    def write(path, text, mode: 0o644)
      FileUtils.mkdir_p(File.dirname(path))
      File.write(path, text)
      File.chmod(mode, path)
    end
  end
end

require_relative "pack/archive"
require_relative "pack/cargo"
require_relative "pack/ruby"
require_relative "pack/rust"
