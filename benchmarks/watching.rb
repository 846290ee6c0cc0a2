# frozen_string_literal: true

# Measures the cost of showing a run to other processes, of its log, and of readers of its events.
require "tmpdir"
require "fileutils"
require "stringio"
require "flowline"
require_relative "support/measure"

ROOT = Dir.mktmpdir("flowline")
at_exit { FileUtils.rm_rf(ROOT) }
Flowline.config.root = ROOT

# The seconds that the thread takes which shows runs. Of a run as a whole, a hundredth is less than the noise of a machine.
module Ticks
  class << self
    attr_accessor :seconds
  end

  def tick
    start = Measure.clock
    super
  ensure
    Ticks.seconds += Measure.clock - start
  end
end
Flowline::Recording::Broadcast.prepend(Ticks)

def share_of_ticks(pipeline)
  Ticks.seconds = 0.0
  result = pipeline.run
  Ticks.seconds / result.duration
end

STEPS = 1_000
sleeping = Flowline.define(name: "sleeping") { |p| STEPS.times { |i| p.step(:"s#{i}") { sleep(0.01) } } }
logging = Flowline.define(name: "logging") do |p|
  STEPS.times { |i| p.step(:"s#{i}") { |ctx| sleep(0.01) && ctx.log.info("step #{i} has slept for ten milliseconds") } }
end

Measure.heading "A run of 1,000 steps that sleep for 10 ms, sequential, recorded: the part of its time in which it is shown"
{ "shown to other processes" => sleeping, "shown, and a line logged by each step" => logging }.each do |label, pipeline|
  share = share_of_ticks(pipeline)
  Measure.row(label, share * 100, "%", most: 1)
end

MICRO = 1e6
plain = Flowline.define { |p| 2_000.times { |i| p.step(:"s#{i}") { i } } }
readers = {
  none: [], one: [->(_) {}], all: [Flowline::Reporter.for(:all) { |_| nil }], json: [Flowline::Reporter::JSON.new(StringIO.new)],
  json_all: [Flowline::Reporter::JSON.new(StringIO.new, events: :all)]
}
Measure.heading "A reader's cost for a step of 2,000 that do nothing, sequential, in memory"
times = Measure.times(readers.transform_values { |reporters| -> { plain.run(reporter: reporters) } }, per: 2_000, rounds: 5)
{ none: "no reader", one: "the events that every reader gets", all: "all events", json: "JSON", json_all: "JSON, all events" }.each do |name, label|
  Measure.row(label, times[name] * MICRO, "µs", ratio: (times.ratio(name, :none) unless name == :none))
end

rows = Flowline.define(name: "rows") { |p| p.step(:a) { |ctx| 10_000.times { ctx.log.info("a line of some length, as they are") } } }
prints = Flowline.define(name: "prints", capture: true) { |p| p.step(:a) { 10_000.times { puts "a line of some length, as they are" } } }
quiet = Flowline.define(name: "quiet") { |p| p.step(:a) { 10_000.times { puts "a line of some length, as they are" } } }
silence = lambda do |pipeline|
  before = $stdout
  $stdout = StringIO.new
  pipeline.run
ensure
  $stdout = before
end
Measure.heading "A line of 10,000 of a step, recorded"
times = Measure.times({ logged: -> { rows.run }, printed: -> { silence.call(quiet) }, captured: -> { silence.call(prints) } }, per: 10_000, rounds: 5)
Measure.row("ctx.log.info", times[:logged] * MICRO, "µs")
Measure.row("puts, not captured", times[:printed] * MICRO, "µs")
Measure.row("puts, captured", times[:captured] * MICRO, "µs")
