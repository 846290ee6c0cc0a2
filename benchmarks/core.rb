# frozen_string_literal: true

# The core alone, without Ruby: its figures come from a Rust program, ext/flowline-core/examples/core.rs.
require_relative "support/graphs"
require_relative "support/measure"
require_relative "support/dependencies"

ROOT = File.expand_path("..", __dir__)
COMMAND = %w[cargo run --quiet --release --locked --package flowline-core --example core].freeze

output = IO.popen(COMMAND, chdir: ROOT, &:read)
abort "`#{COMMAND.join(" ")}` failed" unless output.lines.size == 11
memory, *times = output.lines(chomp: true).map { |line| line.split("\t") }
large, small = times.partition { |_, steps| steps == "1000000" }

Measure.heading "Core: 1,000,000 steps with 2,000,000 edges built, validated and ordered"
large.each do |label, _, milliseconds|
  Measure.row(label, Float(milliseconds), "ms", **(label.start_with?("numbered") ? { most: 200 } : {}))
end
Measure.row("memory a step", Float(memory.last), "B")

Measure.heading "Core: a step of 100,000 validated and ordered, TSort against it"
bushy = Graphs.bushy(100_000)
sorted = { "in order" => bushy, "in any order" => bushy.to_a.shuffle(random: Random.new(1)).to_h }.transform_values do |graph|
  hash = Dependencies.of(graph)
  Measure.times({ tsort: -> { hash.tsort } }, per: hash.size, rounds: 7)[:tsort] * 1e6
end
small.each do |label, steps, milliseconds|
  tsort = sorted.find { |order, _| label.include?(order) }.last
  core = Float(milliseconds) * 1e3 / Integer(steps)
  Measure.row(label, tsort, "µs", than: ["core", core], ratio: tsort / core, **(label.start_with?("numbered") ? { least_times: 20 } : {}))
end
