# frozen_string_literal: true

# The program of the torture tests. {Torture::Launch} runs it with the shim preloaded. Every try is in forked children,
# because a fork takes milliseconds and a new Ruby takes a tenth of a second. This process loads the library for all of them, and
# uses no store itself.
# It prints a line of JSON for each tally.
#
#   steps     kill -9 before and after each step, and at random times; many processes on one store
#   kills     kill -9 before and after each system call that touches the store
#   errors    each of these calls fails, once or from then on: EIO, ENOSPC, EMFILE, ENOMEM, EINTR, ENOLCK, short writes
#   pauses    a process stops before each call, while another one, whose clock is days ahead, deletes
#   forks     forks, daemons and isolated steps while threads record
#   reading   a step reads every file of the store while its run is alive
#   storms    threads are killed while they acquire and release locks
#   clocks    processes whose clocks are days apart
#   starts    16 processes or threads start at the same time
#   turns     2 to 16 processes or threads start runs that exclude each other: exactly one runs
#
# Every try checks that a step whose dependent has started is recorded and never runs again on resume, that another run's
# records stay, that outputs are right, that a process ends in time, and that only a StoreError or a CacheError is raised.

require "json"
require_relative "../support/eager"
require_relative "clocks"
require_relative "forks"
require_relative "kills"
require_relative "pauses"
require_relative "reading"
require_relative "starts"
require_relative "storms"
require_relative "turns"

module Torture
  # The torture tests, by name.
  class Program
    NAMES = %w[steps kills errors pauses forks reading storms clocks starts turns].freeze
    # These need the shim.
    SHIM = %w[kills errors pauses clocks].freeze

    # @param count [Integer, nil] tries of each fault; nil: one for each call, or as many as each kind has by default
    # @param drivers [Array<Class>] that kills, errors and pauses strike
    def initialize(count: nil, drivers: Driver.all, random: Random.new)
      @count = count
      @drivers = drivers
      @random = random
    end

    # @param name [String]
    # @yieldparam tally [Tally]
    # @return [void]
    def call(name, &block)
      if SHIM.include?(name) && !Shim.loaded?
        raise "#{ENV["TORTURE_SHIM"]} was built, but is not loaded" if ENV["TORTURE_SHIM"]

        return yield Tally.of("#{name}: skipped, needs cc and Linux")
      end
      case name
      when "kills" then Faults.new(**calls).call(Faults::KILLS, &block)
      when "errors" then Faults.new(**calls).call(Faults::ERRORS, &block)
      when "pauses" then Pauses.new(**calls).call(Pauses::FAULTS, &block)
      else others(name).call(&block)
      end
    end

    private

    def calls
      { count: @count, drivers: @drivers, random: @random }
    end

    def others(name)
      count = { count: @count }.compact
      case name
      when "steps" then @count ? Kills.new(count: @count, runs: [@count, 5].min, steps: @count, random: @random) : Kills.new(random: @random)
      when "forks" then Forks.new(**count)
      when "reading" then Reading.new(**count, random: @random)
      when "storms" then Storms.new(**count, random: @random)
      when "clocks" then Clocks.new(**count, random: @random)
      when "starts" then Starts.new(**count)
      when "turns" then Turns.new(**count, random: @random)
      else raise ArgumentError, "TORTURE=#{name}: known are #{NAMES.join(", ")}"
      end
    end
  end

  program = lambda do
    $stdout.sync = true
    Eager.load
    drivers = Driver.all.select { |driver| ENV["DRIVER"].nil? || driver.label.include?(ENV["DRIVER"]) }
    torture = Program.new(count: ENV["COUNT"]&.then { |count| Integer(count) }, drivers: drivers, random: Random.new(Integer(ENV.fetch("SEED"))))
    ENV.fetch("TORTURE").split(",").each { |name| torture.call(name) { |tally| puts JSON.generate(tally.to_h) } }
  ensure
    Child.end_all # Ctrl-C leaves no process behind either.
  end
  program.call if $PROGRAM_NAME == __FILE__
end
