# frozen_string_literal: true

require_relative "../torture/shim"

# Runs Ruby with failing system calls; see the shim of the torture tests.
module Faults
  # Defined in such a Ruby. Makes the calls of these kinds below a directory fail: all from that number on, or that one only.
  STRIKE = <<~RUBY.freeze
    require #{File.expand_path("../torture/shim.rb", __dir__).dump}
    strike = lambda do |action, kinds, directory, errno: 0, call: 0, repeat: true|
      Torture::Shim.arm(Torture::Fault.new("", action, errno, kinds, repeat), call, directory, File::NULL)
    end
  RUBY
  private_constant :STRIKE

  # @return [String, nil] the library to be preloaded; nil where it cannot be built
  def self.shim
    @shim = Torture::Shim.build(Stores::ALL) unless defined?(@shim)
    @shim
  end

  # Like {Processes#ruby}, with a lambda +strike+ that makes system calls fail.
  def faulty_ruby(script, *arguments, **env)
    skip "needs a C compiler on Linux" unless Faults.shim
    ruby(STRIKE + script, *arguments, LD_PRELOAD: Faults.shim, **env)
  end
end

RSpec.configure { |config| config.include Faults }
