# frozen_string_literal: true

# The core alone, without Ruby: the figures come from a Rust program, a median of several runs each.
require_relative "support/measure"

root = File.expand_path("..", __dir__)
command = ["cargo", "run", "--quiet", "--release", "--locked", "--package", "flowline-core", "--example", "core"]
output = IO.popen(command, chdir: root, &:read)
abort "The Rust program failed." unless $?.success? # rubocop:disable Style/SpecialGlobalVars

Measure.heading "Core: 1,000,000 steps and 2,000,000 edges built, validated and ordered"
output.each_line(chomp: true) do |line|
  label, milliseconds, goal = line.split("\t")
  Measure.row(label, Float(milliseconds), "ms", **(goal ? { most: Integer(goal) } : {}))
end
