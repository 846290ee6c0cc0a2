# frozen_string_literal: true

# The cost of a digest of a value. The floor is a digest of the value's Marshal data, written by hand.
require_relative "support/measure"
require "flowline"
require "digest"

MILLI = 1e3

def compare(label, value, **goals)
  times = Measure.times({ digest: -> { Flowline::Identity::Digest.try(value) }, hand: -> { Digest::SHA256.hexdigest(Marshal.dump(value)) } })
  Measure.row(label, times[:digest] * MILLI, "ms", than: ["SHA256(Marshal.dump)", times[:hand] * MILLI], ratio: times.ratio(:hand, :digest), **goals)
end

Row = Struct.new(:id, :name, :price)

Measure.heading "The digest of a value: how many times as fast"
compare("100,000 small Hashes", Array.new(100_000) { |n| { id: n, name: "item #{n}", price: n * 0.5 } }, least_times: 2)
compare("100,000 small Hashes by Strings", Array.new(100_000) { |n| { "id" => n, "name" => "item #{n}", "tags" => %w[a b] } }, least_times: 2)
compare("a String of 100 MB", Random.new(1).bytes(100_000_000), least_times: 5)
compare("1,000,000 Integers", Array.new(1_000_000) { |n| n * n })
compare("100,000 Strings", Array.new(100_000) { |n| "line #{n}" })
compare("10,000 Structs", Array.new(10_000) { |n| Row.new(n, "item #{n}", n * 0.5) })
compare("a Hash of 100,000", Array.new(100_000) { |n| ["key #{n}", n] }.to_h)
