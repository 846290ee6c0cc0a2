# frozen_string_literal: true

# The time that `require "flowline"` adds to the start of Ruby.
require_relative "support/measure"
require "rbconfig"

LIB = File.expand_path("../lib", __dir__)
ALONE = { "RUBYOPT" => nil, "RUBYLIB" => nil, "BUNDLE_GEMFILE" => nil }.freeze

def start(*arguments)
  system(ALONE, RbConfig.ruby, *arguments, exception: true)
end

Measure.heading "The start of a process"
times = Measure.times({ bare: -> { start("-e", "") }, flowline: -> { start("-I", LIB, "-e", 'require "flowline"') } }, rounds: 31)
bare, flowline = %i[bare flowline].map { |name| times[name] * 1e3 }
Measure.row('require "flowline"', flowline, "ms", than: ["ruby -e ''", bare], ratio: times.ratio(:flowline, :bare))
Measure.row('require "flowline", what it adds', flowline - bare, "ms", most: 20)
