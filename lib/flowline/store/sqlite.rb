# frozen_string_literal: true

require_relative "sqlite/history"
require_relative "sqlite/live"

module Flowline
  module Store
    # A store in a directory: a SQLite database, files of large values, and a lock file. All threads of a process, and its
    # forked children, can share one handle.
    # @api private
    class SQLite
      include History
      include Live

      # The database within the directory.
      FILE = "flowline.db"

      # @return [String] the directory
      attr_reader :path

      # @param root [String] the directory, made if need be
      # @param patience [Float] seconds to wait for other processes
      # @return [SQLite]
      # @raise [StoreError] it cannot be used
      def self.open(root, patience = PATIENCE)
        new(Native::Store.open(Store.path(root), patience))
      end

      # @return [SQLite, nil] nil: there is none
      # @raise [StoreError] it cannot be used
      def self.existing(root, patience = PATIENCE)
        Native::Store.existing(Store.path(root), patience)&.then { |native| new(native) }
      end

      def initialize(native)
        @native = native
        @path = native.path
      end

      # @return [Boolean] whether its files are still the ones that were opened
      def there?
        @native.there?
      end

      # @return [Native::Lock] that holds nothing yet
      def lock
        @native.lock
      end

      # @return [String] the secret key of this store: random bytes that only those have who can read the store
      def key(patience: PATIENCE)
        @key ||= @native.key(Random.urandom(32), patience)
      end

      # Begins a run: records it and locks its checkpoint, or changes nothing. Marks runs of the same pipeline as crashed if
      # their process has ended. Clears older checkpoints of the same identity, unless the run resumes one.
      # @param run [Run] without +id+ and, unless it resumes one, +checkpoint+
      # @param lock [Native::Lock] the one that has claimed the checkpoint, or an empty one
      # @param resumes [Boolean]
      # @param outdated [Array<Array(String, Integer, Integer)>] the stale records of the checkpoint: a step, its first item
      #   and its last item; -1 is the step itself
      # @param graph [Native::Snapshot, nil] the graph of its pipeline
      # @param apart_from [Symbol, nil] runs that keep it from beginning: +:all+ of the pipeline, or those +:alike+, of the same
      #   identity
      # @return [Run] the run that has begun; or, if it has not, the other run that is alive
      def begin_run(run, lock, resumes: false, outdated: [], graph: nil, apart_from: nil, durable: false, patience: PATIENCE)
        run_of(@native.begin(run, resumes, outdated, graph, apart_from, lock, durable, patience))
      end

      # Claims the checkpoint of a run that is to be resumed.
      # @param run [Run] returned by {#latest}
      # @param lock [Native::Lock] an empty one
      # @return [true, nil, Run] true: the lock holds it; nil: there is a later run; a Run: another process holds it,
      #   for that run or, if that run is not alive, for a run that has not begun yet
      def claim(run, lock, patience: PATIENCE)
        answer = @native.claim(run, lock, patience)
        answer.is_a?(Array) ? run_of(answer) : answer
      end

      # Records the outcomes of steps and items. The records are durable when this returns.
      # @param completions [Array<Array(Step, Record, Boolean, Array)>] either row may be nil, or its members in an Array; the
      #   Boolean says whether the recorded items of the step can be removed; the last is nil, or a checkpoint, a step, and its
      #   changes of the state (see {History#change_state}), which are applied when a run of the checkpoint succeeds
      # @param output [String] bytes, of the last of them; frozen
      # @return [void]
      def record(completions, output = "", durable: false, patience: PATIENCE)
        @native.record(completions, output, durable, patience)
      end

      # Removes stale records from the checkpoint of a run.
      # @param run [Run]
      # @param outdated [Array<Array(String, Integer, Integer)>] as for {#begin_run}
      # @return [void]
      def forget(run, outdated, durable: false, patience: PATIENCE)
        @native.forget(run.checkpoint, outdated, durable, patience)
      end

      # Ends a run, and releases its lock. Of each pipeline the last hundred runs stay, and all runs that are alive.
      # @param ended [End]
      # @param completions [Array<Array(Step, Record, Boolean)>] the steps that are not recorded yet
      # @param lock [Native::Lock]
      # @param uncalled [Array<Array(String, String, Array<Integer>, Array<String>)>] steps that were not called: a status, a
      #   reason or nil, and the positions and names of the steps with this outcome
      # @return [void]
      def finish_run(ended, completions, lock, uncalled: [], durable: false, patience: PATIENCE)
        @native.finish(ended, completions, uncalled, lock, durable, patience)
      end

      # @param pipeline [String]
      # @param identity [String, nil] nil: any
      # @return [Run, nil] its latest run. A run whose record is damaged has no identity, so a search by identity skips it.
      def latest(pipeline, identity = nil, patience: PATIENCE)
        row = @native.latest(pipeline, identity, patience)
        row && run_of(row)
      end

      # @param pipeline [String]
      # @param identity [String, nil] nil: any
      # @param time [Float] on the monotonic clock
      # @return [Run, nil] the run that ended last, if that was later than this, and on this machine
      def ended_after(pipeline, identity, time, patience: PATIENCE)
        row = Store.clock && @native.ended_after(pipeline, identity, Store.clock, time, patience)
        row && run_of(row)
      end

      # @param pipeline [String, nil] nil: of all
      # @param limit [Integer, nil] nil: all of them
      # @return [Array<Run>] the latest first
      def runs(pipeline = nil, limit = nil)
        @native.runs(pipeline, limit || -1, PATIENCE).map { |row| run_of(row) }
      end

      # @param pipeline [String]
      # @return [Array<Run>] its runs that are alive, the latest first
      def alive(pipeline)
        history(Query.new(pipeline: pipeline, statuses: ["running"]))
      end

      # @return [Array<Run>] the latest run of every pipeline
      def last_runs
        @native.last_runs(PATIENCE).map { |row| run_of(row) }
      end

      # @param run [Integer] its number
      # @return [Array<Step>] its steps that have ended
      def steps(run)
        @native.steps(run, PATIENCE).map { |row| fill(Step, row) }
      end

      # Yields the members of each record of these steps, from {Record}'s +step+ on, with the id of the step for its name.
      # @param checkpoint [Integer] one that is held
      # @param steps [Array(Array<String>, Array<String>)] by id, the names of the steps, and the imprints that are expected, all
      #   frozen; a record with the expected one has that very String
      # @return [void]
      def records(checkpoint, steps, patience: PATIENCE, &row)
        @native.records(checkpoint, *steps, patience, &row)
      end

      # @return [String, nil] the bytes of a step's output; nil: there is none, or it is missing or damaged
      def output(checkpoint, step)
        @native.output(checkpoint, step, PATIENCE)
      end

      # @return [Hash{String => String}] by step, how it ended
      def outcomes(checkpoint, patience: PATIENCE)
        @native.outcomes(checkpoint, patience)
      end

      # @return [Hash{String => Integer}] by step, how many bytes its output takes
      def sizes(checkpoint)
        @native.sizes(checkpoint, PATIENCE)
      end

      # Removes all records of a checkpoint.
      # @return [Run, nil] the run that is alive and needs it; then nothing was removed
      def clear(checkpoint)
        row = @native.clear(checkpoint, PATIENCE)
        row && run_of(row)
      end

      # @return [Hash{String => Float}] by step, the median of the seconds that it took in the latest runs
      def timings(pipeline, patience: PATIENCE)
        @native.timings(pipeline, patience)
      end

      # @param key [String]
      # @param now [Float] seconds since 1970
      # @return [Entry, nil] nil: there is none, it has expired, or was written in the future
      def entry(key, now, patience: PATIENCE)
        row = @native.entry(key, now, patience)
        row && Entry.new(*row)
      end

      # Yields the entries that {#entry} has of several keys, but those that are damaged or large.
      # @param keys [Array<String>]
      # @yieldparam position [Integer] of the key
      # @yieldparam value [String]
      # @yieldparam used [Float] when it was last used
      # @return [void]
      def values(keys, now, patience: PATIENCE, &entry)
        @native.values(keys, now, patience, &entry)
      end

      # Records that entries were used.
      # @param keys [Array<String>]
      # @return [void]
      def touch(keys, now, patience: PATIENCE)
        @native.touch(keys, now, patience)
      end

      # Stores a value, then evicts the least recently used entries until at most +most+ bytes are left.
      # @param expires [Float, nil]
      # @param value [String] bytes; frozen
      # @param most [Integer] bytes
      # @return [void]
      def put(key, value, now:, most:, expires: nil, patience: PATIENCE)
        @native.put(key, expires, now, value, most, patience)
      end

      # @param key [String, nil] nil: all of them
      # @param prefix [Boolean] whether the key is only how they begin
      # @return [Integer] how many were dropped
      def drop_entries(key = nil, prefix: false, patience: PATIENCE)
        @native.drop_entries(key, prefix, patience)
      end

      # @return [Array<Entry>] by their keys, without values
      def entries(now, patience: PATIENCE)
        @native.entries(now, patience).map { |row| Entry.new(*row) }
      end

      # @return [String]
      def inspect
        "#<#{self.class} #{path}>"
      end

      private

      def run_of(row)
        fill(Run, row)
      end

      def fill(struct, row)
        filled = struct.new
        row.each_with_index { |value, index| filled[index] = value }
        filled
      end
    end
  end
end
