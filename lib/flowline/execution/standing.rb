# frozen_string_literal: true

module Flowline
  module Execution
    # Where a run stands, as JSON for other processes: how many steps have ended, and which of them run or wait, since when, and for
    # what. It reads and changes nothing, so that any thread may ask.
    # @api private
    class Standing
      # So many steps are named: the running ones first, and some of those that wait for a worker.
      MOST = 100
      READY = 10
      AHEAD = [:ready, nil, nil].freeze
      private_constant :MOST, :READY, :AHEAD

      # @param environment [Environment]
      # @param tallies [Hash{Integer => Items::Tally}]
      # @param in_flight [InFlight]
      # @param pools [Array<Symbol>] their names
      # @param lines [Recording::Lines] the log of the run
      def initialize(environment, tallies, in_flight, pools, lines)
        @run = environment.run
        @steps = environment.steps
        @tallies = tallies
        @in_flight = in_flight
        @pools = pools
        @lines = lines
        @slowest = Items::Slowest.new(environment, in_flight)
        @since = {} # By step that waits, what for and since when, in seconds from the start of the run.
      end

      # @return [String] a JSON object without secrets. It is the same until something changes.
      def to_json(*)
        open, count = @run.open_steps(MOST, READY)
        now = @run.elapsed
        under_way = @in_flight.under_way
        rows = open.map { |id, state| row(id, actual(id, state, under_way), under_way[id], now) }
        @since = @since.slice(*open.map(&:first))
        counts = %("total":#{@steps.size},"ended":#{@run.ended},"failed":#{@run.failures.size},"open":#{count})
        %({#{counts},"stopped":#{@run.stopped?},"line":#{line},"steps":[#{rows.join(",")}]})
      end

      private

      # Returns the last line of the log, and its step.
      def line
        id, text = @lines.latest
        return "null" unless text

        %([#{id.negative? ? "null" : quote(@steps[id].name.name)},#{quote(text)}])
      end

      # A step that was handed over ahead of the workers waits for one.
      def actual(id, state, under_way)
        state.first == :running && !@tallies[id] && !under_way.key?(id) ? AHEAD : state
      end

      def row(id, state, began, now)
        name, what, ends = state
        _, _, attempts, started = @run.step(id)
        waits = name != :running
        since = waits ? wait_since(id, state.first(2), now) : ((began unless @tallies[id]) || started)
        fields = { "name" => quote(@steps[id].name.name), "attempt" => attempts + 1, "since" => number(since) }
        fields["started"] = number(started) if started && attempts.positive?
        fields["reason"] = quote(reason(what)) if waits
        fields["pool"] = quote(@pools[what].name) if Integer === what
        fields["until"] = number(ends) if ends
        fields.update("items" => items(@tallies[id]), "slowest" => @slowest.call(id)&.then { |item| quote(item) }) if @tallies[id]
        "{#{fields.compact.map { |key, value| "\"#{key}\":#{value}" }.join(",")}}"
      end

      def reason(what)
        Integer === what ? "pool" : (what || :worker).name
      end

      def wait_since(id, wait, now)
        known, since = @since[id]
        known == wait ? since : (@since[id] = [wait, now]).last
      end

      def items(tally)
        total, done, restored, failed = tally.counts.to_a
        %({"total":#{total || "null"},"done":#{done},"restored":#{restored},"failed":#{failed}})
      end

      def number(seconds)
        seconds ? seconds.round(3) : "null"
      end

      def quote(text)
        Native.quote(Error.text(text))
      end
    end
  end
end
