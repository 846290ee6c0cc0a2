# frozen_string_literal: true

require_relative "faults"

module Torture
  # Stops a process before each call that touches its store. Meanwhile another process, whose clock is days ahead, deletes
  # files: a run that succeeds, Checkpoint#delete, clearing a cache. Then the first one continues.
  class Pauses < Faults
    FAULTS = [Fault.new("others delete during a pause", :pause, 0, CALLS, false)].freeze
    # The longest time that the others may wait for a process that stopped while it held a lock.
    PAUSE = 0.5
    # Longer than any age at which a leftover file is removed.
    AHEAD = 3 * 86_400
    private_constant :PAUSE, :AHEAD

    private

    def try(driver, fault, call)
      paused = Child.new do
        driver.enter
        arm(driver, fault, call, driver.folder)
        driver.act
      end
      sleep(0.001) while paused.alive? && !stopped?(paused.pid)
      other = Child.new { driver.enter || delete(driver.folder) }
      Process.clock_gettime(Process::CLOCK_MONOTONIC).then do |start|
        sleep(0.002) while other.alive? && Process.clock_gettime(Process::CLOCK_MONOTONIC) - start < PAUSE
      end
      paused.signal(:CONT)
      findings = judge(paused.wait) + other.wait.findings("the other process") + other.answer.to_a
      conclude(driver, findings)
    end

    # No call has failed, so no error may be raised.
    def judge(child)
      child.answer&.start_with?("refused:") ? [[:wrong, child.answer]] : super
    end

    def stopped?(pid)
      File.read("/proc/#{pid}/stat")[/\) (\w)/, 1] == "T"
    rescue SystemCallError
      false # It is gone.
    end

    # Its large outputs have the same files as those of the paused process.
    def delete(folder)
      Shim.shift_clock(AHEAD)
      Work.log = "#{folder}/log of others"
      result = Work.pipeline("others").run
      Work.broken = true
      Work.pipeline("others").run
      Flowline::Checkpoint.latest("others").delete
      cache = Flowline::Cache::File.new
      cache.set("others", "cached".ljust(Work::LARGE, "cached"))
      cache.delete("others")
      result.success? ? [] : [[:wrong, "the run of others: #{result.error&.message}"]]
    end
  end
end
