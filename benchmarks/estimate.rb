# frozen_string_literal: true

# Measures how far the time that the live terminal expects until the end of a run is from the time that it takes. The loads have the
# shapes of real ones: a nightly import, a fan of files, a chain of stages. Their steps wait; each run differs from the last ones by some
# percent a step, as those of a real load do.
require "fileutils"
require "flowline"
require "tmpdir"
require_relative "support/measure"

module Estimates
  # How much a step's time differs from one run to the next, at most, as a part of it.
  JITTER = 0.15
  # The runs before the one that is measured, and the measured ones.
  BEFORE = 3
  MEASURED = 2
  # Seconds between two looks.
  EVERY = 0.1

  # Looks at the board of a run, as the live terminal does.
  class Watcher
    attr_reader :looks

    def call(event)
      case event.name
      when :run_started then start(event)
      when :run_finished then @over = true
      else @board.call(event)
      end
    end

    def event_names
      %i[run_started step_started step_retried step_finished run_finished]
    end

    # @return [Array<Float>] how far the expected ends were from the end, as parts of the time of the run, from its half time on
    def errors(duration)
      @thread.join
      @looks.select { |at, left| left && at >= duration / 2 && at <= duration }.map { |at, left| (at + left - duration).abs / duration }
    end

    private

    def start(event)
      @board = Flowline::Reporter::Board.new(event)
      @looks = []
      @thread = Thread.new do
        until @over
          state = @board.state
          @looks << [state.elapsed, state.left]
          sleep EVERY
        end
      end
    end
  end

  module_function

  # @return [#call] takes about so many seconds
  def around(random)
    ->(seconds) { sleep(seconds * (1 + (((random.rand * 2) - 1) * JITTER))) }
  end

  def import(take)
    Flowline.define(name: "import") do
      6.times { |n| step(:"fetch#{n}") { take.call(0.3 + (n * 0.25)) } }
      6.times { |n| step(:"clean#{n}", depends_on: :"fetch#{n}") { |_| take.call(0.4) } }
      step(:join, depends_on: Array.new(6) { |n| :"clean#{n}" }) { |*_| take.call(1.2) }
      5.times { |n| step(:"load#{n}", depends_on: :join) { |_| take.call(0.2 + (n * 0.3)) } }
      step(:report, depends_on: Array.new(5) { |n| :"load#{n}" }) { |*_| take.call(0.8) }
    end
  end

  def fan(take)
    Flowline.define(name: "fan") do
      step(:list) { take.call(0.2) }
      60.times { |n| step(:"file#{n}", depends_on: :list) { |_| take.call(0.1 + ((n % 7) * 0.12)) } }
      step(:merge, depends_on: Array.new(60) { |n| :"file#{n}" }) { |*_| take.call(0.8) }
    end
  end

  def chain(take)
    Flowline.define(name: "chain") do
      12.times { |n| step(:"stage#{n}", depends_on: n.zero? ? [] : :"stage#{n - 1}") { |*_| take.call(0.15 + ((n % 4) * 0.3)) } }
    end
  end

  # @return [Array<Float>] see {Watcher#errors}, of all measured runs
  def errors(shape)
    pipeline = public_send(shape, around(Random.new(7)))
    BEFORE.times { pipeline.run(executor: :parallel, max_threads: 4) }
    Array.new(MEASURED) do
      watcher = Watcher.new
      watcher.errors(pipeline.run(executor: :parallel, max_threads: 4, reporter: watcher).duration)
    end.flatten
  end
end

Dir.mktmpdir("flowline") do |root|
  Flowline.config.root = root
  Measure.heading "The expected end of a run, from half time on: how far from its end, in percent of its time"
  %i[import fan chain].each do |shape|
    errors = Estimates.errors(shape)
    Measure.row("#{shape}, the worst of #{errors.size} looks", errors.max * 100, "%", most: 20.0)
    Measure.row("#{shape}, the median", Measure.median(errors) * 100, "%", most: 20.0)
  end
end
