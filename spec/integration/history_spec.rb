# frozen_string_literal: true

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
    step = lambda do |name, status, reason, attempts, error: nil|
      started = attempts.positive? ? be_a(Float) : nil
      { "name" => name, "status" => status, "reason" => reason, "attempts" => attempts, "started" => started, "duration" => started, "error" => error }
    end
    expect(mixed).to match(
      "run_id" => id, "pipeline" => "mixed", "resumed" => first.run_id, "status" => "failed", "pid" => Process.pid, "elsewhere" => false, "started_at" => time,
      "duration" => be_a(Float), "error" => /\Astep bad\\n failed after 2 attempts: RuntimeError: first line .*\nsecond line/,
      "steps" => [step["ok", "restored", nil, 0], step["off", "skipped", "condition", 0], step["after_off", "skipped", "upstream_skipped", 0],
                  step["bad\n", "failed", nil, 2, error: /first line/], step["never", "cancelled", "upstream_failed", 0],
                  step["maybe", "failed", nil, 1, error: /perhaps/]]
    )
    expect(json("history").map { |run| run.keys }).to all(eq(%w[run_id pipeline resumed status pid elsewhere started_at duration error]))
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
                                               /\A  step maybe failed: RuntimeError: perhaps \(.*\)\z/
                                             ])
    expect(flowline("history")[1]).to match(/\Amixed  +failed  .*\n\z/)
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
    end
    pid = fork { pipeline.run }
    reader.read(1)
    expect(json("status")).to match([include("status" => "running", "pid" => pid, "duration" => nil, "steps" => [include("name" => "a", "status" => "succeeded")])])
    expect(flowline("status")[1]).to match(/\Aalive +running +.*\n  ✓ a .*\n\z/)
    Process.kill(:KILL, pid)
    Process.wait(pid)
    expect(json("status")).to match([include("status" => "crashed", "duration" => nil)])
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

  it "takes the store from --root, and refuses other arguments" do
    mixed([1]).run
    elsewhere = "#{root}-elsewhere"
    expect(flowline("status", "--root", elsewhere)).to eq([1, "", "status: there is no store at #{elsewhere}; check --root\n"])
    expect(File.exist?(elsewhere)).to be(false)
    expect(flowline("history", "--limit", "many")).to match([2, "", /--limit many/])
    expect(flowline("history", "--limit", "0")).to match([2, "", /--limit/])
    expect(flowline("status", "import.rb")).to match([2, "", /status: takes no argument import\.rb/])
    %w[status history].each do |command|
      expect(flowline(command, "--help")).to match([0, /Example: flowline #{command} /, ""])
      expect(flowline(command, "--pipeline", "mxed")).to eq([1, "", "#{command}: no run of pipeline mxed in #{root}; did you mean mixed?\n"])
      expect(flowline(command, "--pipeline", "none")).to eq([1, "", "#{command}: no run of pipeline none in #{root}; there are mixed\n"])
    end
  end

  it "reports a damaged store in one line" do
    mixed([1]).run
    Dir.glob("#{root}/flowline.db*").each { |file| File.delete(file) }
    File.binwrite("#{root}/flowline.db", "no database, for sure" * 100)
    %w[status history].each { |command| expect(flowline(command)).to match([1, "", /\Aflowline: store .* is damaged .*FLOWLINE_STORE=off\n\z/]) }
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
