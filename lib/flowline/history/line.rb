# frozen_string_literal: true

module Flowline
  module History
    # A line of the log of a run: its +number+ among those of its +step+ (nil: of the run itself), the +time+, the +stream+ (+:log :out
    # :err+), the +level+ of a logged line, the number of the +attempt+, the index of the +item+, and the +text+, which may hold control
    # characters.
    Line = Struct.new(:step, :number, :time, :stream, :level, :attempt, :item, :text, keyword_init: true) do
      # @param chunk [Store::Lines]
      # @param name [Symbol, nil] the step
      # @param began [Time] when the run started
      # @return [Array<Line>]
      # @api private
      def self.of(chunk, name, began)
        require "json"
        chunk.body.split("\n").each_with_index.map do |row, index|
          seconds, stream, level, attempt, item, text = ::JSON.parse(row)
          new(step: name, number: chunk.number + index, time: began + seconds, stream: stream.to_sym, level: level&.to_sym, attempt: attempt,
              item: item, text: text).freeze
        end
      end
    end
  end
end
