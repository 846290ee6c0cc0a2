# frozen_string_literal: true

module Flowline
  # How those who perform steps wait for something to do, and for each other.
  class Runner
    # Waits for something to do.
    # @param _seconds [Float] at most; what {#next} said
    # @yieldreturn [Boolean] whether to take nothing more; asked again whenever somebody {#rouse}s
    # @return [Integer, Float, nil] what is {#next}
    def wait(_seconds = nil)
      @idle ||= Idle.new # In one thread there may be nothing to wait for.
      following = @idle.wait { @run.next unless block_given? && yield }
      tell_passed_over if @timeout || @cancelled
      pass_on(following)
    end

    # @return [Integer] how many {#wait}
    def idle
      @idle ? @idle.count : 0
    end

    # Lets all who {#wait} look again.
    # @return [void]
    def rouse
      @idle&.wake_all
    rescue ThreadError # In a trap no lock may be taken.
      Thread.new { @idle.wake_all }
    end

    private

    # Whoever waits has his part of what there is to do.
    def pass_on(following)
      return following if @idle.nil? || @idle.count.zero?

      following.nil? ? @idle.wake_all : (@idle.wake if @run.ready?)
      following
    end

    # There may be something to do for one of those who wait.
    def call_worker
      @idle.wake if idle.positive? && @run.ready?
    end
  end
end
