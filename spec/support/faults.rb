# frozen_string_literal: true

require "rbconfig"
require "tmpdir"

# Rubies whose system calls fail; see +faults.c+.
module Faults
  SOURCE = File.expand_path("faults.c", __dir__)

  # @return [String, nil] the library to be preloaded; nil where there is no C compiler
  def self.shim
    return @shim if defined?(@shim)

    file = File.join(Stores::ALL, "faults.so")
    @shim = file if system("cc", "-shared", "-fPIC", "-O1", "-o", file, SOURCE, "-ldl", %i[out err] => File::NULL)
  end

  # Like {Processes#ruby}, with system calls that fail as +FAULT_…+ say.
  def faulty_ruby(script, *arguments, **env)
    skip "needs a C compiler on Linux" unless RbConfig::CONFIG["host_os"].include?("linux") && Faults.shim
    ruby(script, *arguments, LD_PRELOAD: Faults.shim, **env)
  end
end

RSpec.configure { |config| config.include Faults }
