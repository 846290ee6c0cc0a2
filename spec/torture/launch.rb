# frozen_string_literal: true

require "json"
require "rbconfig"
require "tmpdir"
require_relative "shim"
require_relative "tally"

module Torture
  # Runs main.rb in a process of its own, with the shim preloaded where it can be built.
  module Launch
    MAIN = File.join(__dir__, "main.rb")
    # The environment variables that a run of Flowline reads.
    NEUTRAL = %w[FLOWLINE_ROOT FLOWLINE_STORE FLOWLINE_EXECUTOR COVERAGE].to_h { |name| [name, nil] }.freeze
    private_constant :MAIN, :NEUTRAL

    # @param names [Array<String>] what to torture
    # @param env [Hash{String => String}] options: COUNT, SEED, DRIVER, LIMIT, JOBS
    # @param err [IO, String] where its standard error goes
    # @yieldparam tally [Tally]
    # @return [void]
    # @raise [RuntimeError] the program failed
    def self.call(names, env = {}, err: $stderr)
      Dir.mktmpdir("torture") do |folder|
        shim = Shim.build(folder)
        variables = { **NEUTRAL, "SEED" => Random.new_seed.to_s, **env, "TORTURE" => names.join(","), "TMPDIR" => folder }
        variables.update("LD_PRELOAD" => [shim, ENV["LD_PRELOAD"]].compact.join(" "), "TORTURE_SHIM" => shim) if shim
        IO.popen([variables, RbConfig.ruby, "-w", "-I", File.expand_path("../../lib", __dir__), MAIN, { err: err }]) do |output|
          output.each_line { |line| yield read(line) }
        end
        raise "#{MAIN} ended with #{$?}" unless $?.success?
      end
    end

    def self.read(line)
      Tally.new(*JSON.parse(line, symbolize_names: true).values_at(*Tally.members)).tap { |tally| tally.notes = tally.notes.transform_keys(&:to_s) }
    end
    private_class_method :read
  end
end
