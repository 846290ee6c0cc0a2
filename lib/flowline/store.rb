# frozen_string_literal: true

module Flowline
  # The store, in which runs, checkpoints and cached values are recorded.
  #
  # A store is a protocol of named methods and typed rows; {SQLite} implements it in a directory. Any other
  # implementation has to pass the same contract suite:
  #
  # - Each method is one transaction: it is applied as a whole or not at all. Acknowledged data survives the process. A
  #   method that raises a {StoreError} has changed nothing.
  # - A run holds the lock of its checkpoint from {SQLite#begin_run} or {SQLite#claim} to {SQLite#finish_run}, in
  #   a lock object of its own. The lock is released when its process ends.
  # - A read returns the bytes that were written, or nothing: damage is an ordinary result, not an error.
  # @api private
  module Store
    autoload :SQLite, "#{__dir__}/store/sqlite"

    # A run of a pipeline. +identity+ is a digest of its params, input and context; +params+ are bytes, or nil;
    # +checkpoint+ is a number that it shares with the runs that it resumes; +resumed+ is the +run_id+ of one;
    # +alive+ says whether its process still exists. +shown+ is its params as a JSON object of texts, without secrets;
    # +trigger+ the kind of caller that started it, and the id of its job; +location+ the line of its definition; +directory+ where it ran; +graph+
    # the number of its graph; +warnings+ a JSON array of texts. +outcomes+ counts its steps by how they ended, as
    # <tt>"failed 1, succeeded 3"</tt>; +items_done+, +items_failed+ and +items_restored+ count their items.
    # +resumed_by+ is the +run_id+ of the latest run that resumed it, where {SQLite::History#history} returns it.
    Run = Struct.new(:id, :run_id, :pipeline, :identity, :checkpoint, :resumed, :params, :status, :pid, :host, :started, :duration, :error,
                     :alive, :shown, :trigger, :location, :directory, :graph, :warnings, :outcomes, :items_done, :items_failed, :items_restored,
                     :resumed_by, keyword_init: true) do
      # @return [Boolean] whether its process belongs to another container or another machine
      def elsewhere?
        host != Store.host
      end

      # @return [String] where it runs, for messages
      def process_name
        "process #{pid}#{" of #{host[/\A[^ ]*/]}, another machine or container," if elsewhere?}"
      end

      # @return [Hash{Symbol => Object}] its params, without secrets; none if they cannot be read
      def known_params
        known = String === params ? Recording.restore(params) { nil } : params
        Hash === known ? known : {}
      end

      # @return [Time]
      def started_at
        Time.at(started)
      end

      # @return [Boolean] whether its record can be trusted
      def damaged?
        status == "damaged"
      end
    end

    # The end of a step of a run; +started+ is in seconds since the start of the run. Of a step with +each:+ it has the number
    # of items, and how they ended: done by this run, restored, or failed. +kind+, +output_size+ and +preview+ describe the output (see
    # +Native.preview+); +detail+ is JSON: attempts, waits and failed items.
    Step = Struct.new(:run, :position, :name, :status, :reason, :attempts, :started, :duration, :error, :items_total, :items_done, :items_failed,
                      :items_restored, :kind, :output_size, :preview, :detail, keyword_init: true)

    # The record of a step in a checkpoint or, with a number in +item+, of one of its items. +imprint+ is the digest of
    # the step's declaration; +token+ names this very output, and +made_of+ the outputs that it was made of. +output+ is
    # bytes, empty if there is no output. When read, it is nil if it is missing or damaged.
    Record = Struct.new(:checkpoint, :step, :item, :outcome, :imprint, :token, :made_of, :output, keyword_init: true)

    # An entry of a cache; +bytes+ is its size. Times are seconds since 1970; +value+ is nil if it is missing or damaged.
    Entry = Struct.new(:key, :expires, :written, :used, :bytes, :value)

    # The end of a run; +clear+ says whether its checkpoint can be removed; +keep+ how many runs of the pipeline stay (nil:
    # 100); +clock+ is {Store.clock} and +ended+ what it shows; +commits+ are the steps whose writes into the state are
    # committed if the run succeeded (nil: all of them); +lines+ are those of its log that are not in the store yet, as for
    # {SQLite::Live#log}.
    End = Struct.new(:run, :status, :duration, :error, :clear, :warnings, :keep, :clock, :ended, :commits, :lines, keyword_init: true)

    # A selection of past runs; nil: any. +statuses+ are those of which a run has one; +since+ is in seconds since 1970; +before+ the
    # +run_id+ of a run, of which only earlier ones are selected; +params+ an Array of members of {Run}'s +shown+, as
    # <tt>"name":"text"</tt>; +text+ is in the id, the name, the shown params or the error of a run.
    Query = Struct.new(:pipeline, :run_id, :statuses, :since, :before, :params, :limit, :trigger, :text, keyword_init: true)

    # A value of the state of a pipeline: +value+ is bytes, +shown+ a short text, +written+ the time in seconds since 1970,
    # +run_id+ the run that wrote it, if one did.
    Value = Struct.new(:pipeline, :key, :value, :shown, :written, :run_id, keyword_init: true)

    # A change of the state that +step+ has recorded and that is not committed: +value+ is bytes or nil to delete it, +shown+ a
    # short text, +written+ the time in seconds since 1970, +run+ the number of the run that recorded it, +overtaken+ whether
    # another value is committed now than the one that it followed.
    Write = Struct.new(:key, :value, :shown, :written, :step, :run, :overtaken)

    # A request to a run that goes on: +kind+ is +cancel+ or +cancel_now+, +subject+ a step or nil, +requester+ who asked,
    # +requested+ when, in seconds since 1970.
    Request = Struct.new(:run, :kind, :subject, :requester, :requested, keyword_init: true)

    # Consecutive lines of the log of a step: the number of the chunk, the position of the step (-1: of the run itself), the
    # number of the first line, how many lines there are, and the lines in the encoding of the caller.
    Lines = Struct.new(:id, :step, :number, :lines, :body, keyword_init: true)

    # Seconds that a caller waits for other processes.
    PATIENCE = 60.0

    @stores = {}
    @mutex = Mutex.new

    class << self
      # @param root [String] the directory, made if need be
      # @param within [String, nil] the store that it is a part of, made if need be
      # @param patience [Float] seconds to wait for other processes
      # @return [SQLite] the store of this process for that directory
      # @raise [StoreError] it cannot be used
      def at(root, within: nil, patience: PATIENCE)
        find(root) || begin
          at(within) if within
          add(SQLite.open(root, patience))
        end
      end

      # @return [SQLite, nil] the store of that directory, if there is one
      # @param patience [Float] seconds to wait for other processes
      # @raise [StoreError] it cannot be used
      def existing(root, patience: PATIENCE)
        find(root) || SQLite.existing(root, patience)&.then { |store| add(store) }
      end

      # @param root [String] a directory, as a user names it
      # @return [String] its absolute path
      # @raise [StoreError] there is none: it is in the home of an unknown user, or relative to a removed directory
      def path(root)
        File.expand_path(root)
      rescue ArgumentError, SystemCallError => e
        raise StoreError.new(root, "its directory cannot be found (#{Error.words(e)}); choose another one")
      end

      # Calls the block with a limit on how long caches wait for other processes in this thread.
      # @param seconds [Float, nil] nil: as long as usual
      # @return [Object] what the block returns
      def within(seconds)
        before = Thread.current.thread_variable_get(:flowline_patience)
        return yield if before == seconds

        Thread.current.thread_variable_set(:flowline_patience, seconds)
        yield
      ensure
        Thread.current.thread_variable_set(:flowline_patience, before) unless before == seconds
      end

      # @return [Float] how many seconds this thread waits for other processes
      def patience
        Thread.current.thread_variable_get(:flowline_patience) || PATIENCE
      end

      # @return [String] where this process has its number: its machine, and there the namespace of process numbers
      def host
        @host ||= Native::Store.host.freeze
      end

      # @return [String, nil] the name of the monotonic clock: times can be compared if it is the same
      def clock
        @clock ||= Native::Store.clock.freeze
      end

      private

      def find(root)
        path = real(root) or return
        store = @mutex.synchronize { @stores[path] }
        store if store&.there?
      end

      def add(store)
        @mutex.synchronize { @stores[store.path] = store }
      end

      def real(root)
        File.realpath(root)
      rescue SystemCallError, ArgumentError # There is no such directory, or no directory can have the name.
        nil
      end
    end
  end
end
