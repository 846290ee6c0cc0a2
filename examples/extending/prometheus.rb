# frozen_string_literal: true

require "flowline"

# A reporter that writes a file for the textfile collector of Prometheus' node exporter: when a run ended, whether it
# succeeded, and how long each step took.
#
#   pipeline.run(reporter: [:console, Prometheus.new("/var/lib/node_exporter")])
#
# One file for each pipeline. It is replaced as a whole, because the collector may read it at any time.
class Prometheus
  def initialize(directory) = @directory = directory
  def event_names = %i[run_finished]

  def call(event)
    pipeline = event.context.pipeline_name || "unnamed"
    path = File.join(@directory, "flowline_#{pipeline.gsub(/\W/, "_")}.prom")
    File.write("#{path}.new", metrics(pipeline, event.result, event.time).map { |name, value| "flowline_#{name} #{value}\n" }.join)
    File.rename("#{path}.new", path)
  end

  private

  def metrics(pipeline, result, time)
    run = "{pipeline=#{pipeline.inspect}}"
    called = result.steps.select(&:duration)
    { "run_succeeded#{run}" => result.success? ? 1 : 0, "run_seconds#{run}" => result.duration, "run_ended#{run}" => time.to_f }
      .merge(called.to_h { |step| ["step_seconds{pipeline=#{pipeline.inspect},step=\"#{step.name}\"}", step.duration] })
  end
end
