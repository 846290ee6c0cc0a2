# frozen_string_literal: true

require "tmpdir"
require "timeout"
require_relative "child"
require_relative "databases"
require_relative "tally"
require_relative "work"

module Torture
  # Threads that are killed, or interrupted by a time limit, at a random time while they acquire and release locks. After
  # each, another thread must get the lock immediately, and from time to time another process as well.
  class Storms
    SUBJECTS = { run: "run(resume: true)", memory: "Cache::Memory#fetch", file: "Cache::File#fetch" }.freeze
    BLOWS = { kill: "Thread#kill", timeout: "Timeout" }.freeze
    # The longest time for acquiring a free lock.
    AT_ONCE = 10
    # The number of interruptions after which another process tries.
    OTHER_PROCESS = 10
    # Errors that may end an interrupted thread.
    ENDS = [Timeout::Error, Flowline::CancelledError, Flowline::TimeoutError].freeze
    private_constant :AT_ONCE, :OTHER_PROCESS, :ENDS

    # @param count [Integer] interruptions of each kind
    def initialize(count: 100, random: Random.new)
      @count = count
      @random = random
    end

    # @yieldparam tally [Tally]
    # @return [void]
    def call
      SUBJECTS.keys.product(BLOWS.keys).each do |subject, blow|
        tally = Tally.of("#{BLOWS[blow]} in #{SUBJECTS[subject]}")
        Dir.mktmpdir("torture") do |folder|
          @folder = File.realpath(folder)
          owner = Child.call(limit: (3 * AT_ONCE) + @count) { enter && Array.new(@count) { |n| try(subject, blow, n) } }
          owner.answer.to_a.each { |findings| tally.add(findings) }
          tally.add(owner.findings("the owner") + Databases.check(@folder))
        end
        yield tally
      end
    end

    private

    def enter
      Flowline.configure { |config| config.root = File.join(@folder, "store") }
      Work.log = File::NULL
      @memory = Flowline::Cache::Memory.new
      @file = Flowline::Cache::File.new
      @number = 0
      %i[run file].each { |subject| use(subject) } # The first use makes the store, and takes longest.
      @seconds = { run: took { use(:run) }, memory: 0.003, file: took { 5.times { use(:file) && @number += 1 } } / 5 }
    end

    def took
      start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      yield
      Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
    end

    # @return [Array] findings
    def try(subject, blow, number)
      @number += 1
      findings = strike(subject, blow, @random.rand(@seconds.fetch(subject) * 1.2))
      findings.concat(at_once(subject))
      return findings unless (number % OTHER_PROCESS).zero? && subject != :memory

      findings + Child.call(limit: AT_ONCE) { use(subject) && nil }.findings("another process")
    end

    def use(subject)
      case subject
      when :run then right!(Work.pipeline("storm", keep: true).run(resume: true))
      when :memory then right!(@memory.fetch("key#{@number}") { sleep(0.001) && "value" })
      when :file then right!(@file.fetch("key#{@number}") { sleep(0.001) && "value" })
      end
      true
    end

    def right!(found)
      return if found == "value"
      raise "the run #{found.status}: #{found.error&.message}" unless found.success?
      raise "other outputs" unless found.outputs == Work.outputs("storm")
    end

    def strike(subject, blow, seconds)
      thread = Thread.new do
        blow == :timeout ? Timeout.timeout(seconds) { use(subject) } : use(subject)
      end
      thread.report_on_exception = false
      sleep(seconds) && thread.kill if blow == :kill
      return [[:stuck, "the thread, #{thread.backtrace&.first(2)}"]] unless thread.join(AT_ONCE)

      [thread.value == true ? [:late, ""] : [:cut, ""]].reject { |kind,| kind == :late }
    rescue *ENDS
      [[:cut, ""]]
    rescue StandardError => e
      # The message of a run that was stopped says so.
      /Timeout::Error|cancelled|interrupted/.match?(e.message) ? [[:cut, ""]] : [[:wrong, "the thread raised #{e.class}: #{e.message}"]]
    end

    def at_once(subject)
      thread = Thread.new { use(subject) }
      thread.report_on_exception = false
      thread.join(AT_ONCE) ? thread.value && [] : [[:stuck, "another thread, #{thread.backtrace&.first(2)}"]]
    rescue StandardError => e
      [[e.is_a?(Flowline::LockedError) ? :stuck : :wrong, "another thread: #{e.class}: #{e.message}"]]
    end
  end
end
