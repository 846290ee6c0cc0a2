# frozen_string_literal: true

# The time that `require "flowline"` adds to the start of Ruby, and that it and a first run add.
require_relative "support/measure"
require "rbconfig"

LIB = File.expand_path("../lib", __dir__)
ALONE = { "RUBYOPT" => nil, "RUBYLIB" => nil, "BUNDLE_GEMFILE" => nil }.freeze

def start(*arguments)
  system(ALONE, RbConfig.ruby, *arguments, exception: true)
end

Measure.heading "The start of a process"
PROGRAMS = {
  bare: "",
  flowline: 'require "flowline"',
  run: <<~RUBY,
    require "flowline"
    Flowline.define do
      step(:fetch) { [3, 1, 2] }
      step(:sort, depends_on: :fetch) { |rows| rows }
      step(:count, depends_on: :fetch) { |rows| rows }
      step(:report, depends_on: %i[sort count]) { |sort, _count| sort }
      step(:save, depends_on: :report) { |report| report }
    end.run[:save].output
  RUBY
  parallel: 'require "flowline"; Flowline.define { |p| p.step(:a) { 1 } }.run(executor: :parallel)[:a].output'
}.freeze
times = Measure.times(PROGRAMS.transform_values { |program| -> { start("-I", LIB, "-e", program) } }, rounds: 31)
bare, flowline, run, parallel = %i[bare flowline run parallel].map { |name| times[name] * 1e3 }
Measure.row('require "flowline"', flowline, "ms", than: ["ruby -e ''", bare], ratio: times.ratio(:flowline, :bare))
Measure.row('require "flowline", what it adds', flowline - bare, "ms", most: 20)
Measure.row("the same with a first run of 5 steps", run - bare, "ms")
Measure.row("the same with a first run in threads", parallel - bare, "ms")
