# frozen_string_literal: true

module Flowline
  module Telemetry
    # Builds the spans of one run: the run, its steps, and their attempts. They are made of plain data, so that it does not
    # matter whether a run or the history of one has the data. Times are nanoseconds since 1970.
    # @api private
    class Spans
      NOTHING = [].freeze
      private_constant :NOTHING

      # @return [String] what the span of an attempt is called
      def self.name_of_attempt(step)
        "attempt #{step}"
      end

      # @param number [Integer] of the attempt that failed
      # @param wait [Numeric] seconds until the next one
      # @param failure [Failure, nil]
      # @return [Hash] the attributes of the event of a retry
      def self.about_retry(number, wait, failure)
        { "flowline.attempt" => number, "flowline.wait" => wait.to_f, "error.type" => failure&.type, "exception.message" => failure&.message }.compact
      end

      # @param run_id [String]
      # @param pipeline [String, nil]
      # @param parent [TraceParent, nil]
      def initialize(run_id, pipeline, parent = nil)
        @ids = Ids.new(run_id, parent)
        @parent = parent
        @pipeline = pipeline || "unnamed"
        @common = { "flowline.run.id" => run_id, "flowline.pipeline" => @pipeline }.freeze
      end

      # @param times [Array(Integer, Integer)] start and end
      # @param facts [Hash] +status+, +outcomes+ (how many steps ended in which way), +failure+, +resumed+ (a run id), +trigger+
      # @return [Span]
      def run(times, facts)
        resumed = facts[:resumed]
        attributes = { "flowline.status" => facts[:status].to_s, "flowline.trigger" => facts[:trigger], "flowline.resumed.run_id" => resumed }
        facts[:outcomes].each { |status, count| attributes["flowline.steps.#{status}"] = count }
        span("run #{@pipeline}", times, attributes, facts[:failure], id: @ids.run, parent: @parent&.span_id, links: links(resumed))
      end

      # @param name [String]
      # @param times [Array(Integer, Integer)]
      # @param facts [Hash] +status+, +reason+, +attempts+, +failure+, +waits+ (seconds, by reason), +items+ (how many ended in
      #   which way), +retries+ (Arrays of a time, the number of the attempt, a wait and a {Failure})
      # @return [Span]
      def step(name, times, facts)
        attributes = { "flowline.step" => name, "flowline.status" => facts[:status].to_s, "flowline.reason" => facts[:reason]&.to_s,
                       "flowline.attempts" => facts[:attempts] }
        facts[:waits]&.each { |reason, seconds| attributes["flowline.wait.#{reason}"] = seconds.to_f }
        facts[:items]&.each { |how, count| attributes["flowline.items.#{how}"] = count }
        span("step #{name}", times, attributes, facts[:failure], id: @ids.step(name), parent: @ids.run, events: retries(facts[:retries]))
      end

      # @param step [String]
      # @param number [Integer]
      # @param times [Array(Integer, Integer)]
      # @param facts [Hash] +status+, +item+, +failure+
      # @return [Span]
      def attempt(step, number, times, facts)
        attributes = { "flowline.step" => step, "flowline.attempt" => number, "flowline.item" => facts[:item],
                       "flowline.status" => facts[:status].to_s }
        span(Spans.name_of_attempt(step), times, attributes, facts[:failure], id: @ids.attempt(step, facts[:item], number), parent: @ids.step(step))
      end

      private

      def span(name, times, attributes, failure, id:, parent:, events: NOTHING, links: NOTHING)
        attributes["error.type"] = failure.type if failure
        events += [["exception", times.last, { "exception.type" => failure.type, "exception.message" => failure.message }]] if failure
        Span.new(name: name, trace_id: @ids.trace, span_id: id, parent_id: parent, started: times.first, ended: times.last,
                 attributes: @common.merge(attributes.compact), failure: failure, events: events, links: links)
      end

      def retries(retries)
        return NOTHING unless retries

        retries.map { |time, *facts| ["retry", time, Spans.about_retry(*facts)] }
      end

      # The earlier run has its own trace, unless it was a part of another program's.
      def links(resumed)
        return NOTHING unless resumed

        ids = Ids.new(resumed)
        [[ids.trace, ids.run]]
      end
    end
  end
end
