# frozen_string_literal: true

require "io/wait"

# A Fiber scheduler, as small as one can be: fibers that sleep, wait for each other, or have a time limit.
# https://docs.ruby-lang.org/en/3.1/Fiber/SchedulerInterface.html
class FiberLoop
  def initialize
    @guard = Thread::Mutex.new
    @ready = []
    @times = {}
    @blocked = 0
    @look, @wake = IO.pipe
  end

  def fiber(&block)
    Fiber.new(blocking: false, &block).tap(&:resume)
  end

  def kernel_sleep(seconds = nil)
    block(:sleep, seconds)
  end

  def block(_blocker, seconds = nil)
    @times[key = Object.new] = [now + seconds, Fiber.current] if seconds
    @blocked += 1
    Fiber.yield
  ensure
    @blocked -= 1
    @times.delete(key)
  end

  # Other threads call this.
  def unblock(_blocker, fiber)
    @guard.synchronize { @ready << fiber }
    @wake.write_nonblock(".")
  end

  def timeout_after(seconds, *error)
    @times[key = Object.new] = [now + seconds, Fiber.current, error]
    yield
  ensure
    @times.delete(key)
  end

  def io_wait(io, events, _seconds)
    Thread.new { io.wait(events) }.join && events
  end

  def close
    turn while @blocked.positive?
    [@look, @wake].each(&:close)
  end

  private

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  def turn
    first = @times.each_value.map(&:first).min
    @look.read_nonblock(100) if @look.wait_readable(first && (first - now).clamp(0, 60))
    @guard.synchronize { @ready.slice!(0..) }.each { |fiber| fiber.resume if fiber.alive? }
    @times.select { |_, (time)| time <= now }.each do |key, (_, fiber, error)|
      next unless @times.delete(key)

      error ? fiber.raise(*error) : fiber.resume
    end
  end
end
