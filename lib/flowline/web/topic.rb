# frozen_string_literal: true

require "json"

module Flowline
  class Web
    # A run that goes on, as all its viewers follow it. It is read once for all of them, and each gets what has changed since the
    # moment that their page shows.
    #
    # Such a moment has a name, the cursor: how far the log was read, and the digest of the snapshot. It means the same to every
    # process, so that a viewer who connects to another one, or after a restart, misses nothing. The last few snapshots are remembered;
    # whoever comes with an older one gets everything.
    # @api private
    class Topic
      # Seconds between two looks at the run, and how many times longer than a look itself the pause is at least.
      EVERY = 0.2
      REST = 2
      # A run with more steps than this is read again only if its process has shown it again.
      MANY = 300
      # Snapshots and lines of the log that are remembered.
      KNOWN = 8
      LINES = 200
      CURSOR = /\A(\d{1,18})-(\h{16})\z/
      private_constant :REST, :MANY, :KNOWN, :LINES, :CURSOR

      # @return [Float] when it was used last, on the monotonic clock
      attr_reader :used
      # @return [Snapshot, nil] the last one; nil: the run is gone
      attr_reader :snapshot
      # @return [String] names the moment of the last snapshot
      attr_reader :cursor

      # @param records [Records]
      # @param run_id [String]
      # @param address [String] of the page of the run
      def initialize(records, run_id, address)
        @records = records
        @run_id = run_id
        @address = address
        @known = {}
        @lines = []
        @read = 0
        @due = 0.0
        @guard = Mutex.new
      end

      # Reads the run, unless that was done just now.
      # @return [self]
      # @raise [StoreError]
      def refresh
        @guard.synchronize do
          @used = started = Clock.now
          next if started < @due || @snapshot&.over?

          look
          @due = started + [EVERY, REST * (Clock.now - started)].max
        end
        self
      end

      # @return [Boolean] whether the run has ended, or is gone
      def over?
        @snapshot.nil? || @snapshot.over?
      end

      # @param after [String, nil] the cursor of what the viewer has
      # @return [String, nil] as JSON, what has changed since; nil: nothing
      def changes(after)
        @guard.synchronize do
          next if @snapshot.nil? || after == @cursor

          read, digest = CURSOR.match(after.to_s)&.captures
          parts, rows = @known[digest] || [{}, []]
          content = { cursor: @cursor, over: @snapshot.over?, parts: @snapshot.parts.reject { |id, html| parts[id] == html },
                      rows: @snapshot.rows.each_with_index.filter_map { |row, at| row if rows[at] != row }, lines: lines(read.to_i) }
          json(content)
        end
      end

      private

      def look
        run = @records.run(@run_id)
        return @due = Float::INFINITY unless run

        return if @snapshot && @snapshot.rows.size > MANY && shown(run) == @shown

        @shown = shown(run)
        read_log(run)
        @snapshot = Snapshot.new(run, @address)
        @known[@snapshot.digest] = [@snapshot.parts, @snapshot.rows]
        @known.shift if @known.size > KNOWN
        @cursor = "#{@read}-#{@snapshot.digest}"
      end

      def shown(run)
        [run.status, run.live&.updated_at]
      end

      # At first only the end of the log is read.
      def read_log(run)
        lines, @read = run.log(after: @read, last: LINES)
        @lines.concat(Lines.new(lines.last(LINES)).items.map { |html| [@read, html] })
        @lines.shift(@lines.size - LINES) if @lines.size > LINES
      end

      def lines(read)
        @lines.filter_map { |number, html| html if number > read }
      end

      # The rows are JSON already.
      def json(content)
        rows = content.delete(:rows)
        "#{::JSON.generate(content).chop},\"rows\":[#{rows.join(",")}]}"
      end
    end
  end
end
