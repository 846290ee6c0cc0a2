# frozen_string_literal: true

require "io/wait"

# A barrier for steps in threads and in processes: a step announces itself and waits until the example releases it.
class Gate
  def initialize
    @came, @come = IO.pipe
    @goes, @go = IO.pipe
  end

  # Waits for a release; for steps.
  # @return [Object] the value
  def pass(value = nil)
    @come.syswrite("x")
    @goes.readpartial(1)
    value
  end

  # Releases this many steps, +most+ at a time. As many steps must arrive at a time.
  def let_through(count, most:)
    while count.positive?
      wait([count, most].min)
      raise "more than #{most} came at once" if @came.wait_readable(0.01)

      release([count, most].min)
      count -= most
    end
  end

  # Waits until this many steps have arrived.
  def wait(count = 1)
    count.times { @came.wait_readable(10) ? @came.sysread(1) : raise("nobody came") }
  end

  # Releases this many steps.
  def release(count = 1)
    @go.syswrite("x" * count)
  end
end
