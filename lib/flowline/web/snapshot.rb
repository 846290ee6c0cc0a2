# frozen_string_literal: true

require "digest"
require "json"

module Flowline
  class Web
    # A run at one moment: the parts of its page that change while it goes on, and a row for each step.
    # @api private
    class Snapshot
      include Report::Markup

      # How many open steps are named, and how many lines of the log of a failed step are shown.
      OPEN = 20
      FAILED = 3
      TAIL = 10
      private_constant :OPEN, :FAILED, :TAIL

      # @return [Flowline::History::Run]
      attr_reader :run
      # @return [Report::Data]
      attr_reader :data

      # @param run [Flowline::History::Run]
      # @param address [String] of its page
      # @param past [Array<Flowline::History::Run>] earlier runs of its pipeline, the latest first
      def initialize(run, address, past = [])
        @run = run
        @live = run.live if run.alive?
        @data = Report::Sources.recorded(run, past, History::Run.comparable(past), address: address)
      end

      # @return [Report::Document]
      def document
        @document ||= Report::Document.new(data)
      end

      # @return [Boolean] whether it can change
      def over?
        !run.alive?
      end

      # @return [Hash{String => String}] HTML by the id of an element
      def parts
        @parts ||= { "head" => document.head, "failures" => "#{document.failures}#{tails}", "now" => now }
      end

      # @return [Array<String>] by position, what the script needs of a step, as JSON
      def rows
        @rows ||= data.steps.each_with_index.map { |step, at| ::JSON.generate(row(step, at)) }
      end

      # @return [String] the same for snapshots that show the same
      def digest
        @digest ||= Digest::SHA256.hexdigest([run.status, *parts.values, *rows].join("\n"))[0, 16]
      end

      private

      def row(step, at)
        [at, Report::Data::ORDER.index(step.status), *times(step), step.attempts, Report::Island.more(step)]
      end

      def times(step)
        [step.start, step.duration].map { |time| Report::Island.milliseconds(time) if time }
      end

      # The end of the log of the first steps that failed, or were running when the process ended.
      def tails
        wanted = run.status == :crashed ? %i[failed timed_out running] : %i[failed timed_out]
        shown = data.steps.each_with_index.select { |step, _| wanted.include?(step.status) }.first(FAILED)
        shown.filter_map do |step, at|
          lines = run.log(step.name, last: TAIL).first.last(TAIL)
          next if lines.empty?

          tag(:h3, "The last lines of #{tag(:a, text(caption(step.name)), href: data.link(at))}") +
            Lines.new(lines, steps: false).list("The last lines of #{caption(step.name)}")
        end.join
      end

      def now
        return "" unless @live

        positions = run.steps.each_with_index.to_h { |step, at| [step.name, at] }
        items = @live.steps.first(OPEN).map { |step| tag(:li, stand(step, positions[step.name])) }
        more = @live.open - items.size
        items << tag(:li, "… #{more} more that run or wait", class: "quiet") if more.positive?
        stopped = tag(:p, "Nothing more starts, apart from steps that always run.", class: "notice") if @live.stopped?
        section("#{@live.ended} of #{@live.total} steps have ended", progress("Steps", @live.ended, @live.total), stopped,
                tag(:ul, items, class: "plain"))
      end

      def stand(step, at)
        status = step.running? ? :running : :waiting
        [tag(:span, word(status), class: "state #{status}"), tag(:a, text(caption(step.name)), href: data.link(at.to_i)),
         [(elapsed(step.since) if step.since), *details(step)].compact.join(" · ")].join(" ")
      end

      def details(step)
        counts = step.items
        [("attempt #{step.attempt}" if step.attempt.to_i > 1), ("waits for #{text(Name.show(step.wait))}" if step.wait),
         *([text(counts.to_s.delete_prefix("items: ")), *(progress("Items", counts.done + counts.restored, counts.total) if counts.total)] if counts)]
      end

      # How long it had been so when the run was shown. (By the time of now, every snapshot would differ.) The script counts on.
      def elapsed(since)
        time = [@live.updated_at - since, 0.0].max
        tag(:span, seconds(time), class: "elapsed", data_since: since.to_f.round(1))
      end

      def progress(label, value, most)
        tag(:progress, "", value: value, max: [most, 1].max, aria_label: label)
      end
    end
  end
end
