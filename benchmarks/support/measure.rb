# frozen_string_literal: true

require "json"

# Compares the times of blocks. Machines are noisy, so the blocks take turns: every round measures each once, after a
# garbage collection that is not measured. A time is the median of the rounds. A ratio is the median of the rounds'
# ratios, because something that slows a whole round down does not change its ratio.
module Measure
  # The seconds it took, round by round.
  class Times
    def initialize(seconds)
      @seconds = seconds
    end

    # @return [Float] seconds
    def [](name)
      Measure.median(@seconds.fetch(name))
    end

    # @return [Float] how many times as long one took as the other
    def ratio(name, other)
      Measure.median(@seconds.fetch(name).zip(@seconds.fetch(other)).map { |one, two| one / two })
    end

    # @return [Float] the same ratio, after the time of the floor is subtracted from both
    def ratio_above(floor, name, other)
      rounds = @seconds.values_at(name, other, floor).transpose
      Measure.median(rounds.map { |one, two, bare| (one - bare) / (two - bare) })
    end
  end

  # A limit for a figure or a ratio.
  Goal = Struct.new(:sign, :limit, :unit) do
    def met?(value)
      sign == "≤" ? value <= limit : value >= limit
    end

    def to_s
      "#{sign} #{limit.is_a?(Float) ? limit.to_s.delete_suffix(".0") : limit}#{" " unless unit == "×"}#{unit}"
    end
  end

  WIDTHS = [46, -10, 38, -9].freeze
  private_constant :WIDTHS

  module_function

  # @param blocks [Hash{Symbol => #call}] the blocks to measure
  # @param per [Integer] how many units of work a call does
  # @param before [#call] called before each measured call
  # @param gc [Boolean] whether garbage is collected meanwhile
  # @return [Times] for a unit of work
  def times(blocks, per: 1, rounds: 11, before: -> {}, gc: true)
    2.times { blocks.each_value { |block| once(block, before, gc) } }
    seconds = blocks.transform_values { [] }
    rounds.times do
      blocks.each { |name, block| seconds[name] << (once(block, before, gc) / per) }
    end
    Times.new(seconds)
  end

  def once(block, before, collect)
    before.call
    GC.start
    GC.disable unless collect
    start = clock
    block.call
    clock - start
  ensure
    GC.enable
  end

  def clock
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  def median(values)
    sorted = values.sort
    (sorted[(sorted.size - 1) / 2] + sorted[sorted.size / 2]) / 2.0
  end

  def heading(text)
    @heading = text
    puts "", text
  end

  # Prints one line: the work, its figure, the floor or peer, the ratio, and whether the goals are met.
  # @param than [Array(String, Float)] the floor or peer, and its figure
  # @param goals [Hash{Symbol => Float}] +:most+ of the figure, +:most_times+ and +:least_times+ of the ratio
  def row(work, figure, unit, than: nil, ratio: nil, **goals)
    goals = { most: ["≤", figure, unit], most_times: ["≤", ratio, "×"], least_times: ["≥", ratio, "×"] }.filter_map do |name, (sign, value, of)|
      [Goal.new(sign, goals[name], of), value] if goals.key?(name)
    end
    verdict = goals.all? { |goal, value| goal.met?(value) } ? "met" : "NOT MET" unless goals.empty?
    than &&= "#{than.first} #{show(than.last, unit)}"
    goals = goals.map(&:first).join(", ")
    puts "  #{align([work, show(figure, unit), than, ratio && "#{digits(ratio)}×"])}  #{[goals, verdict].compact.reject(&:empty?).join(": ")}".rstrip
    note(work: work, figure: figure, unit: unit, than: than, ratio: ratio, goals: goals, verdict: verdict)
  end

  # Writes a row to the file that `rake bench` reads.
  def note(**row)
    File.write(ENV["BENCH_ROWS"], "#{JSON.generate(heading: @heading, **row)}\n", mode: "a") if ENV["BENCH_ROWS"]
  end

  def align(columns)
    columns.zip(WIDTHS).map { |text, width| width.negative? ? text.to_s.rjust(-width) : text.to_s.ljust(width) }.join("  ")
  end

  def show(figure, unit)
    "#{digits(figure)} #{unit}"
  end

  def digits(number)
    format(number.abs < 100 ? "%.2f" : "%.0f", number)
  end
end
