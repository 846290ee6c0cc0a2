# frozen_string_literal: true

require "etc"
require "tmpdir"
require_relative "cache_drivers"
require_relative "child"
require_relative "databases"
require_relative "drivers"
require_relative "shim"
require_relative "tally"

module Torture
  # Strikes every driver at every call that touches its store, each time in a fresh copy of what the driver prepared.
  class Faults
    WRITING = %i[create write truncate sync rename mkdir].freeze
    CALLS = (Shim::KINDS.keys - [:stat]).freeze
    # The number of processes that try at the same time.
    JOBS = Integer(ENV.fetch("JOBS", Etc.nprocessors))

    # A kill before a call and one after it. They differ by the work of a step in between.
    KILLS = [Fault.new("kill -9 before a call", :kill_before, 0, CALLS, false),
             Fault.new("kill -9 after a call", :kill_after, 0, CALLS, false)].freeze

    # Each error strikes the calls that can fail with it. SQLite treats every failure to lock as a lock of another process,
    # and waits for a minute; so locks fail only once. EINTR fails once, too: no program could continue if every call
    # returned it.
    ERRORS = {
      "EIO" => [:fail, Errno::EIO::Errno, Shim::KINDS.keys - %i[lock release]], "ENOSPC" => [:fail, Errno::ENOSPC::Errno, WRITING],
      "EMFILE" => [:fail, Errno::EMFILE::Errno, %i[open create]], "ENOMEM" => [:fail, Errno::ENOMEM::Errno, %i[open create mmap stat]],
      "a short write" => [:short, 0, %i[write]],
      "EINTR" => [:fail, Errno::EINTR::Errno, %i[open create read write truncate sync close]], "ENOLCK" => [:fail, Errno::ENOLCK::Errno, %i[lock]]
    }.flat_map do |name, details|
      once = Fault.new("#{name}, once", *details, false)
      %w[EINTR ENOLCK].include?(name) ? [once] : [once, Fault.new("#{name}, from then on", *details, true)]
    end.freeze

    COUNTING = Fault.new("none", :count, 0, Shim::KINDS.keys, false)
    private_constant :WRITING, :COUNTING

    # @param count [Integer, nil] how many calls are struck by one fault, of all drivers together; nil: every call
    # @param drivers [Array<Class>]
    def initialize(count: nil, drivers: Driver.all, random: Random.new)
      @count = count
      @drivers = drivers
      @random = random
    end

    # @param faults [Array<Fault>]
    # @yieldparam tally [Tally] of each fault
    # @return [void]
    def call(faults)
      Dir.mktmpdir("torture") do |folder|
        @root = File.realpath(folder)
        [Driver::NAME, Driver::OTHER].each { |name| Work.outputs(name) } # Before any fork: children inherit them.
        @counts = @drivers.to_h { |driver| [driver, prepare(driver) && count(driver)] }
        faults.each { |fault| yield strike(fault) }
      end
    end

    private

    def template(driver)
      File.join(@root, "template#{@drivers.index(driver)}")
    end

    def prepare(type)
      Dir.mkdir(template(type))
      driver = type.new(template(type))
      child = Child.call { (driver.enter || driver.prepare) && nil }
      raise "#{type.label} cannot be prepared: #{child.error}" unless child.findings("").empty?

      FileUtils.rm_f(Dir.glob("#{template(type)}/{log,stderr}"))
      true
    end

    def strike(fault)
      tally = Tally.of(fault.name)
      tries = Queue.new
      chosen(@drivers.flat_map { |driver| [driver].product([*0...total(driver, fault)]) }).each { |try| tries << try }
      tries.close
      guard = Mutex.new
      workers = Array.new(JOBS) do
        Thread.new do
          while (driver, call = tries.pop)
            findings = in_copy(driver) { |folder| try(driver.new(folder), fault, call) }
            guard.synchronize { tally.add(findings) }
          end
        end
      end
      workers.each(&:join)
      tally
    ensure
      workers&.each(&:kill)&.each(&:join) # After an interruption.
    end

    # @return [Integer] the calls of a driver that a fault can strike
    def total(driver, fault)
      @counts[driver].values_at(*fault.kinds).sum
    end

    def count(type)
      in_copy(type) do |folder|
        driver = type.new(folder)
        child = Child.call do
          driver.enter
          arm(driver, COUNTING, -1, folder)
          driver.act
        end
        raise "#{type.label} without a fault: #{child.answer} #{child.error}" unless child.answer == "right"

        Shim.counts("#{folder}/struck")
      end
    end

    # Chooses calls evenly, so that every driver has its share.
    def chosen(tries)
      return tries if @count.nil? || @count >= tries.size

      step = tries.size.to_f / @count
      Array.new(@count) { |n| tries[(n + @random.rand) * step] }
    end

    def in_copy(driver)
      Dir.mktmpdir("try", @root) do |folder|
        FileUtils.cp_r("#{template(driver)}/.", folder)
        yield folder
      end
    end

    def arm(driver, fault, call, folder)
      Shim.arm(fault, call, driver.store, "#{folder}/struck")
    end

    def try(driver, fault, call)
      child = Child.call do
        driver.enter
        arm(driver, fault, call, driver.folder)
        driver.act
      end
      conclude(driver, judge(child))
    end

    # Checks the store after the fault, in other processes.
    def conclude(driver, findings)
      check = Child.call { driver.enter || driver.check }
      findings += check.answer.to_a + check.findings("the check") + Databases.check(driver.store)
      struck = File.exist?("#{driver.folder}/struck") ? File.read("#{driver.folder}/struck").chomp : "nothing was struck"
      findings.map { |kind, note| [kind, "#{driver.class.label}: #{note} [#{struck}]"] }
    end

    def judge(child)
      return [[:cut, ""]] if child.killed? || child.answer&.start_with?("refused:")
      return child.findings("it") if child.answer.nil? || child.answer == "right"

      [[:wrong, child.answer]]
    end
  end
end
