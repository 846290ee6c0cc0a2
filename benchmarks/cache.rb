# frozen_string_literal: true

# The cost of a hit. The floor is to load the same bytes with Marshal, from memory or from a file.
require_relative "support/measure"
require "flowline"
require "tmpdir"

MICRO = 1e6
COUNT = 500
# rubocop:disable Security/MarshalLoad -- this program dumped it
VALUES = {
  "a number" => 1,
  "a Hash" => { id: 1, name: "item", tags: %w[a b] },
  "100 rows" => Array.new(100) { |n| { id: n, name: "item #{n}", price: n * 0.5 } },
  "1 MB of text" => "x" * 1_000_000
}.freeze

def many = COUNT.times { yield }

def measure(cache, value, &floor)
  cache.set("key", value)
  Measure.times({ hit: -> { many { cache.get("key") } }, floor: -> { many(&floor) } }, per: COUNT)
end

Measure.heading "A hit of the cache in memory"
VALUES.each do |label, value|
  bytes = Marshal.dump(value)
  times = measure(Flowline::Cache::Memory.new, value) { Marshal.load(bytes) }
  floor = times[:floor] * MICRO
  Measure.row(label, times[:hit] * MICRO, "µs", than: ["Marshal.load", floor], ratio: times.ratio(:hit, :floor), most: (floor + 3).round(2))
end

Measure.heading "A hit of the cache in files"
Dir.mktmpdir do |directory|
  cache = Flowline::Cache::File.new(File.join(directory, "cache"))
  VALUES.each do |label, value|
    file = File.join(directory, "value")
    File.binwrite(file, Marshal.dump(value))
    times = measure(cache, value) { Marshal.load(File.binread(file)) }
    Measure.row(label, times[:hit] * MICRO, "µs", than: ["binread, Marshal.load", times[:floor] * MICRO],
                                                  ratio: times.ratio(:hit, :floor), most_times: 2)
  end
end
# rubocop:enable Security/MarshalLoad
