# frozen_string_literal: true

require "date"

require "flowline/cli"
require "json"

RSpec.describe "History" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }
  let(:time) { a_string_matching(/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)\z/) }
  let(:id) { a_string_matching(/\A\d{8}T\d{6}-\h{8}\z/) }

  def flowline(*argv)
    Processes.flowline(*argv)
  end

  def json(*argv)
    _, out, err = flowline(*argv, "--json")
    expect(err).to eq("")
    JSON.parse(out)
  end

  # Every way to end.
  def mixed(broken)
    Flowline.define(name: "mixed", on_error: :continue) do |p|
      p.step(:ok) { 1 }
      p.step(:off, when: -> { false }) { 1 }
      p.step(:after_off, depends_on: :off) { |_| 1 }
      p.step(:"bad\n", depends_on: :ok, retries: 1) { |_| broken.empty? ? 1 : raise("first line\nsecond line") }
      p.step(:never, depends_on: :"bad\n") { |_| 1 }
      p.step(:maybe, optional: true) { raise "perhaps" }
    end
  end

  it "shows every step of the last run of every pipeline as JSON" do
    broken = [1]
    first = mixed(broken).run
    expect(mixed(broken).run(resume: true)[:ok].status).to eq(:restored)
    Flowline.define(name: "another") { |p| p.step(:a) { 1 } }.run
    another, mixed = json("status")
    expect(another).to include("pipeline" => "another", "status" => "succeeded", "error" => nil, "resumed" => nil)
    step = lambda do |name, status, reason, attempts, error: nil, output: nil, retries: []|
      called = attempts.positive?
      { "name" => name, "status" => status, "reason" => reason, "attempts" => attempts, "started_at" => (time if called),
        "duration" => (be_a(Float) if called), "error" => error, "items" => nil, "output" => output, "retries" => retries, "failed_items" => [], "report" => {} }
    end
    expect(mixed).to match(
      "run_id" => id, "pipeline" => "mixed", "resumed" => first.run_id, "status" => "failed", "pid" => Process.pid, "elsewhere" => false, "started_at" => time,
      "params" => {}, "trigger" => "ruby", "job" => nil, "resumed_by" => nil, "resumable" => [], "live" => nil, "counts" => { "cancelled" => 1, "failed" => 2, "restored" => 1, "skipped" => 2 }, "items" => nil,
      "location" => /history_spec/, "directory" => Dir.pwd, "warnings" => [/optional step maybe failed/], "recorded" => ["ok"],
      "duration" => be_a(Float), "error" => /\Astep bad\\n failed after 2 attempts: RuntimeError: first line .*\nsecond line/,
      "steps" => [step["ok", "restored", nil, 0], step["off", "skipped", "condition", 0], step["after_off", "skipped", "upstream_skipped", 0],
                  step["bad\n", "failed", nil, 2, error: /first line/, retries: [include("number" => 1, "error" => /first line/)]], step["never", "cancelled", "upstream_failed", 0],
                  step["maybe", "failed", nil, 1, error: /perhaps/]]
    )
    expect(json("history").map { |run| run.keys }).to all(eq(%w[run_id pipeline status params trigger job resumed resumed_by pid elsewhere started_at duration error counts items location directory warnings]))
    expect(json("history").map { |run| run.values_at("pipeline", "status") }).to eq([%w[another succeeded], %w[mixed failed], %w[mixed failed]])
    expect(json("status", "--pipeline", "mixed").map { |run| run["run_id"] }).to eq([mixed["run_id"]])
  end

  it "shows one line a run and a step" do
    mixed([1]).run
    status, out, err = flowline("status")
    expect([status, err]).to eq([1, ""]) # The run failed.
    expect(out.lines.map(&:rstrip)).to match([
                                               /\Amixed {15}  failed     \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  +\d\.\d\ds  \d{8}T\d{6}-\h{8}\z/,
                                               /\A  ✓ ok {19} succeeded  \d\.\d\ds\z/, /\A  ⏸ off +skipped +condition\z/, /\A  ⏸ after_off +skipped +upstream_skipped\z/,
                                               /\A  ✗ bad\\n +failed +\d\.\d\ds\z/, /\A  ⏸ never +cancelled  upstream_failed\z/, /\A  ✗ maybe +failed +\d\.\d\ds\z/,
                                               /\A  step bad\\n failed after 2 attempts: RuntimeError: first line \(.*\)\z/, /\A  second line\z/,
                                               /\A  step maybe failed: RuntimeError: perhaps \(.*\)\z/, "  resume restores 1 step"
                                             ])
    expect(flowline("history")[1]).to match(/\Amixed  +failed  .*\n\z/)
  end

  it "names earlier runs that can be resumed although a later one with other params succeeded" do
    broken = ["2026-01-05"]
    pipeline = Flowline.define(name: "daily") do |p|
      p.param :date, type: :date
      p.step(:load) { |date:| broken.include?(date.to_s) ? raise("down") : 1 }
    end
    failed = pipeline.run(date: "2026-01-05")
    pipeline.run(date: "2026-01-06")
    expect(flowline("status")).to match([0, /\n  1 earlier run can be resumed: date: 2026-01-05 \(#{failed.run_id}\)\n\z/, ""])
    expect(json("status").first["resumable"]).to eq([failed.run_id])
    broken.clear
    pipeline.run(resume: failed.run_id)
    expect(flowline("status")[1]).not_to include("can be resumed")
    expect(Flowline::History.resumable("daily")).to eq([])
  end

  it "counts as restorable what a resumed run restores" do
    pipeline = Flowline.define(name: "counted", on_error: :continue) do |p|
      p.step(:a) { 1 }
      p.step(:off, when: -> { false }) { 1 }
      p.step(:unrecorded, checkpoint: false) { 1 }
      p.step(:after_unrecorded, depends_on: :unrecorded) { |_| 1 }
      p.step(:list) { [1, 2, 3] }
      p.step(:some, each: :list, on_item_error: :collect) { |n| n == 2 ? raise("bad") : n }
      p.step(:after_some, depends_on: :some) { |_| 1 }
      p.step(:perhaps, optional: true) { raise "no" }
      p.step(:after_perhaps, depends_on: :perhaps) { |_| 1 }
      p.step(:bad, depends_on: :a) { |_| raise "bad" }
      p.step(:clean, depends_on: %i[a bad], run_if: :always) { |_, _| 1 }
      p.step(:after_clean, depends_on: :clean) { |_| 1 }
      p.step(:always, depends_on: :a, run_if: :always) { |_| 1 }
    end
    pipeline.run
    plan = pipeline.run(resume: true, dry_run: true).resumed
    expect([plan.steps, plan.items]).to eq([3, 2])
    expect(flowline("status")[1]).to end_with("\n  resume restores 3 steps and 2 items\n")
    expect(Flowline::History.runs.first.recorded).to eq(%i[a list always])
  end

  it "has the numbers that steps have reported, and the labels of items that were retried" do
    tried = {}
    pipeline = Flowline.define(name: "numbers") do |p|
      p.step(:load) { |ctx| ctx.report(rows: 12_345, part: 0.5, odd: Float::NAN) || [1, 2] }
      p.step(:each, each: :load, retries: 1, label: ->(n) { "order #{n}" }) { |n, ctx| (ctx.report(seen: 1) || n) if tried[n] || raise((tried[n] = "busy")) }
    end
    %i[sequential parallel].each do |executor|
      tried.clear
      pipeline.run(executor: executor)
      run = Flowline::History.runs.first
      expect([run.step(:load).report, run.step(:each).report]).to eq([{ rows: 12_345, part: 0.5, odd: nil }, { seen: 2 }])
      expect(flowline("status")[1]).to match(/✓ load +succeeded +\d\.\d\ds +rows: 12,345, part: 0\.5, odd: \?\n/)
      expect(flowline("show")[1]).to include("attempt 1 of item 1 (order 1): RuntimeError: busy", "attempt 1 of item 2 (order 2): RuntimeError: busy")
    end
  end

  it "says how many failed items of a run are not listed" do
    Flowline.define(name: "bulk") do |p|
      p.step(:list) { (1..9).to_a }
      p.step(:each, each: :list, on_item_error: :continue) { |n| n > 1 ? raise("bad #{n}") : n }
    end.run
    expect(flowline("status")[1]).to match(/item 6 .*\n    … and 3 more$/)
  end

  it "counts failed items of a run that succeeded" do
    Flowline.define(name: "bulk") do |p|
      p.step(:list) { (1..9).to_a }
      p.step(:each, each: :list, on_item_error: :collect) { |n| n > 6 ? raise("bad #{n}") : n }
    end.run
    expect(flowline("history")[1]).to end_with("  3 items failed\n")
    expect(flowline("status")[1]).to include("\n  3 items failed\n")
  end

  it "shows the error of a cancelled run without advice for Ruby" do
    expect { Flowline.define(name: "left") { |p| p.step(:a) { exit(3) } }.run }.to raise_error(SystemExit)
    expect(flowline("status")[1]).to end_with("before every step had ended\n")
  end

  it "shows names on one line, control characters escaped" do
    Flowline.define(name: "two\nlines\e[31m") { |p| p.step(:a) { 1 } }.run
    expect(flowline("history")[1].lines.size).to eq(1)
    expect(flowline("status")[1]).to start_with("two\\nlines\\e[31m").and(satisfy { |out| out.lines.size == 2 })
  end

  it "shows errors without control characters" do
    Flowline.define(name: "red") { |p| p.step(:a) { raise "\e[31mred\0\n\n\rline" } }.run
    expect(flowline("status")[1]).to include("RuntimeError: \\e[31mred\\u0000 (").and(end_with("\n  \\rline\n"))
  end

  it "shows running and crashed runs at once" do
    reader, writer = IO.pipe
    pipeline = Flowline.define(name: "alive") do |p|
      p.step(:a) { 1 }
      p.step(:b, depends_on: :a) { |_| writer.write("x") && sleep }
      p.step(:c, depends_on: :b) { |_| 1 }
    end
    pid = fork { pipeline.run }
    reader.read(1)
    steps = [include("name" => "a", "status" => "succeeded"), include("name" => "b", "status" => "running"), include("name" => "c", "status" => "pending")]
    expect(json("status")).to match([include("status" => "running", "pid" => pid, "duration" => nil, "steps" => steps)])
    expect(flowline("status")[1]).to match(/\Aalive +running +.*\n  process .*\n  ✓ a .*\n  ▶ b +running\n  · c +pending\n\z/).and(include("\n  process #{pid}\n"))
    Process.kill(:KILL, pid)
    Process.wait(pid)
    expect(json("status")).to match([include("status" => "crashed", "duration" => nil, "recorded" => ["a"])])
    expect(flowline("status")).to match([1, /\Aalive +crashed +.*\n  process \d+ has ended without the end of the run\n  ✓ a .*\n  ⏸ b +was running\n  ⏸ c +not started\n  resume restores 1 step\n\z/, ""])
    expect(flowline("history")[1]).to match(/\Aalive +crashed /)
  end

  it "has the last 100 runs of a pipeline, and no outputs of older ones" do
    pipeline = Flowline.define(name: "often") do |p|
      p.param :n, type: :integer, default: 0
      p.step(:a) { |n:| "#{n}#{"x" * 300_000 if n.zero?}" }
      p.step(:b, depends_on: :a) { |_| raise "down" }
    end
    101.times { |n| pipeline.run(n: n) }
    expect(Dir.glob("#{root}/flowline.blobs/*")).to be_empty
    expect(json("history", "--limit", "1000").size).to eq(100)
    expect(json("history").size).to eq(20)
    expect(Flowline::Checkpoint.list("often").size).to eq(100)
  end

  it "counts only what a resumed run restores: a clean-up after a step that failed is called again" do
    pipeline = Flowline.define(name: "cleans") do |p|
      p.step(:a) { 1 }
      p.step(:b, depends_on: :a) { |_| raise "down" }
      p.step(:clean, depends_on: :b, run_if: :always) { |_| 1 }
      p.step(:swept, depends_on: :clean, run_if: :always) { |_| 1 }
    end
    pipeline.run
    expect(Flowline::History.runs.first.recorded).to eq([:a])
    expect(flowline("status")[1]).to include("  resume restores 1 step\n")
    expect(pipeline.run(resume: true, dry_run: true).steps.select { |step| step.action == :restore }.map(&:name)).to eq([:a])
  end

  it "takes the store from --root, and refuses other arguments" do
    mixed([1]).run
    elsewhere = "#{root}-elsewhere"
    expect(flowline("status", "--root", elsewhere)).to eq([1, "", "flowline: status: there is no store at #{elsewhere}; check --root\n"])
    expect(File.exist?(elsewhere)).to be(false)
    expect(flowline("history", "--limit", "many")).to match([2, "", /--limit many/])
    expect(flowline("history", "--limit", "9" * 30).first).to eq(0)
    expect(flowline("stats", "--last", "9" * 30).first).to eq(0)
    expect(flowline("history", "--before", "nope")).to match([1, "", /history: there is no run nope in/])
    expect(flowline("history", "--limit", "0")).to match([2, "", /--limit/])
    expect(flowline("status", __FILE__)).to match([2, "", /status: takes the name of a pipeline, not the file /])
    %w[status history].each do |command|
      expect(flowline(command, "--help")).to match([0, /Example: flowline #{command} /, ""])
      expect(flowline(command, "mixed")[1]).to start_with("mixed ")
      expect(flowline(command, "mixed", "other")).to match([2, "", /one pipeline at a time; other is one too many/])
      expect(flowline(command, "mxed")).to eq(flowline(command, "--pipeline", "mxed"))
      expect(flowline(command, "--pipeline", "mxed")).to eq([2, "", "flowline: #{command}: no run of pipeline mxed in #{root}; did you mean mixed?\n"])
      expect(flowline(command, "--pipeline", "none")).to eq([2, "", "flowline: #{command}: no run of pipeline none in #{root}; there are mixed\n"])
    end
  end

  it "reports a damaged store in one line" do
    mixed([1]).run
    Dir.glob("#{root}/flowline.db*").each { |file| File.delete(file) }
    File.binwrite("#{root}/flowline.db", "no database, for sure" * 100)
    %w[status history].each { |command| expect(flowline(command)).to match([1, "", /\Aflowline: store .* is damaged .*FLOWLINE_STORE=off\n\z/]) }
  end

  describe "of a pipeline with params and items" do
    let(:broken) { [1] }
    let(:pipeline) do
      Flowline.define(name: "import") do |p|
        p.param :date, type: :date, default: "2024-01-31"
        p.step(:list) { [1, 2, 3, 4] }
        p.step(:each, each: :list, on_item_error: :continue, label: ->(n) { "page-#{n}" }) { |n| n == 3 && broken.any? ? raise("bad") : n }
        p.step(:load, depends_on: :each, &:size)
      end
    end
    let!(:runs) { [pipeline.run, (broken.clear && pipeline.run(resume: true)), pipeline.run(date: "2024-02-01")].map(&:run_id) }

    def ids(**query) = Flowline::History.runs(**query).map(&:run_id)

    it "has values of runs and steps" do
      run = Flowline::History.run(runs.first)
      expect(run.to_h).to include(status: :failed, params: { date: "2024-01-31" }, trigger: :ruby, resumed: nil, resumed_by: runs[1],
                                  counts: { cancelled: 1, failed: 1, succeeded: 1 }, items: { done: 3, restored: 0, failed: 1 })
      expect(run.step(:each).to_h).to include(items: { total: 4, done: 3, restored: 0, failed: 1 }, failed_items: [{ item: 3, label: "page-3", attempts: 1, error: "RuntimeError: bad" }])
      expect(run.step(:list).output).to eq(kind: "Array", size: 4, text: "[1, 2, 3, 4]")
      expect(run.graph[:steps].map { |step| step.slice(:name, :after, :each) }).to eq([{ name: "list" }, { name: "each", after: [0], each: "list" }, { name: "load", after: [1] }])
      again = Flowline::History.run(runs[1])
      expect([again.resumed, again.items.to_h.slice(:done, :restored), again.recorded]).to eq([runs[0], { done: 1, restored: 3 }, []])
      expect(Flowline::History.run("none")).to be_nil
      expect(run.inspect).to eq("#<Flowline::History::Run import #{runs.first} failed>")
    end

    it "selects runs, page by page" do
      expect([ids, ids(limit: 2), ids(before: runs[1])]).to eq([runs.reverse, runs.last(2).reverse, [runs[0]]])
      expect([ids(status: :failed), ids(pipeline: :import, status: "succeeded"), ids(pipeline: "other")]).to eq([[runs[0]], runs.last(2).reverse, []])
      expect([ids(params: { date: Date.new(2024, 1, 31) }), ids(params: { date: "2024-02-01" }), ids(params: { other: 1 })]).to eq([runs.first(2).reverse, [runs[2]], []])
      expect([ids(since: Time.now - 60).size, ids(since: Time.now + 60)]).to eq([3, []])
      expect { ids(status: :faild) }.to raise_error(ArgumentError, /no faild; did you mean failed\?/)
      expect { ids(since: "2030-01-01") }.to raise_error(ArgumentError, /since: must be a Time or a Date, not "2030-01-01"/)
      expect([ids(since: Date.today - 2).size, ids(since: Date.today + 2)]).to eq([runs.size, []])
      expect { ids(limit: 0) }.to raise_error(ArgumentError, /limit: must be a whole number from 1 up/)
      expect(flowline("history", "--param", "date=2024-02-01", "--status", "succeeded", "--since", "2024-01-01")[1]).to include(runs[2]).and(satisfy { |out| out.lines.size == 1 })
      expect(flowline("history", "--trigger", "ruby", "--text", "2024-02-01")[1]).to include(runs[2]).and(satisfy { |out| out.lines.size == 1 })
      expect(flowline("history", "--trigger", "web")[1]).to eq("")
      expect(Flowline::History.runs(status: %i[failed crashed], text: "BAD").map(&:run_id)).to eq([runs[0]])
      expect { Flowline::History.runs(status: %i[failed crashd]) }.to raise_error(ArgumentError, /no crashd; did you mean crashed/)
      expect { Flowline::History.runs(text: "x" * 10_001) }.to raise_error(ArgumentError, /text: has 10001 bytes, and may have 10000/)
      expect(flowline("history", "--since", "soon")).to match([2, "", /--since soon is no time/])
      expect(flowline("history", "--status", "faild")).to match([2, "", /--status is one of .*did you mean failed/])
    end

    it "shows what a run resumed, and what resumed it" do
      expect(flowline("history")[1].lines[1]).to end_with("  date: 2024-01-31, resumed #{runs[0]}\n")
      expect(flowline("history")[1].lines[2]).to end_with("  date: 2024-01-31, resumed by #{runs[1]}\n")
    end

    it "shows all of a run" do
      status, out, err = flowline("show", runs.first)
      expect([status, err]).to eq([0, ""])
      expect(out).to include("  params: date: 2024-01-31\n", "  started by: ruby\n", "  resumed by: #{runs[1]}\n", "      item 3 (page-3): RuntimeError: bad\n",
                             "✓ list                  succeeded  0.00s   Array (4) [1, 2, 3, 4]\n", "3 of 4 done, 1 failed")
      expect(json("show", runs.first)).to include("run_id" => runs.first, "graph" => include("version" => 1), "steps" => [include("name" => "list"), include("name" => "each"), include("name" => "load")])
      expect(flowline("show", "#{runs.first[0..-2]}x")).to match([1, "", /there is no run .* did you mean #{runs.first}/])
    end

    it "has the times of the latest runs" do
      stats = Flowline::History.stats(:import)
      expect([stats.statuses, stats.runs.runs, stats.steps.map { |times| [times.name, times.runs] }]).to eq([{ succeeded: 2, failed: 1 }, 1, [[:list, 2], [:each, 2], [:load, 2]]])
      expect(stats.durations.size).to eq(1) # The resumed run did not call every step.
      expect(flowline("stats", "import")[1].lines.map { |line| line[/\A {2}(\w+) +\d/, 1] }.compact).to eq(%w[run list each load])
      expect(json("stats").first).to include("pipeline" => "import", "statuses" => { "succeeded" => 2, "failed" => 1 })
      expect(flowline("stats", "imprt")).to eq([2, "", "flowline: stats: no run of pipeline imprt in #{root}; did you mean import?\n"])
    end
  end

  it "computes median, 95th percentile and trend" do
    times = Flowline::History::Stats::Times.of(:a, [4.0, 4.0, 2.0, 2.0, 1.0])
    expect(times.to_h).to eq(name: :a, runs: 5, median: 2.0, p95: 4.0, last: 4.0, trend: 2.667)
    expect(Flowline::History::Stats::Times.of(nil, []).to_h.values).to eq([nil, 0, nil, nil, nil, nil])
  end

  it "counts the recorded items of a crashed run" do
    reader, writer = IO.pipe
    pipeline = Flowline.define(name: "items") do |p|
      p.step(:list) { [1, 2, 3] }
      p.step(:each, each: :list) { |n| n == 3 ? writer.write("x") && sleep : n }
    end
    pid = fork { pipeline.run }
    reader.read(1)
    Process.kill(:KILL, pid)
    Process.wait(pid)
    expect(flowline("status")[1]).to match(/  ⏸ each +was running +2 items recorded\n  resume restores 1 step and 2 items\n\z/)
    expect(Flowline::History.runs.first.step(:each).items.recorded).to eq(2)
  end

  it "never loads data of the user" do
    pipeline = Flowline.define(name: "loads") do |p|
      p.param :object, default: nil
      p.step(:a) { |object:| object }
      p.step(:b, depends_on: :a) { |_| raise "down" }
    end
    stub_const("Trap", Class.new { def self._load(_) = raise("loaded") and def _dump(_) = "x" })
    pipeline.run(object: Trap.new)
    %w[status history stats state].each { |command| expect(flowline(command)[2]).not_to include("loaded") }
    expect(Flowline::History.runs.first.tap(&:steps).params).to eq(object: "Trap")
  end

  it "shows an interrupted run, one that timed out and one that a hook refused" do
    state = {}
    pipeline = Flowline.define(name: "ends") do |p|
      p.before_run { state[:refuse] && raise("no") }
      p.step(:a) { state[:interrupt] ? raise(Interrupt) : sleep }
    end
    pipeline.run(timeout: 0.02)
    state[:interrupt] = true
    expect { pipeline.run }.to raise_error(Interrupt)
    state[:refuse] = true
    pipeline.run
    expect(json("history").map { |run| run.values_at("status", "error") }).to match(
      [["failed", /hook before_run failed: RuntimeError: no/], ["cancelled", /Interrupt/], ["timed_out", /time limit of 0\.02 s/]]
    )
  end
end
