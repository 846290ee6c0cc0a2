# frozen_string_literal: true

module Flowline
  module Recording
    # The log of a run: lines of its steps on their way to the store and to observers. Any thread may add some. Of each step it holds
    # the first and the last lines that are not in the store yet, however many there were.
    # @api private
    class Lines
      # The most characters of a line, and how many of it are searched for secrets and line breaks.
      WIDE = 4096
      SEARCHED = 1 << 16
      # A line in brief, for those who look at the run from outside.
      BRIEF = 200
      # The last lines of a step that reporters may ask for when it has failed.
      LAST = 10
      private_constant :WIDE, :SEARCHED, :BRIEF

      # The lines of a step: how many there were so far, how many of them are in the store, and the first and the last of the others.
      Step = Struct.new(:total, :stored, :head, :tail)
      private_constant :Step

      # @param context [Context] knows the secrets
      # @param most [Integer] how many of the first, and of the last, lines of a step stay
      # @param keeps [Boolean] whether they go to a store
      # @param recalls [Boolean] whether reporters may ask for the last lines
      # @yield is notified of each line, in the thread that has added it
      # @yieldparam id [Integer] the step; -1: the run itself
      # @yieldparam line [Event::Line]
      def initialize(context, most, keeps:, recalls:, &reader)
        @context = context
        @most = most
        @keeps = keeps
        @reader = reader
        @lock = Mutex.new
        @steps = {}
        @last = {} if recalls
      end

      # Adds the lines of a text.
      # @param source [Array(Integer, Integer, Integer)] the step (-1: the run itself), the number of its attempt, the index of its item
      # @param stream [Symbol] +:log+, +:out+ or +:err+
      # @param text [String]
      # @param level [Symbol, nil]
      # @return [void]
      def add(source, stream, text, level = nil)
        return @forward.call(source, stream, text, level) if @forward

        id, attempt, item = source
        time = Time.now
        split(text).each do |row|
          line = Event::Line.new(time, stream, level, row, attempt, item).freeze
          @lock.synchronize { hold(id, line) }
          @reader&.call(id, line)
        end
      end

      # @param id [Integer] a step that has not succeeded
      # @return [Array<Event::Line>] its last lines, at most {LAST}
      def last(id)
        @lock.synchronize { @last&.[](id).to_a.dup }
      end

      # Drops the last lines of a step, because nobody will ask for them.
      # @param id [Integer]
      # @return [void]
      def drop_last(id)
        @lock.synchronize { @last.delete(id) } if @last
      end

      # From now on lines go elsewhere: those of a forked child to its parent.
      # @yieldparam facts [Array] as {#add} takes them
      # @return [void]
      def forward(&elsewhere)
        @forward = elsewhere
      end

      # Redacts what was printed in one piece, before it is split into lines: a secret may have several.
      # @param bytes [String]
      # @return [String] bytes
      def redact(bytes)
        @context.secrets? ? @context.mask(bytes.dup.force_encoding(Encoding::UTF_8)).b : bytes
      end

      # @return [Array(Integer, String), nil] the last line, in brief, and its step
      attr_reader :latest

      # Gives the lines that are not in the store yet. They stay here until the block has returned.
      # @yieldparam rows [Array<Array>] as for {Store::SQLite::Live#log}
      # @return [Object] what the block returns
      def store
        taken = @lock.synchronize { @steps.reject { |_, step| step.total == step.stored }.transform_values { |step| copy(step) } }
        yield(taken.flat_map { |id, step| chunks(id, step) }).tap { @lock.synchronize { forget(taken) } }
      end

      private

      def copy(step)
        Step.new(step.total, step.stored, step.head.dup, step.tail.dup)
      end

      # Redacts and splits a text: at first as a whole, because a secret may have several lines.
      def split(text)
        text = @context.secrets? ? @context.mask(text) : Error.splittable(text)
        return [""] if text.empty?

        text.each_line("\n", chomp: true).map do |row|
          row = last_state(row)
          shorten(Error.text(row[0, SEARCHED]), row.size)
        end
      end

      # Of a line that was written over and over, as a bar of progress is, the last state stays.
      def last_state(row)
        row = row.delete_suffix("\r")
        again = row.b.rindex("\r") or return row
        row.byteslice(again + 1..)
      end

      def shorten(row, size)
        row.size > WIDE || size > SEARCHED ? "#{row[0, WIDE]} … (#{size} characters)" : row
      end

      def hold(id, line)
        keep(id, line) if @keeps
        return unless @last

        last = @last[id] ||= []
        last.shift if last.size == LAST
        last << line
      end

      def keep(id, line)
        step = @steps[id] ||= Step.new(0, 0, [], [])
        (step.total < @most ? step.head : step.tail) << line
        step.tail.shift if step.tail.size > @most
        step.total += 1
        @latest = [id, line.text[0, BRIEF]]
      end

      # @return [Array<Array>] the first lines, and the last ones
      def chunks(id, step)
        first = step.head.empty? ? [] : [chunk(id, step.stored, step.head)]
        step.tail.empty? ? first : first << chunk(id, step.total - step.tail.size, step.tail)
      end

      def chunk(id, number, lines)
        [id, number, lines.size, lines.map { |line| encode(line) }.join("\n"), @most]
      end

      def encode(line)
        level = line.level ? Native.quote(line.level.name) : "null"
        fields = [(line.time - @context.started_at).round(6), Native.quote(line.stream.name), level, line.attempt || "null", line.item || "null"]
        "[#{fields.join(",")},#{Native.quote(line.text)}]"
      end

      # The lines that were taken are in the store now. Others may have been added since.
      def forget(taken)
        taken.each do |id, known|
          step = @steps[id]
          step.head = step.head.drop(known.head.size)
          new = step.total - known.total
          step.tail = step.tail.last([new - step.head.size, 0].max)
          step.stored = known.total
        end
      end
    end
  end
end
