# frozen_string_literal: true

require "open3"
require "rbconfig"

module Torture
  # Builds the library in shim.c, and sends it commands from a process into which it is preloaded.
  module Shim
    # The prefix of the paths that are commands.
    COMMAND = "/torture.shim:"
    SOURCE = File.join(__dir__, "shim.c")
    # The bits of the kinds of calls.
    KINDS = %i[open create read write truncate sync rename unlink mkdir mmap close lock chmod stat release].each_with_index.to_h { |kind, bit| [kind, 1 << bit] }.freeze
    ACTIONS = { count: 0, kill_before: 1, kill_after: 2, fail: 3, short: 4, pause: 5 }.freeze
    private_constant :COMMAND, :SOURCE

    class << self
      # @param folder [String] where the library goes
      # @return [String, nil] its path; nil if this machine has no cc, or another libc than the one it is written for
      # @raise [RuntimeError] it cannot be built although this machine has both
      def build(folder)
        return if !RUBY_PLATFORM.end_with?("linux", "linux-gnu") || system("cc", "--version", out: File::NULL, err: File::NULL).nil?

        library = File.join(folder, "shim.so")
        messages, status = Open3.capture2e("cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o", library, SOURCE, "-ldl")
        raise "cc cannot build #{SOURCE}: #{messages}" unless status.success? && messages.empty?

        library
      end

      # @return [Boolean] whether the library is preloaded into this process
      def loaded?
        File.read("#{COMMAND}ready").empty?
      rescue SystemCallError
        false
      end

      # Starts counting the calls below a directory, and chooses the one that fails.
      # @param fault [Fault]
      # @param call [Integer] its number; -1: none, but the file gets the number of calls of each kind
      # @param directory [String]
      # @param notes [String] a file that gets the name of that call
      def arm(fault, call, directory, notes)
        kinds = KINDS.values_at(*fault.kinds).sum
        File.read("#{COMMAND}arm #{ACTIONS.fetch(fault.action)} #{fault.errno} #{kinds} #{call} #{fault.repeat ? 1 : 0} #{notes} #{directory}")
      end

      # @param notes [String] a file that {arm} was given with -1
      # @return [Hash{Symbol => Integer}] the calls by kind
      def counts(notes)
        KINDS.keys.zip(File.readlines(notes).map { |line| Integer(line) }).to_h
      end

      # @param seconds [Integer] by how much the wall clock of this process, and of children it forks, is ahead
      def shift_clock(seconds)
        File.read("#{COMMAND}clock #{seconds}")
      end
    end
  end

  # A fault to inject: an action of the shim, the errno of a failure, the kinds of calls that can fail so, and whether all
  # calls from the chosen one on fail.
  Fault = Struct.new(:name, :action, :errno, :kinds, :repeat)
end
