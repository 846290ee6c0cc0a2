# frozen_string_literal: true

require "json"

module Flowline
  class Report
    # The data of a run for the script of the page, as small as can be: a list for each column, times as whole numbers of a unit
    # that suits the length of the run, and of each name only the end that differs from the name before.
    # @api private
    class Island
      # The most units in the length of a run.
      FINEST = 100_000
      # The most units of all steps together, so that a page of many steps is small however fast they were.
      TOTAL = 100_000_000
      # The length of a run may have this many units, however many steps it has.
      COARSEST = 20_000
      # The most steps whose outputs are on the page of a run, whose steps have pages of their own.
      OUTPUTS = 500
      private_constant :FINEST, :TOTAL, :COARSEST, :OUTPUTS

      # @param data [Data]
      # @param timing [Timing]
      def initialize(data, timing)
        @data = data
        @timing = timing
        @unit = unit([data.length * 1e3, 1.0].max)
      end

      # @return [String] JSON that can stand within a script element
      def to_s
        content = { run: @data.run_id, pipeline: @data.pipeline, address: @data.address, length: Island.milliseconds(@data.length),
                    unit: @unit, statuses: Data::ORDER, critical: @timing.critical, names: names, status: statuses, **times, attempts: attempts,
                    more: more }
        Island.escape(::JSON.generate(content))
      end

      # @param json [String]
      # @return [String] the same data, without a character that could end the script element
      def self.escape(json)
        json.gsub(/[<>&\u2028\u2029]/) { |char| format("\\u%04x", char.ord) }
      end

      # @param step [Step]
      # @return [Hash{Symbol => Object}] what few steps have
      def self.more(step)
        texts = { error: step.error, why: step.why, wait: step.wait, items: step.items, output: step.output, log: step.log }
        facts = { reason: step.reason, **texts.compact.transform_values { |text| Text.plain(text) } }.compact
        facts[:at] = step.location if step.error
        return facts if step.retries.empty?

        retries = step.retries.map { |*times, error| [*times.map { |time| milliseconds(time) }, error && Text.plain(error)] }
        facts[:retries] = retries
        facts
      end

      # @param seconds [Float]
      # @return [Float]
      def self.milliseconds(seconds)
        (seconds * 1e3).round(3)
      end

      private

      # Returns the names, a line each: how many characters of the one before it begins with, in base 36, and the rest.
      def names
        before = ""
        lines = @data.steps.map do |step|
          name = step.name
          most = [before.size, name.size, 35].min
          same = 0
          same += 1 while same < most && name[same] == before[same]
          before = name
          "#{same.to_s(36)}#{name[same..]}"
        end
        lines.join("\n")
      end

      # Returns a digit for each step: its position in {Data::ORDER}.
      def statuses
        @data.steps.map { |step| Data::ORDER.index(step.status) || Data::ORDER.size }.join
      end

      # Returns a digit for each step, 1 if it was called; and, of those that were, when each began, how long it took, when it could have
      # begun, and when it could have ended at the latest. Times of steps that follow each other are much alike, so each beginning is the
      # difference from the one before.
      def times
        called = @data.steps.each_index.select { |at| @data.steps[at].start }
        starts, durations = %i[start duration].map { |time| called.map { |at| units(@data.steps[at][time].to_f) } }
        ready, slack = [@timing.ready, @timing.slack].map { |list| called.map { |at| units(list[at]) } }
        latest = slack.each_with_index.map { |time, index| time && (starts[index] + durations[index] + time) }
        { called: @data.steps.map { |step| step.start ? 1 : 0 }.join, start: differences(starts), duration: durations,
          ready: differences(ready), latest: latest }
      end

      def differences(list)
        list.each_index.map { |index| index.zero? ? list[0] : list[index] - list[index - 1] }
      end

      # Returns by position, of steps that were called more than once.
      def attempts
        @data.steps.each_with_index.filter_map { |step, at| [at, step.attempts] if step.attempts > 1 }.to_h
      end

      # Returns by position whatever few steps have; or, if an earlier step has the same, the position of that one.
      def more
        brief = @data.address && @data.steps.size > OUTPUTS
        firsts = {}
        @data.steps.each_with_index.filter_map do |step, at|
          facts = Island.more(step)
          facts.delete(:output) if brief
          next if facts.empty?

          first = firsts[facts] ||= at
          [at, first == at ? facts : first]
        end.to_h
      end

      # Returns the milliseconds of a unit, such as 0.1, 0.2 or 0.5.
      def unit(length)
        least = length / (TOTAL / [@data.steps.size, 1].max).clamp(COARSEST, FINEST)
        power = 10.0**Math.log10(least).floor
        power * [1, 2, 5, 10].find { |times| power * times >= least }
      end

      def units(seconds)
        seconds && (seconds * 1e3 / @unit).round
      end
    end
  end
end
