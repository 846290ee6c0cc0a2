# frozen_string_literal: true

module Flowline
  class Web
    # {Flowline::History} of one store.
    # @api private
    class Records
      # @return [String] the directory of the store
      attr_reader :root

      # @param root [String]
      def initialize(root)
        @root = root
      end

      # @param query [Hash] as for {Flowline::History.runs}
      # @return [Array<Flowline::History::Run>]
      def runs(**query)
        Flowline::History.runs(**query, root: root)
      end

      # @param run_id [String]
      # @return [Flowline::History::Run, nil]
      def run(run_id)
        Flowline::History.run(run_id, root: root)
      end

      # @return [Array<Flowline::History::Run>] the latest run of every pipeline
      def last_runs
        Flowline::History.last_runs(root: root)
      end

      # @param pipeline [String]
      # @param options [Hash] as for {Flowline::History.grid}
      # @return [Flowline::History::Grid, nil]
      def grid(pipeline, **options)
        Flowline::History.grid(pipeline, **options, root: root)
      end

      # @param pipeline [String]
      # @return [Array<Flowline::History::Run>] those that can be resumed
      def resumable(pipeline)
        Flowline::History.resumable(pipeline, root: root)
      end

      # @param pipeline [String]
      # @return [Flowline::History::Stats]
      def stats(pipeline, **options)
        Flowline::History.stats(pipeline, **options, root: root)
      end
    end
  end
end
