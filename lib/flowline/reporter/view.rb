# frozen_string_literal: true

module Flowline
  module Reporter
    # Draws a run that goes on, as rows of text for a terminal of a given size. It is a pure function of data, so that it shows
    # a run of this process ({Board}) and of another one alike.
    #
    #   ⠹ fetch_users      12.4s   attempt 2 of 4, retry in 3s
    #   ⠹ pages            45.1s   114/240  ━━━━━━━╺━━━━━━━  2 failed  3.1/s  about 40s left
    #     … 3 more running, 120 waiting (pool db)
    #   ━━━━━━━━━╺━━━━━━━━━━━━━━━━━━━━ 12/37 steps  1m 02s  about 2m left
    # @api private
    class View
      # A run: its steps in numbers, what runs, and how many steps wait, by what they wait for. +left+ is the expected number of
      # seconds until its end, or nil.
      State = Struct.new(:total, :ended, :failed, :elapsed, :left, :rows, :waits, :cancelling, :partial, keyword_init: true)

      # A step that runs. +attempts+ is how many it may have, or nil; +note+ is a text; +items+ counts the items of a step with each:, or is nil.
      Row = Struct.new(:name, :depth, :elapsed, :attempt, :attempts, :waits_for, :waits, :note, :items, keyword_init: true)

      # The items of a step: how many there are (nil: not known yet), have ended well, have failed, were restored; how many a
      # second end; the label of the one that takes longest.
      Items = Struct.new(:total, :done, :failed, :restored, :rate, :slowest, keyword_init: true) do
        # @return [Float, nil] seconds until all have ended
        def left
          (total - done - failed) / rate if total && rate&.positive?
        end
      end

      SPINNERS = { true => %w[⠋ ⠙ ⠹ ⠸ ⠼ ⠴ ⠦ ⠧ ⠇ ⠏], false => ["|", "/", "-", "\\"] }.freeze
      BARS = { true => %w[━ ╸ ─], false => ["=", "-", "."] }.freeze
      # Columns of a part below which it is left out rather than cut.
      LEAST = 12
      # Columns between the parts of a row.
      GAP = "  "
      # The widest row: it is read at a glance, and takes few lines if the terminal gets narrower.
      WIDEST = 131
      # How wide bars are.
      BAR = (8..30)
      # The facts of the last row that are left out if it is too wide, the least useful first.
      DISPENSABLE = %i[elapsed left failed].freeze
      private_constant :DISPENSABLE, :SPINNERS, :BARS, :GAP, :BAR, :LEAST, :WIDEST

      # @param seconds [Numeric]
      # @return [String] for people: +4.2s+, +2m 05s+, +3h 02m+
      def self.duration(seconds)
        return format("%.1fs", seconds) if seconds < 60

        minutes, rest = seconds.round.divmod(60)
        minutes < 60 ? "#{minutes}m #{rest.to_s.rjust(2, "0")}s" : hours(minutes)
      end

      # @param seconds [Numeric]
      # @return [String] no more exact than an estimate is
      def self.estimate(seconds)
        return "#{[seconds.ceil, 1].max}s" if seconds < 60

        minutes = (seconds / 60.0).round
        minutes < 60 ? "#{[minutes, 1].max}m" : hours(minutes)
      end

      def self.hours(minutes)
        "#{minutes / 60}h #{(minutes % 60).to_s.rjust(2, "0")}m"
      end
      private_class_method :hours

      # @param columns [Integer] of the terminal
      # @param lines [Integer] of the terminal
      # @param width [Integer] of the names
      # @param unicode [Boolean] whether the terminal has more than ASCII
      def initialize(columns, lines, width: 14, unicode: true)
        @columns = (columns - 1).clamp(1, WIDEST) # A terminal may wrap after its last column.
        @lines = [lines * 2 / 3, 1].max
        @longest = width
        @width = width.clamp(1, [@columns - 26, 8].max)
        @unicode = unicode
      end

      # @param state [State]
      # @param tick [Integer] which frame it is, for the spinners
      # @return [Array<String>] as many rows as fit, none wider than the terminal
      def rows(state, tick = 0)
        room = @lines - 1 - (state.partial ? 1 : 0)
        spinner = SPINNERS.fetch(@unicode)[tick % SPINNERS.fetch(@unicode).size]
        shown, hidden = divide(state, room)
        steps = shown.map { |row| row(row, spinner) }
        others = others(hidden, state.waits)
        steps << others if others && steps.size < room
        [*(state.partial && [state.partial]), *steps, summary(state)].map { |row| Text.cut(row, @columns).rstrip }
      end

      private

      # @return [Array(Array<Row>, Integer)] the rows that fit, the oldest first, and how many don't
      def divide(state, room)
        room -= 1 if room.positive? && (state.rows.size > room || state.waits.any?)
        [state.rows.first([room, 0].max), [state.rows.size - [room, 0].max, 0].max]
      end

      def row(row, spinner)
        name = ("  " * row.depth) + Name.show(row.name)
        time = (row.elapsed ? View.duration(row.elapsed) : "").ljust(5)
        details = details(row)
        start = "#{row.waits_for ? " " : spinner} #{Text.fit(name, room_for_name(time, details))}   #{time}"
        start + parts(details, @columns - Text.width(start), "   ")
      end

      # Returns the columns of a name. If they are few, it gets those that its row leaves free.
      def room_for_name(time, details)
        return @width if @longest <= @width

        [@columns - 5 - time.size - (details.empty? ? 0 : 3 + Text.width(details.first)), @longest].min.clamp(@width..)
      end

      # The details of a row, the most important first.
      def details(row)
        items = row.items ? items(row.items) : []
        [*items, attempt(row), *([row.note] if row.note && row.items.nil?)].compact.map { |part| Text.line(part) }
      end

      def attempt(row)
        waits = "waits for #{row.waits_for}" if row.waits_for && row.waits_for != "retry"
        waits = row.waits ? "retry in #{View.estimate(row.waits)}" : "retry" if row.waits_for == "retry"
        tries = "attempt #{[row.attempt, *row.attempts].join(" of ")}" if row.attempt && row.attempt > 1
        words = [tries, waits].compact
        words.join(", ") if words.any?
      end

      def items(items)
        ended = items.done + items.failed
        count = items.total ? "#{Lines.count(ended)}/#{Lines.count(items.total)}" : "#{Lines.count(ended)} items"
        [count, (bar(ended, items.total, BAR.min * 2) if items.total&.positive?), number(items.failed, "failed"),
         *(format("%.1f/s", items.rate) if items.rate), *("about #{View.estimate(items.left)} left" if items.left),
         number(items.restored, "restored"), *("slowest: #{items.slowest}" if items.slowest)].compact
      end

      def number(count, word)
        "#{Lines.count(count)} #{word}" if count&.positive?
      end

      def others(hidden, waits)
        waiting = waits.values.sum
        reasons = waits.map { |what, count| waits.one? ? what : "#{what}: #{count}" }.join(", ")
        words = [number(hidden, "more running"), number(waiting, "waiting (#{reasons})")].compact
        "  #{@unicode ? "…" : "..."} #{words.join(", ")}" if words.any?
      end

      def summary(state)
        left = [state.left, *state.rows.filter_map { |row| row.items&.left }].max if state.left
        facts = { steps: "#{Lines.count(state.ended)}/#{Lines.count(state.total)} steps", elapsed: View.duration(state.elapsed),
                  left: ("about #{View.estimate(left)} left" if left), failed: number(state.failed, "failed"),
                  stopping: ("stopping" if state.cancelling) }.compact
        DISPENSABLE.each { |fact| facts.delete(fact) if Text.width(facts.values.join(GAP)) > @columns }
        text = facts.values.join(GAP)
        length = @columns - Text.width(text) - 2
        length < BAR.min ? text : "#{bar(state.ended, state.total, length.clamp(BAR))} #{text}"
      end

      # Returns as many of the parts as fit, the last one cut.
      def parts(parts, room, first)
        parts.each_with_object(+"").with_index do |(part, text), index|
          gap = index.zero? ? first : GAP
          left = room - Text.width(text) - gap.size
          break text if left < [Text.width(part), LEAST].min

          text << gap << Text.cut(part, left)
        end
      end

      def bar(done, total, length)
        full, half, rest = BARS.fetch(@unicode)
        filled = total.zero? ? length : (done * length * 2 / total).clamp(0, length * 2)
        whole, remainder = filled.divmod(2)
        (full * whole) + (remainder.zero? ? "" : half) + (rest * (length - whole - remainder))
      end
    end
  end
end
