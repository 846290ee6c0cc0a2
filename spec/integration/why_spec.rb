# frozen_string_literal: true

require "flowline/cli"
require "json"

RSpec.describe "Why a step" do
  before { Flowline::Cache.default.clear }

  def flowline(*argv)
    Processes.flowline(*argv)
  end

  # @param step [Symbol]
  # @return [Flowline::History::Why] of the latest run
  def why(step)
    Flowline::History.runs(limit: 1).first.step(step).why
  end

  def changes(step)
    why(step).changes.map(&:to_s)
  end

  let(:code) { ->(list, date:) { "#{date}: #{list.sum}" } }

  # @param code [Proc] of the cached step
  def import(code, version: nil, list: [1, 2, 3], name: "import", keep_checkpoint: false, **options)
    Flowline.define(name: name, keep_checkpoint: keep_checkpoint) do |p|
      p.param :date, default: "2024-01-01"
      p.param :other, default: 1
      p.step(:fetch) { list }
      p.step(:sum, depends_on: :fetch, cache: true, version: version, **options, &code)
    end
  end

  it "was called is explained by the first run, when a cache has nothing" do
    import(code).run
    expect(why(:sum)).to have_attributes(decision: :called, since: nil, changes: [], reason: "its cache had no entry for it, and history has no earlier run of the step")
    expect(why(:fetch)).to have_attributes(decision: :called, reason: "it is not cached, and the run resumed no other run: every run calls it")
  end

  it "was not called is explained by the run whose output the cache had" do
    import(code).run
    first = Flowline::History.runs.first.run_id
    import(code).run(other: 2)
    expect(why(:sum)).to have_attributes(decision: :cached, since: first, reason: "its cache had its output for the same code and inputs, as in run #{first}")
  end

  it "was called is explained by what changed since the last run of a cached step" do
    import(code).run
    first = Flowline::History.runs.first.run_id
    import(code).run(date: "2024-01-02")
    expect(why(:sum)).to have_attributes(decision: :called, since: first, reason: "its cache had no entry for it as it is now")
    expect(changes(:sum)).to eq(["the param date changed: 2024-01-01 → 2024-01-02"])
    import(code, list: [1, 2, 3, 4]).run(date: "2024-01-02")
    expect(changes(:sum)).to eq(["the output of fetch changed: Array (3) [1, 2, 3] → Array (4) [1, 2, 3, 4]"])
    import(code, list: [1, 2, 3, 4], version: 2).run(date: "2024-01-02")
    expect(changes(:sum)).to eq(["its version changed: none → 2"])
    import(->(list, date:) { "#{date}, #{list.sum}" }, list: [1, 2, 3, 4], version: 2).run(date: "2024-01-02")
    expect(changes(:sum)).to match([/\Aits code changed \(.*why_spec\.rb:\d+\)\z/])
  end

  it "was called is explained by a captured value" do
    capturing = ->(limit) { ->(list, date:) { "#{date} #{list.sum} #{limit}" } }
    import(capturing[1]).run
    import(capturing[2]).run
    expect(changes(:sum)).to eq(["the captured value limit changed"])
  end

  it "was called is explained by the cache, when nothing changed" do
    import(code).run
    Flowline::Cache.default.clear
    import(code).run
    expect(why(:sum)).to have_attributes(changes: [], reason: "its cache had no entry for it any more, although nothing changed: the entry has expired, or was removed")
    import(code).run(skip_cache: true)
    expect(why(:sum).reason).to eq("skip_cache: says not to look into its cache")
  end

  it "was called is explained by a secret param, without its value" do
    pipeline = Flowline.define(name: "secretive") do |p|
      p.param :token, secret: true
      p.step(:fetch, cache: true) { |token:| token.size }
    end
    pipeline.run(token: "sesame-open-1")
    pipeline.run(token: "sesame-open-2!")
    expect(changes(:fetch)).to eq(["the param token changed"])
    expect(flowline("why", "fetch")[1]).not_to include("sesame")
  end

  it "was restored or called again is explained by the run that was resumed" do
    define = lambda do |code, broken|
      Flowline.define(name: "resumed") do |p|
        p.step(:a) { 1 }
        p.step(:b, depends_on: :a, &code)
        p.step(:c, depends_on: :b) { |b| broken ? raise("down") : b }
        p.step(:d, depends_on: :c) { |c| c }
      end
    end
    first = define[->(a) { a + 1 }, true].run.run_id
    expect(why(:c)).to have_attributes(decision: :called)
    expect(why(:d)).to have_attributes(decision: :cancelled, reason: a_string_matching(/\Ac, which it depends on, failed: RuntimeError: down \(.*why_spec\.rb:\d+\)\z/))
    define[->(a) { a + 2 }, false].run(resume: true)
    expect(why(:a)).to have_attributes(decision: :restored, since: first, reason: "its output was recorded in run #{first}, and it was made of the same")
    expect(why(:b)).to have_attributes(decision: :called, since: first, reason: "its code, conditions, dependencies, captured values or version changed")
    expect(changes(:b)).to match([/\Aits code changed/])
    expect(why(:c)).to have_attributes(decision: :called, reason: "it had failed in run #{first}, which was resumed")
    expect(why(:d)).to have_attributes(decision: :called, reason: "it had been cancelled in run #{first}, which was resumed")
  end

  it "was called again is explained by a dependency that has another output in a resumed run" do
    define = lambda do |code, broken|
      Flowline.define(name: "made") do |p|
        p.step(:a, cache: true, &code)
        p.step(:b, depends_on: :a) { |a| a }
        p.step(:c, depends_on: :b) { |b| broken ? raise("down") : b }
      end
    end
    define[-> { 1 }, true].run
    define[-> { 2 }, false].run(resume: true)
    expect(why(:a).reason).to eq("its code, conditions, dependencies, captured values or version changed")
    expect(why(:b)).to have_attributes(reason: "it was made of another output of a", changes: [have_attributes(to_s: "the output of a changed: Integer 1 → Integer 2")])
  end

  it "was called again is explained by the options that asked for it" do
    pipeline = import(code, keep_checkpoint: true)
    pipeline.run
    pipeline.run(from: :fetch)
    expect(why(:fetch).reason).to eq("from: or only: of the run asked for it")
  end

  it "was skipped is explained by its condition, or by the step before it" do
    Flowline.define(name: "skips") do |p|
      p.step(:a, when: -> { false }) { 1 }
      p.step(:b, depends_on: :a) { |_| 1 }
      p.step(:c, depends_on: :b) { |_| 1 }
    end.run
    expect(why(:a)).to have_attributes(decision: :skipped, reason: a_string_matching(/\Aits condition when: \(.*why_spec\.rb:\d+\) was not met\z/))
    expect(why(:b).reason).to match(/\Aa, which it depends on, was skipped: its condition when: \(.*\) was not met\z/)
    expect(why(:c).reason).to match(/\Aa, upstream of it, was skipped: its condition/)
  end

  it "was cancelled is explained by the failure that stopped the run" do
    Flowline.define(name: "stops") do |p|
      p.step(:a) { raise "no\nroom" }
      p.step(:b) { 1 }
    end.run
    expect(why(:b)).to have_attributes(decision: :cancelled, reason: a_string_matching(/\Aa failed, and on_error: :stop lets nothing start after that: RuntimeError: no/))
    expect(why(:a)).to have_attributes(decision: :called)
  end

  it "was not selected is explained by the options of the run" do
    pipeline = import(code)
    pipeline.run(keep_checkpoint: true)
    pipeline.run(only: :sum)
    expect(why(:fetch)).to have_attributes(decision: :restored)
    Flowline.define(name: "few") { |p| %i[a b].each { |name| p.step(name) { 1 } } }.tap { |few| few.run(only: :a) }
    expect(why(:b)).to have_attributes(decision: :skipped, reason: "only: or from: of the run did not select it")
  end

  it "was called is explained with what is new, of a step that is not cached" do
    pipeline = ->(list) { import(code, list: list, name: "plain", cache: false) }
    pipeline[[1]].run
    first = Flowline::History.runs.first.run_id
    pipeline[[1, 2]].run(date: "2024-01-02", other: 5)
    expect(why(:sum)).to have_attributes(since: first, reason: "it is not cached, and the run resumed no other run: every run calls it")
    expect(changes(:sum)).to contain_exactly("the param date changed: 2024-01-01 → 2024-01-02", "the output of fetch changed: Array (1) [1] → Array (2) [1, 2]")
  end

  it "has not ended is explained by where it stands" do
    reader, writer = IO.pipe
    pipeline = Flowline.define(name: "alive") do |p|
      p.step(:b) { writer.write("x") && sleep }
      p.step(:c, depends_on: :b) { |_| 1 }
    end
    child = Processes::Child.new { pipeline.run }
    reader.read(1)
    expect(why(:b)).to have_attributes(decision: :running)
    expect(why(:c)).to have_attributes(decision: :pending, reason: "b, which it depends on, has not ended")
    child.kill
    run = Flowline::History.runs.first.run_id
    expect(why(:b).to_s).to eq("b was running in run #{run} of alive when its process ended\n  because everything that it depends on had ended")
    expect(why(:c).to_s).to eq("c had not started in run #{run} of alive when its process ended\n  because b, which it depends on, had not ended")
  ensure
    child&.kill
  end

  it "failed says how" do
    Flowline.define(name: "fails") { |p| p.step(:down, retries: 1) { raise "no luck\nat all" } }.run
    run = Flowline::History.runs.first.run_id
    expect(why(:down).to_s.lines.first).to match(/\Adown was called in run #{run} of fails, and failed after 2 attempts: RuntimeError: no luck \(.*\)\n\z/)
  end

  describe "on the command line" do
    it "is said in words" do
      import(code).run
      first = Flowline::History.runs.first.run_id
      last = import(code).run(date: "2024-01-02").run_id
      expect(flowline("why", "sum")).to eq([0, <<~TEXT, ""])
        sum was called in run #{last} of import
          because its cache had no entry for it as it is now
          since run #{first}
            the param date changed: 2024-01-01 → 2024-01-02
      TEXT
      expect(flowline("why", "sum", first)).to eq([0, <<~TEXT, ""])
        sum was called in run #{first} of import
          because its cache had no entry for it, and history has no earlier run of the step
      TEXT
    end

    it "is a JSON object with --json" do
      import(code).run
      first = Flowline::History.runs.first.run_id
      last = import(code).run(date: "2024-01-02").run_id
      status, out, err = flowline("why", "sum", "--json")
      expect([status, err]).to eq([0, ""])
      expect(JSON.parse(out)).to eq(
        "run_id" => last, "step" => "sum", "decision" => "called", "reason" => "its cache had no entry for it as it is now", "since" => first,
        "changes" => [{ "kind" => "param", "name" => "date", "before" => "2024-01-01", "after" => "2024-01-02" }]
      )
    end

    it "names the steps that are meant by a misspelt one" do
      import(code).run
      expect(flowline("why", "smu")).to match([1, "", /\Aflowline: why: there is no step smu in run .* of import; did you mean sum\?\n\z/])
      expect(flowline("why")).to match([2, "", /name a step, as in: flowline why /])
      expect(flowline("why", "sum", "20261124T015539-04c21255")).to match([1, "", /there is no run 20261124T015539-04c21255/])
    end

    it "is about the latest run of a pipeline that has the step" do
      import(code).run
      Flowline.define(name: "other") { |p| p.step(:only_here) { 1 } }.run
      expect(flowline("why", "sum")[1]).to match(/\Asum was called in run .* of import\n/)
      expect(flowline("why", "sum", "--pipeline", "other")).to match([1, "", /no step sum in run .* of other/])
    end
  end
end
