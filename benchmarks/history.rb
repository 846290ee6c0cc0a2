# frozen_string_literal: true

# The time that a page of history takes in a store of 100,000 runs, by what it selects, and what the runs that are there add to a
# new one. Rows are written as runs write them.
require_relative "support/measure"
require "fileutils"
require "flowline"
require "tmpdir"

FOLDER = Dir.mktmpdir("flowline-benchmark")
at_exit { FileUtils.rm_rf(FOLDER) }
COUNT = Integer(ENV.fetch("RUNS", 100_000))
DAY = 86_400

store = Flowline::Store.at(FOLDER)
triggers = ->(n) { (n % 5000).zero? ? "job #{n}" : "cli" }
identities = ->(n) { (n % 10).zero? ? "the same" : n.to_s } # All runs of one pipeline have the same.
COUNT.times do |n|
  lock = store.lock
  shown = %({"date":"#{(Time.at(0) + ((n % 2000) * DAY)).utc.strftime("%F")}","limit":"10"})
  run = store.begin_run(Flowline::Store::Run.new(run_id: "run-#{n}", pipeline: "pipeline_#{n % 10}", identity: identities[n], pid: Process.pid,
                                                 host: Flowline::Store.host, started: n * 60.0, shown: shown, trigger: triggers[n],
                                                 params: "x" * 100, location: "import.rb:1", directory: "/srv"), lock)
  step = [run.id, 0, "fetch", "succeeded", nil, 1, 0.1, 0.1]
  ended = Flowline::Store::End.new(run: run.id, status: (n % 1000).zero? ? "failed" : "succeeded", duration: 1.0, clear: true, keep: COUNT)
  store.finish_run(ended, [[step, nil]], lock)
end

history = ->(**query) { -> { Flowline::History.runs(limit: 20, root: FOLDER, **query).each(&:to_h) } }
pages = {
  "the latest runs" => history.call,
  "a page in the middle" => history.call(before: "run-#{COUNT / 2}"),
  "of a pipeline" => history.call(pipeline: "pipeline_3"),
  "failed, of all pipelines" => history.call(status: :failed),
  "failed, of a pipeline" => history.call(status: :failed, pipeline: "pipeline_0"),
  "since a time, none there" => history.call(since: Time.at(COUNT * 60)),
  "with a param" => history.call(params: { date: "1970-01-02" }),
  "with a param that no run has" => history.call(params: { date: "2222-01-02" }),
  "crashed, none there" => history.call(status: :crashed),
  "started by jobs, a page of them" => history.call(trigger: :job),
  "started by what started none" => history.call(trigger: :schedule),
  "with a text, a page of them" => history.call(text: "run-99"),
  "with a text that no run has" => history.call(text: "HTTP 503"),
  "the statistics of a pipeline" => -> { Flowline::History.stats("pipeline_3", root: FOLDER).to_h },
  "all of one run" => -> { Flowline::History.run("run-#{COUNT / 2}", root: FOLDER).steps.map(&:to_h) },
  "the last run of each pipeline" => -> { Flowline::Store.at(FOLDER).last_runs }
}
times = Measure.times(pages)
Measure.heading "A page of 20 of #{COUNT} runs"
pages.each_key { |name| Measure.row(name, times[name] * 1e3, "ms", most: 50.0) }

number = 0
runs = lambda do |pipeline, identity|
  lambda do
    50.times do
      lock = store.lock
      run = store.begin_run(Flowline::Store::Run.new(run_id: "new-#{number += 1}", pipeline: pipeline, identity: identity, pid: Process.pid,
                                                     host: Flowline::Store.host, started: COUNT * 60.0), lock)
      store.finish_run(Flowline::Store::End.new(run: run.id, status: "succeeded", duration: 1.0, clear: true, keep: COUNT), [], lock)
    end
  end
end
times = Measure.times({ new: runs["new", "the same"], same: runs["pipeline_0", "the same"], other: runs["pipeline_1", "another"] }, per: 50)
Measure.heading "A new run, of a pipeline with #{COUNT / 10} runs"
{ same: "all with its params", other: "none with its params" }.each do |name, which|
  Measure.row(which, times[name] * 1e6, "µs", than: ["of a new pipeline", times[:new] * 1e6], ratio: times.ratio(name, :new), most_times: 1.5)
end
