# frozen_string_literal: true

require_relative "history/why"
require_relative "history/step"
require_relative "history/line"
require_relative "history/live"
require_relative "history/restorable"
require_relative "history/run"
require_relative "history/stats"
require_relative "history/grid"

module Flowline
  # The recorded runs of pipelines with a name: values to read, which no definition and no output is needed for.
  #
  #   Flowline::History.runs(pipeline: "import", status: :failed, limit: 5)
  #   run = Flowline::History.run("20261124T015539-04c21255")
  #   run.params                # => { date: "2024-01-31" }
  #   run.steps.map(&:duration) # => [0.52, 1.24]
  #   Flowline::History.stats("import").steps.first.median # => 0.48
  #
  # Nothing of it loads data of the user: params, outputs and errors are short texts without secrets.
  module History
    # The statuses of runs.
    STATUSES = %i[running succeeded failed timed_out cancelled crashed].freeze
    # The number of runs of a page, unless another one is asked for.
    PAGE = 20
    # The most bytes of a text that is searched for.
    LONGEST = 10_000
    # The largest number of runs that a store can be asked for.
    LARGEST = (1 << 63) - 1
    private_constant :LONGEST, :LARGEST

    class << self
      # @param pipeline [String, Symbol, nil] only its runs
      # @param status [Symbol, String, Array, nil] only runs with this one of {STATUSES}, or with one of several
      # @param params [Hash{Symbol => Object}] only runs with these params, among others; they are compared as they are shown
      # @param trigger [Symbol, String, nil] only runs that this kind of caller started, as {Run#trigger} has it
      # @param text [String, nil] only runs that have it in their id, the name of their pipeline, their params as they are shown, or their
      #   error. The case of the letters A to Z is ignored
      # @param since [Time, Date, nil] only runs that started then or later
      # @param limit [Integer] how many runs at most
      # @param before [String, nil] the id of a run: only earlier ones, for the next page
      # @param root [String] the directory of the store
      # @return [Array<Run>] the latest first
      # @raise [ArgumentError] there is no such status, +since+ is no time, or the limit is no whole number from 1 up
      # @raise [StoreError] the store cannot be read
      # @example
      #   Flowline::History.runs(pipeline: :import, params: { date: Date.today }, since: Time.now - 86_400)
      #   Flowline::History.runs(status: %i[failed timed_out crashed], trigger: :schedule, text: "HTTP 503")
      def runs(pipeline: nil, status: nil, params: {}, trigger: nil, text: nil, since: nil, limit: PAGE, before: nil, root: Flowline.config.root)
        raise ArgumentError, "limit: must be a whole number from 1 up, not #{limit.inspect}" unless limit.is_a?(Integer) && limit.positive?

        raise ArgumentError, "text: has #{text.bytesize} bytes, and may have #{LONGEST}" if text.to_s.bytesize > LONGEST

        find(root, pipeline: pipeline&.to_s, statuses: statuses(status), since: since && seconds(since), before: before, limit: [limit, LARGEST].min,
                   params: params.map { |name, value| Recording::Shown.param(name, value) }, trigger: trigger&.to_s, text: text)
      end

      # @param run_id [String]
      # @param root [String] the directory of the store
      # @return [Run, nil] nil: there is no such run any more
      # @raise [StoreError] the store cannot be read
      def run(run_id, root: Flowline.config.root)
        find(root, run_id: run_id, limit: 1).first
      end

      # @param root [String] the directory of the store
      # @return [Array<Run>] the latest run of every pipeline, by its name
      # @raise [StoreError] the store cannot be read
      def last_runs(root: Flowline.config.root)
        store = Store.existing(root)
        store ? store.last_runs.flat_map { |run| find(root, run_id: run.run_id, limit: 1) } : []
      end

      # Returns the runs that a later one can resume: of each set of params the latest run, unless it succeeded or goes on.
      # @param pipeline [String, Symbol]
      # @param root [String] the directory of the store
      # @return [Array<Run>] the latest first
      # @raise [StoreError] the store cannot be read
      # @example
      #   Flowline::History.resumable(:import).map(&:params) # => [{ date: "2026-01-05" }]
      def resumable(pipeline, root: Flowline.config.root)
        store = Store.existing(root) or return []
        latest = store.runs(pipeline.to_s).reject(&:damaged?).uniq(&:identity)
        latest.reject { |run| run.alive || run.status == "succeeded" }.flat_map { |run| find(root, run_id: run.run_id, limit: 1) }
      end

      # @param pipeline [String, Symbol]
      # @param last [Integer] how many runs are looked at
      # @param root [String] the directory of the store
      # @return [Stats] how long the latest runs, and their steps, took
      # @raise [StoreError] the store cannot be read
      def stats(pipeline, last: Stats::LAST, root: Flowline.config.root)
        store = Store.existing(root)
        Stats.new(pipeline.to_s, runs(pipeline: pipeline, limit: last, root: root), store ? store.durations(pipeline.to_s, [last, LARGEST].min) : [])
      end

      # @param pipeline [String]
      # @param last [Integer] how many runs
      # @param before [String, nil] the id of a run: only earlier ones
      # @param options [Hash{Symbol => Object}] as for {Grid#initialize}
      # @return [Grid, nil] nil: there is no store
      # @api private
      def grid(pipeline, last: Stats::LAST, before: nil, root: Flowline.config.root, **options)
        store = Store.existing(root) or return
        Grid.new(store, store.history(Store::Query.new(pipeline: pipeline, limit: last, before: before)), **options)
      end

      private

      def statuses(given)
        Array(given).each do |status|
          next if STATUSES.include?(status.to_sym)

          raise ArgumentError, "status: there is no #{status}#{Name.suggest(status, STATUSES, known: "there are")}"
        end.map(&:to_s)
      end

      # @param since [Time, Date]
      # @return [Float] seconds since 1970
      def seconds(since)
        return since.to_f if since.is_a?(Time)
        return since.to_time.to_f if since.respond_to?(:to_time) && !since.is_a?(String) # ActiveSupport would read a time from a text.

        raise ArgumentError, "since: must be a Time or a Date, not #{since.inspect}"
      end

      def find(root, **query)
        store = Store.existing(root) or return []
        store.history(Store::Query.new(**query)).map { |row| Run.new(store, row) }
      end
    end
  end
end
