# frozen_string_literal: true

require "rbconfig"

# Saves the compiled code of gems, so that a program that loads as many as Rails does starts in half of the time. The programs
# load this file by RUBYOPT; the files of an application and of the checkout are compiled as ever. The folder is new in every
# run of the specs, and parts of one share it, so that nothing in it is stale.
module Compiled
  FOLDER = "COMPILED_GEMS"

  class << self
    # @return [Hash{String => String}] variables of a program
    def environment
      { "RUBYOPT" => "#{Processes.coverage["RUBYOPT"]} -r#{__FILE__}", FOLDER => folder }
    end

    # @return [void]
    def clean
      FileUtils.rm_rf(@folder) if @folder && !ENV["COVERAGE_PART"]
    end

    # @return [RubyVM::InstructionSequence, nil] nil: Ruby compiles the file itself
    def call(path)
      load(path, File.join(ENV.fetch(FOLDER), path.tr("/", "%"))) if path.start_with?(*gems)
    rescue SystemCallError, RuntimeError
      nil # Its name is too long, or it has code that cannot be saved.
    end

    private

    def load(path, file)
      RubyVM::InstructionSequence.load_from_binary(File.binread(file))
    rescue Errno::ENOENT
      RubyVM::InstructionSequence.compile_file(path).tap { |code| save(file, code.to_binary) }
    end

    # Others may read the file at any time.
    def save(file, bytes)
      File.binwrite("#{file}.#{Process.pid}", bytes)
      File.rename("#{file}.#{Process.pid}", file)
    end

    # @return [Array<String>]
    def gems
      @gems ||= [RbConfig::CONFIG["rubylibprefix"], *Gem.path.map { |path| File.join(path, "gems") }].map { |path| "#{path}/" }
    end

    def folder
      @folder ||= ENV["COVERAGE_PART"] ? File.expand_path("../../tmp/specs/compiled", __dir__) : Dir.mktmpdir("compiled")
      @folder.tap { |path| FileUtils.mkdir_p(path) }
    end
  end

  # Ruby calls this for each file that it loads.
  module Hook
    def load_iseq(path)
      Compiled.call(path)
    end
  end
end

if ENV[Compiled::FOLDER]
  RubyVM::InstructionSequence.singleton_class.prepend(Compiled::Hook)
else
  require "fileutils"
  require "tmpdir"
  RSpec.configure { |config| config.after(:suite) { Compiled.clean } }
end
