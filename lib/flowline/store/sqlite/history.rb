# frozen_string_literal: true

module Flowline
  module Store
    class SQLite
      # Past runs, their graphs, and the state of pipelines.
      # @api private
      module History
        # @param query [Query]
        # @return [Array<Run>] the latest first, with the runs that resumed them
        def history(query)
          @native.history(query, PATIENCE).map { |row| run_of(row) }
        end

        # @param runs [Array<Integer>] their numbers
        # @param text [String] only steps with this text in their names
        # @return [Array(Array<String>, Integer)] a page of the names of their steps that have ended, those first that failed in any of
        #   them, and how many names there are
        def names_in(runs, text, limit, offset)
          @native.names_in(runs, text, limit, offset, PATIENCE)
        end

        # @param runs [Array<Integer>] their numbers
        # @param names [Array<String>] of steps
        # @return [Array<Step>] how these ended
        def steps_in(runs, names)
          @native.steps_in(runs, names, PATIENCE).map { |row| fill(Step, row) }
        end

        # @return [Hash{String => Integer}] by step, how many of its items are recorded
        def item_counts(checkpoint)
          @native.item_counts(checkpoint, PATIENCE)
        end

        # @param last [Integer] how many runs are looked at
        # @return [Array<Array(String, Array<Float>)>] by step, the seconds that it took when it succeeded, the latest run first
        def durations(pipeline, last)
          @native.durations(pipeline, last, PATIENCE)
        end

        # @param number [Integer]
        # @return [String, nil] a graph as JSON; nil: it is gone or damaged
        def graph(number)
          @native.graph(number, PATIENCE)
        end

        # @param pipeline [String, nil] nil: of all
        # @return [Array<Value>] by pipeline and key
        def state(pipeline = nil, patience: PATIENCE)
          @native.state(pipeline, patience).map { |row| fill(Value, row) }
        end

        # @return [Array<Write>] what the steps of a checkpoint have written, in the order in which they wrote
        def writes(checkpoint, patience: PATIENCE)
          @native.writes(checkpoint, patience).map { |row| fill(Write, row) }
        end

        # Changes the state of a pipeline.
        # @param pipeline [String]
        # @param changes [Array<Array(String, String, String, Float)>] each is a key, the bytes of the value or nil to delete it, the
        #   value as a short text, and when it was written in seconds since 1970
        # @return [void]
        def change_state(pipeline, changes)
          @native.change_state(pipeline, changes, PATIENCE)
        end
      end
    end
  end
end
