# frozen_string_literal: true

module Flowline
  module History
    # The same steps in several runs of a pipeline, as far as they have ended: a page of their names, those first that failed in any of
    # the runs, and a step for each name and run.
    # @api private
    class Grid
      # @return [Array<Run>] the latest first
      attr_reader :runs
      # @return [Array<Symbol>] the steps
      attr_reader :names
      # @return [Integer] how many steps there are on all pages
      attr_reader :total

      # @param store [Store::SQLite]
      # @param rows [Array<Store::Run>]
      # @param names [Array<Symbol>, nil] these steps; nil: a page of all
      # @param text [String] only steps with this text in their names
      # @param limit [Integer] the number of names of a page
      # @param offset [Integer] the position of its first one
      def initialize(store, rows, names: nil, text: "", limit: 50, offset: 0)
        @runs = rows.map { |row| Run.new(store, row) }
        known = rows.map(&:id).zip(runs).to_h
        found, @total = names ? [names, names.size] : store.names_in(known.keys, text, limit, offset)
        @names = found.map(&:to_sym)
        steps = store.steps_in(known.keys, @names.map(&:to_s))
        @steps = steps.to_h { |step| [[known[step.run].run_id, step.name.to_sym], Step.new(step, known[step.run])] }
        freeze
      end

      # @param run [Run]
      # @param name [Symbol]
      # @return [Step, nil] nil: it has not ended in that run, or the run does not have it
      def [](run, name)
        @steps[[run.run_id, name]]
      end
    end
  end
end
