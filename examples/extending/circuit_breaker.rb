# frozen_string_literal: true

require "flowline"

# Middleware that spares a service which is down. After three failures in a row of steps with a tag, further calls fail at
# once, until a pause is over. Then it is called again, and another failure begins the next pause.
#
#   Flowline.configure { |config| config.middleware.use(CircuitBreaker.new("shop", failures: 3, pause: 30)) }
#
#   step :fetch, each: :pages, tags: "shop", on_item_error: :continue do |page| … end
#
# It counts in the memory of its process: use it with the executors that run steps in threads.
CircuitBreaker = Struct.new(:tag, :failures, :pause) do
  def initialize(tag, failures: 3, pause: 30) = super(tag.to_sym, failures, pause)

  def call(attempt)
    return yield unless attempt.step.tags.include?(tag)
    raise CircuitBreaker::Open, "#{tag} is not called: it has failed #{@failed} times in a row" if open?

    begin
      yield
      @failed = 0
    rescue Exception # rubocop:disable Lint/RescueException -- a call that its time limit interrupts has failed, too
      @failed = @failed.to_i + 1
      @latest = now
      raise
    end
  end

  def open? = @failed.to_i >= failures && now - @latest < pause
  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
end
CircuitBreaker::Open = Class.new(StandardError)
