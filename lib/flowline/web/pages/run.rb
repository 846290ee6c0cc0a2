# frozen_string_literal: true

module Flowline
  class Web
    module Pages
      # A run: the failure and its log first, then where it stands, then all that a report has.
      # @api private
      class Run < Page
        # Chunks and lines of the log that are shown.
        CHUNKS = 100
        LINES = 100
        private_constant :CHUNKS, :LINES

        # (see Page#title)
        def title
          "#{caption(run.pipeline)} #{word(run.status)}"
        end

        # (see Page#body)
        def body
          document = snapshot.document
          parts = snapshot.over? ? [*document.rest, log] : [log, *document.rest]
          [document.header(actions), *changing, *parts, document.exports, document.island].compact.join("\n")
        end

        # (see Page#live)
        def live
          [view.url("runs", run.run_id), "#{@read}-#{snapshot.digest}"] unless snapshot.over?
        end

        private

        # A run that goes on is read once for all its viewers.
        def snapshot
          @snapshot ||= begin
            run = view.run(@ids.first)
            (view.topic(run.run_id).snapshot if run.alive?) || Snapshot.new(run, view.url("runs", run.run_id), before(run))
          end
        end

        def before(run)
          view.history.runs(pipeline: run.pipeline, before: run.run_id, limit: Report::Trend::RUNS)
        end

        def run
          snapshot.run
        end

        def changing
          snapshot.parts.except("head").map { |id, html| tag(:div, html, id: id) }
        end

        def actions
          id = run.run_id
          links = { "Pipeline" => view.url("pipelines", run.pipeline), "Download the report" => view.url("runs", id, "report") }
          links["Cancel…"] = view.url("runs", id, "cancel") if run.alive? && view.act?
          links["Resume…"] = view.url("runs", id, "resume") if resumable?
          tag(:p, [*links.map { |name, url| link(url, name, class: ("action" if name.end_with?("…"))) }, *relatives].join(" "), class: "actions")
        end

        def resumable?
          run.failed? && run.resumed_by.nil? && view.enqueue? && view.pipelines.key?(run.pipeline)
        end

        def relatives
          { "resumed" => run.resumed, "was resumed by" => run.resumed_by }.compact.map do |how, id|
            "#{how} #{link(view.url("runs", id), id)}"
          end
        end

        def log
          lines, @read = run.log(last: CHUNKS)
          return if lines.empty? && !run.alive?

          section("Log", Lines.new(lines.last(LINES)).list("The last lines of the log", id: "log"))
        end
      end
    end
  end
end
