# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline trace [RUN]+: sends the spans of a past run to a collector.
      class Trace < RunCommand
        # Its line in the list of commands.
        SUMMARY = "send the trace of a past run to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names"
        # An example of a call.
        EXAMPLE = "flowline trace --pipeline import"

        private

        def declare(parser)
          option(parser, "root", "the store: default FLOWLINE_ROOT, else .flowline", value: "DIRECTORY")
          option(parser, "pipeline", "the latest run of this pipeline", value: "NAME")
          option(parser, "json", "write the request as JSON, and send nothing")
        end

        def work(arguments)
          run = one(arguments)
          raise Usage, "#{label}: run #{run.run_id} still runs; its trace can be sent when it has ended" if run.status == :running

          spans = Telemetry::Recorded.new(run).spans
          @options[:json] ? print_request(spans) : send_all(run, spans)
        end

        # The latest run that has ended.
        def latest(pipeline)
          runs = Flowline::History.runs(pipeline: pipeline, limit: 100, root: root)
          ended = runs.find { |run| !%i[running damaged].include?(run.status) }
          ended || absent(runs.empty? ? no_run(pipeline) : "no run#{" of #{Name.show(pipeline)}" if pipeline} has ended in #{root}")
        end

        def settings
          @settings ||= Telemetry::Settings.new(ENV)
        end

        def print_request(spans)
          @out.puts(Telemetry::Payload.traces(spans, settings.resource))
          0
        end

        def send_all(run, spans)
          sender = Telemetry::Sender.new(settings, "traces")
          spans.each_slice(settings.batch) do |batch|
            answer = sender.post(Telemetry::Payload.traces(batch, settings.resource))
            next if answer.outcome == :sent && answer.rejected.zero?

            why = answer.reason || "#{answer.rejected} spans rejected"
            @err.puts("#{label}: #{sender.address} has not taken the trace of run #{run.run_id}: #{why}")
            return 1
          end
          @out.puts("sent #{spans.size} spans of run #{run.run_id} of #{Name.show(run.pipeline)} to #{sender.address}")
          0
        ensure
          sender&.close
        end
      end
    end
  end
end
