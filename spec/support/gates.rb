# frozen_string_literal: true

require "io/wait"

# Where steps say that they have come, and wait until they are told to go on; in threads and in processes alike.
class Gate
  def initialize
    @came, @come = IO.pipe
    @goes, @go = IO.pipe
  end

  # For steps.
  # @return [Object] what it is given
  def pass(value = nil)
    @come.syswrite("x")
    @goes.readpartial(1)
    value
  end

  # Lets so many through, as many at a time as come, which must be +most+ and no more.
  def let_through(count, most:)
    while count.positive?
      wait([count, most].min)
      raise "more than #{most} came at once" if @came.wait_readable(0.01)

      release([count, most].min)
      count -= most
    end
  end

  # Until so many have come.
  def wait(count = 1)
    count.times { @came.wait_readable(10) ? @came.sysread(1) : raise("nobody came") }
  end

  # Lets so many go on.
  def release(count = 1)
    @go.syswrite("x" * count)
  end
end
