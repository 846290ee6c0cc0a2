# frozen_string_literal: true

# Compares the pictures of graphs with those of Graphviz: how many lines cross, and how long it takes.
#
#   ruby benchmarks/pictures.rb
#
# Needs `dot` (Debian's package graphviz). Both have every step as a box, with the same name. A crossing is a pair of
# edges without a common step whose lines cross, counted as often as they do. Exits with 1 if Graphviz has fewer
# crossings for any of the shapes.

require "json"
require "open3"

# The crossings of lines that are made of cubic Bézier curves.
class Crossings
  # How many straight parts stand for a curve.
  PARTS = 12
  # The height of the bands in which segments are compared.
  BAND = 20.0

  # @param curves [Hash{Array(Integer, Integer) => Array<Array<Array(Float, Float)>>}] by edge, the four points of each curve
  def initialize(curves)
    @segments = curves.flat_map do |edge, parts|
      parts.flat_map { |points| flatten(points) }.map { |one, other| [edge, *one, *other] }
    end
  end

  # @return [Integer]
  def count
    bands = Hash.new { |hash, key| hash[key] = [] }
    @segments.each do |segment|
      top, bottom = [segment[2], segment[4]].minmax
      (top / BAND).floor.upto((bottom / BAND).floor) { |band| bands[band] << segment }
    end
    bands.sum { |band, segments| within(segments, band * BAND) }
  end

  private

  def flatten(points)
    steps = (0..PARTS).map do |step|
      t = step.fdiv(PARTS)
      weights = [(1 - t)**3, 3 * t * ((1 - t)**2), 3 * t * t * (1 - t), t**3]
      [0, 1].map { |axis| points.zip(weights).sum { |point, weight| point[axis] * weight } }
    end
    steps.each_cons(2).to_a
  end

  def within(segments, top)
    segments.combination(2).count do |one, other|
      (one[0] & other[0]).empty? && (y = crossing(one, other)) && y >= top && y < top + BAND
    end
  end

  # Returns where two segments cross, or nil.
  def crossing(one, other)
    _, ax, ay, bx, by = one
    _, cx, cy, dx, dy = other
    across = ((bx - ax) * (dy - cy)) - ((by - ay) * (dx - cx))
    return if across.abs < 1e-9

    s = (((cx - ax) * (dy - cy)) - ((cy - ay) * (dx - cx))) / across
    t = (((cx - ax) * (by - ay)) - ((cy - ay) * (bx - ax))) / across
    ay + (s * (by - ay)) if s >= 0 && s < 1 && t >= 0 && t < 1
  end
end

# The curves of a picture of this library: vertical where the column stays, otherwise with vertical ends.
def curves_of(picture)
  picture["lines"].to_h do |line|
    parts = line["points"].each_cons(2).map do |(x, y), (to_x, to_y)|
      middle = (y + to_y) / 2.0
      [[x, y], [x, middle], [to_x, middle], [to_x, to_y]]
    end
    [[line["from"], line["to"]], parts]
  end
end

# Draws the same graph with Graphviz.
# @return [Array(Hash, Float)] the curves, and how many milliseconds it took
def dot(picture)
  names = picture["steps"].map { |step| step["name"] }
  edges = picture["lines"].map { |line| "#{names[line["from"]]} -> #{names[line["to"]]}" }
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  out, status = Open3.capture2("dot", "-Tjson", stdin_data: "digraph { node [shape=box]; #{(names + edges).join("; ")} }")
  raise "dot failed" unless status.success?

  time = Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
  [curves_of_dot(JSON.parse(out), names.each_with_index.to_h), time * 1e3]
end

def curves_of_dot(drawn, index)
  drawn["edges"].to_h do |edge|
    spline = edge["_draw_"].find { |part| part["op"] == "b" }["points"]
    [edge.values_at("tail", "head").map { |id| index[drawn["objects"][id]["name"]] }, (0..spline.size - 4).step(3).map { |at| spline[at, 4] }]
  end
end

command = %w[cargo run --quiet --release --package flowline-core --example pictures]
lines, status = Open3.capture2(*command, chdir: File.expand_path("..", __dir__))
abort "the example failed" unless status.success?

WIDTHS = [34, 6, 6, 10, 7, 10, 9, 7].freeze
COLUMNS = ["shape", "steps", "edges", "crossings", "of dot", "folded ms", "whole ms", "dot ms", "folded picture"].freeze

def print_row(cells)
  puts cells.zip(WIDTHS).map.with_index { |(cell, width), at| at.zero? ? cell.ljust(width) : cell.to_s.rjust(width || 0) }.join("  ")
end

print_row(COLUMNS)
worse = lines.lines.map { |line| JSON.parse(line) }.count do |row|
  picture = row["picture"]
  theirs, time = dot(picture)
  counts = [curves_of(picture), theirs].map { |curves| Crossings.new(curves).count }
  times = [row["folded_ms"].round(2), row["whole_ms"].round(2), time.round]
  folded = "#{row["boxes"]} boxes, #{row["size"].split.last(2).join("×")}"
  print_row([row["shape"], picture["steps"].size, picture["lines"].size, *counts, *times, folded])
  counts[0] > counts[1]
end
exit 1 if worse.positive?
