# frozen_string_literal: true

# How long pages of the web page take, and how many bytes they are: of a run with 5,000 steps, in a store with 100,000 runs, and while 50 viewers
# follow a run. Prints one line for each.
#
#   ruby -Ilib benchmarks/web.rb [RUNS] [STEPS]
require "flowline"
require "json"
require "tmpdir"
require "zlib"

module WebBenchmark
  RUNS = Integer(ARGV.fetch(0, 100_000))
  STEPS = Integer(ARGV.fetch(1, 5_000))
  TIMES = 9

  module_function

  # Milliseconds of a call: the median of some.
  def median(times = TIMES)
    Array.new(times) do
      start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      yield
      (Process.clock_gettime(Process::CLOCK_MONOTONIC) - start) * 1e3
    end.sort[times / 2]
  end

  def request(web, path, **env)
    web.call("REQUEST_METHOD" => "GET", "SCRIPT_NAME" => "", "PATH_INFO" => path[/[^?]*/], "QUERY_STRING" => path[/\?(.*)/, 1].to_s,
             "HTTP_HOST" => "localhost", "HTTP_ACCEPT_ENCODING" => "gzip", **env)
  end

  def measure(web, name, path)
    bytes = request(web, path)[2].sum(&:bytesize)
    puts format("%-34<name>s %8.1<time>f ms %9<bytes>d bytes", name: name, time: median { request(web, path) }, bytes: bytes)
  end

  def call
    Dir.mktmpdir do |root|
      Flowline.config.root = root
      web = Flowline::Web.new(authorize: ->(_) { :act }, root: root)
      small = Flowline.define(name: "small", keep_runs: RUNS + 100) { step(:fetch) { 1 } }
      wide = Flowline.define(name: "wide") do
        STEPS.times { |at| step(:"load_table_#{at}", depends_on: at < 50 ? [] : :"load_table_#{at - 50}") { 1 } }
      end
      assets = Flowline::Web::Assets
      names = %w[flowline.css flowline.js report.js]
      names.each { |name| measure(web, name, "/assets/#{assets.fetch(name).file}") }
      id = wide.run.run_id
      measure(web, "run of #{STEPS} steps", "/runs/#{id}")
      start = small.run.run_id
      measure(web, "run of 1 step", "/runs/#{start}")
      snapshot(root, id)
      history(web, small)
    end
  end

  def snapshot(root, id)
    records = Flowline::Web::Records.new(root)
    time = median { Flowline::Web::Snapshot.new(records.run(id), "/runs/#{id}").then { |snapshot| [snapshot.parts, snapshot.rows, snapshot.digest] } }
    puts format("%-34<name>s %8.1<time>f ms", name: "snapshot of #{STEPS} steps", time: time)
  end

  def history(web, small)
    RUNS.times { small.run }
    ["/", "/runs", "/runs?text=nothing"].each { |path| measure(web, "#{path} of #{RUNS} runs", path) }
  end
end

WebBenchmark.call if $PROGRAM_NAME == __FILE__
