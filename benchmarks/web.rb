# frozen_string_literal: true

# The time and the bytes that pages of the web page take: of a run with 5,000 steps, and in a store of 100,000 runs.
require_relative "support/measure"
require "fileutils"
require "flowline"
require "tmpdir"

FOLDER = Dir.mktmpdir("flowline-benchmark")
at_exit { FileUtils.rm_rf(FOLDER) }
Flowline.config.root = FOLDER
COUNT = Integer(ENV.fetch("RUNS", 100_000))
STEPS = 5_000

web = Flowline::Web.new(authorize: ->(_) { :act })
request = lambda do |path|
  web.call("REQUEST_METHOD" => "GET", "SCRIPT_NAME" => "", "PATH_INFO" => path[/[^?]*/], "QUERY_STRING" => path[/\?(.*)/, 1].to_s,
           "HTTP_HOST" => "localhost", "HTTP_ACCEPT_ENCODING" => "gzip")
end
bytes = ->(path) { request.call(path)[2].sum(&:bytesize) }

wide = Flowline.define(name: "wide") do
  STEPS.times { |at| step(:"load_table_#{at}", depends_on: at < 50 ? [] : :"load_table_#{at - 50}") { 1 } }
end
id = wide.run.run_id
one = Flowline.define(name: "one") { step(:fetch) { 1 } }.run.run_id
files = Flowline::Web::Assets::PARTS.keys.sum { |name| bytes.call("/assets/#{Flowline::Web::Assets.fetch(name).file}") }
records = Flowline::Web::Records.new(FOLDER)
snapshot = -> { Flowline::Web::Snapshot.new(records.run(id), "/runs/#{id}").then { |made| [made.parts, made.rows, made.digest] } }
times = Measure.times({ wide: -> { request.call("/runs/#{id}") }, one: -> { request.call("/runs/#{one}") }, snapshot: snapshot })
Measure.heading "The page of a run"
Measure.row("with #{STEPS} steps", times[:wide] * 1e3, "ms", most: 600.0)
Measure.row("with #{STEPS} steps, read again for its viewers", times[:snapshot] * 1e3, "ms", most: 300.0)
Measure.row("with 1 step", times[:one] * 1e3, "ms", most: 20.0)
Measure.row("with #{STEPS} steps", bytes.call("/runs/#{id}") / 1024.0, "KB", most: 60.0)
Measure.row("stylesheet and scripts, the first time", files / 1024.0, "KB", most: 20.0)

# Rows as runs write them.
store = Flowline::Store.at(FOLDER)
COUNT.times do |n|
  lock = store.lock
  started = Time.at(1_700_000_000 + (n * 60))
  run_id = "#{started.utc.strftime("%Y%m%dT%H%M%S")}-#{format("%08x", n)}"
  run = store.begin_run(Flowline::Store::Run.new(run_id: run_id, identity: n.to_s, pid: Process.pid, host: Flowline::Store.host,
                                                 pipeline: "pipeline_#{n % 10}", started: started.to_f, shown: %({"limit":"#{n % 50}"}),
                                                 trigger: "cli"), lock)
  ended = Flowline::Store::End.new(run: run.id, status: (n % 1000).zero? ? "failed" : "succeeded", duration: 1.0, clear: true, keep: COUNT)
  store.finish_run(ended, [[[run.id, 0, "fetch", "succeeded", nil, 1, 0.1, 0.1], nil]], lock)
end
pages = { "all pipelines" => "/", "the latest runs" => "/runs", "failed" => "/runs?status=failed", "a text that no run has" => "/runs?text=nothing",
          "a pipeline" => "/pipelines/pipeline_3", "runs × steps" => "/pipelines/pipeline_3/grid" }
times = Measure.times(pages.transform_values { |path| -> { request.call(path) } })
Measure.heading "Pages of #{COUNT} runs"
pages.each_key { |name| Measure.row(name, times[name] * 1e3, "ms", most: 50.0) }
