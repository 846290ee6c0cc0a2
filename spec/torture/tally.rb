# frozen_string_literal: true

module Torture
  # The results of the tries of one fault: how many there were, how many were cut short by the fault, in how many an
  # acknowledged record was lost, something was wrong, or a process did not end in time.
  Tally = Struct.new(:fault, :tries, :cut, :lost, :wrong, :stuck, :notes) do
    # @param fault [String]
    # @return [Tally]
    def self.of(fault)
      new(fault, 0, 0, 0, 0, 0, Hash.new(0))
    end

    # Counts a try.
    # @param findings [Array<Array(Symbol, String)>] +:cut+, +:lost+, +:wrong+ or +:stuck+, and the details
    # @return [void]
    def add(findings)
      self.tries += 1
      findings.map(&:first).uniq.each { |kind| self[kind] += 1 }
      findings.each { |kind, note| notes["#{kind}: #{Tally.shorten(note)}"] += 1 unless kind == :cut }
    end

    # @return [Boolean] whether nothing was lost, wrong or stuck
    def clean?
      (lost + wrong + stuck).zero?
    end

    # @return [String] a line of the table
    def to_s
      [fault.ljust(WIDTH), *to_a[1..5].map { |count| count.to_s.rjust(6) }].join(" ")
    end

    # @param limit [Integer]
    # @return [Array<String>] the most frequent findings
    def most_frequent(limit)
      notes.sort_by { |note, count| [-count, note] }.first(limit).map { |note, count| "#{count.to_s.rjust(6)} x #{note}" }
    end

    # Makes notes about the same thing equal: no digests, process ids or temporary directories.
    # @param note [String]
    # @return [String]
    def self.shorten(note)
      note.gsub(/\h{64}/, "<digest>").gsub(%r{/\S*torture\d[^/\s]*(/try[^/\s]*)?}, "").gsub(/\b(begun-|process )\d+(-\d+)?/, "\\1N").gsub(/ \(call \d+\)/, "")[0, 400]
    end
  end

  # The width of the first column.
  WIDTH = 40
  # The heads of the columns.
  HEAD = "#{"fault".ljust(WIDTH)} #{%w[tries cut lost wrong stuck].map { |head| head.rjust(6) }.join(" ")}".freeze
end
