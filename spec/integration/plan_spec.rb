# frozen_string_literal: true

require "flowline/cli"
require "json"
require "open3"

RSpec.describe "A plan" do
  before { Flowline::Cache.default.clear }

  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  # Every file of the store, with a digest of what it holds; who reads the log is marked in its index.
  def listing
    files = Dir.glob("#{root}/**/*", File::FNM_DOTMATCH).select { |file| File.file?(file) }
    files.to_h { |file| [file, file.end_with?("-shm") ? nil : [File.binread(file).hash, File.mtime(file)]] }
  end

  def flowline(*argv)
    Processes.flowline(*argv)
  end

  def actions(plan)
    plan.steps.to_h { |step| [step.name, step.action] }
  end

  # A pipeline that logs every call of its callables.
  def loud(log, broken)
    Flowline.define(name: "loud") do |p|
      log.each_key { |hook| hook.is_a?(Symbol) && p.public_send(hook) { |*| log[hook] += 1 } }
      p.step(:a) { (log["a"] += 1) && 1 }
      p.step(:keyed, cache: { key: -> { log["key"] += 1 } }) { (log["keyed"] += 1) && 2 }
      p.step(:held, depends_on: :a, when: ->(_) { log["when"] += 1 }, retries: 1, on_retry: ->(*) { log["retry"] += 1 }) { |a| (log["held"] += 1) && a }
      p.step(:last, depends_on: %i[held keyed]) { |*| broken.pop && raise("down") }
    end
  end

  it "calls no user code and changes no byte of the store", executor: :in_process do
    log = (Flowline::Events::Hooks::NAMES + %w[a key keyed when retry held]).to_h { |name| [name, 0] }
    pipeline = loud(log, [1])
    pipeline.run
    before = [log.dup, listing]
    plans = [{}, { resume: true }, { from: :held }, { only: "+last" }, { only: :last }, { from: :last, resume: true }, { reporter: :json, timeout: 0.001 }].map do |options|
      pipeline.run(dry_run: true, **options)
    end
    expect([log, listing]).to eq(before)
    expect(plans).to all(be_a(Flowline::Plan))
    expect(actions(plans[1])).to eq(a: :restore, keyed: :restore, held: :restore, last: :run)
    expect(plans[0][:keyed].to_h).to include(action: :unknown, reason: "depends on its cache key")
    expect(plans[0][:held].to_h).to include(action: :unknown, reason: "depends on when:")
    expect(pipeline.run(resume: true)).to be_success # Nothing was locked.
  end

  it "leaves no file when made in another process" do
    pipeline = loud(Hash.new(0), [1])
    pipeline.run
    before = listing.keys
    script = "require 'flowline'; Flowline.define(name: 'loud') { step(:a) { exit 9 } }.run(dry_run: true, resume: true)"
    _, status = Open3.capture2e(RbConfig.ruby, "-I#{File.expand_path("../../lib", __dir__)}", "-e", script)
    expect([status.exitstatus, listing.keys]).to eq([0, before])
  end

  it "creates no directory" do
    plan = Flowline.define(name: "fresh") { |p| p.step(:a) { 1 } }.run(dry_run: true, resume: true)
    expect([actions(plan), plan.expected, File.exist?(root)]).to eq([{ a: :run }, nil, false])
  end

  it "raises the errors that the run would raise" do
    pipeline = Flowline.define(name: "wrong") do |p|
      p.param :day, required: true
      p.step(:a) { 1 }
      p.step(:b, depends_on: :a) { |a| a }
    end
    expect { pipeline.run(dry_run: true) }.to raise_error(Flowline::ParamError, /day/)
    expect { pipeline.run(dry_run: true, day: 1, only: :bb) }.to raise_error(Flowline::ParamError, /there is no step bb/)
    expect { pipeline.run(dry_run: true, day: 1, only: :b) }.to raise_error(Flowline::CheckpointError, /output of a/)
  end

  it "shows cached steps, as far as they are known" do
    pipeline = Flowline.define(name: "cached") do |p|
      p.step(:a, cache: true) { 1 }
      p.step(:b, depends_on: :a, cache: true) { |a| a }
      p.step(:free) { 3 }
      p.step(:c, depends_on: :free, cache: true) { |free| free }
      p.step(:d, depends_on: %i[b c], cache: { skip: false }.slice(:ttl).merge(ttl: 60)) { |*all| all }
    end
    expect(actions(pipeline.run(dry_run: true))).to eq(a: :run, b: :unknown, free: :run, c: :unknown, d: :unknown)
    pipeline.run
    plan = pipeline.run(dry_run: true)
    expect(actions(plan)).to eq(a: :reuse, b: :reuse, free: :run, c: :unknown, d: :unknown)
    expect([plan[:b].reason, plan[:c].reason, plan[:d].reason]).to eq(["cached", "whether it is cached depends on free", "whether it is cached depends on c"])
    expect(actions(pipeline.run(dry_run: true, skip_cache: true)).values).not_to include(:reuse)
    expect(actions(pipeline.run(dry_run: true, cache: false)).values).to all(eq(:run))
  end

  describe "of durations" do
    let(:pipeline) do
      Flowline.define(name: "timed") do |p|
        p.step(:a) { 1 }
        p.step(:slow, depends_on: :a) { |_| sleep(0.05) }
        p.step(:quick, depends_on: :a) { |_| sleep(0.01) }
        p.step(:last, depends_on: %i[slow quick]) { |*| 1 }
        p.step(:apart) { 1 }
      end
    end

    it "expects recorded durations on the longest path and the executor's workers" do
      pipeline.run
      plan = pipeline.run(dry_run: true, executor: :sequential)
      expect(plan.critical_path).to eq(%i[a slow last])
      expect(plan.expected).to be_between(0.06, 5)
      expect(plan[:slow].expected).to be > plan[:quick].expected
      expect(plan.to_s.lines.last).to match(/\AExpected: \d\.\d\ds \(a → slow → last\)\n\z/)
    end

    it "says how many workers are worth having" do
      fan = Flowline.define(name: "fan") do |p|
        p.pool :db, 1
        p.step(:long) { sleep(1.2) }
        14.times { |n| p.step(:"short#{n}") { sleep(0.1) } }
        2.times { |n| p.step(:"db#{n}", uses: :db) { sleep(0.1) } }
      end
      fan.run(executor: :parallel, max_threads: 17)
      plan = fan.run(dry_run: true, executor: :parallel, max_threads: 8)
      expect(plan.to_h).to include(workers: 8, useful_workers: 3, complete: true, critical_path: [:long])
      expect([plan.expected, plan.shortest]).to all(be_between(1.2, 1.9))
      expect(plan.to_s.lines.last).to match(/\AExpected: 1\.\d\ds with 8 workers; 3 would be as fast \(long\)\n\z/)
      plan = fan.run(dry_run: true, executor: :sequential)
      expect([plan.workers, plan.useful_workers]).to eq([1, 3])
      expect(plan.to_s.lines.last).to match(/\AExpected: [23]\.\d\ds with 1 worker, 1\.\d\ds with 3 \(long\)\n\z/)
    end

    it "counts the workers that call the items of a step" do
      mapped = lambda do |**options|
        Flowline.define(name: "mapped") do |p|
          p.pool :api, 3
          p.step(:list) { [0.2] * 8 }
          p.step(:items, each: :list, **options) { |seconds| sleep(seconds) }
        end
      end
      mapped.call.run(executor: :parallel, max_threads: 4)
      useful = ->(workers, **options) { mapped.call(**options).run(dry_run: true, executor: :parallel, max_threads: workers).to_h.values_at(:workers, :useful_workers) }
      expect([useful.call(4), useful.call(6, concurrency: 2), useful.call(6, uses: :api)]).to eq([[4, 4], [6, 2], [6, 3]])
      expect(mapped.call.run(dry_run: true).to_h.values_at(:workers, :useful_workers)).to eq([1, 1])
    end

    it "expects a minimum when some steps have never run" do
      pipeline.run
      more = Flowline.define(name: "timed") { |p| p.include(pipeline) && p.step(:new, depends_on: :last) { |_| 1 } }
      expect(more.run(dry_run: true).to_s.lines.last).to match(/\AExpected: at least \d\.\d\ds \(a → slow → last → new\)\n\z/)
    end

    it "expects no time for steps that do not run" do
      pipeline.run(keep_checkpoint: true)
      plan = pipeline.run(dry_run: true, only: :quick)
      expect([plan[:slow].expected, plan[:a].expected, plan.critical_path]).to eq([nil, nil, [:quick]])
      expect(plan.expected).to eq(plan[:quick].expected)
    end

    it "expects nothing without history" do
      plan = pipeline.run(dry_run: true)
      expect([plan.expected, plan.to_s]).to match([nil, /\APlan: timed\n(  \w+ +run\n){5}\z/])
    end

    it "has no path for a pipeline without steps" do
      plan = Flowline.define(name: "none") { |p| p.param(:x) }.run(dry_run: true)
      expect([plan.steps, plan.critical_path, plan.expected, plan.to_s]).to eq([[], [], nil, "Plan: none\n"])
    end
  end

  it "has the same JSON from the command line and from Ruby" do
    Dir.mktmpdir do |folder|
      File.write("#{folder}/p.rb", 'Flowline.define(name: "p") { step(:a) { 1 }; step("b\n", depends_on: :a) { |_| raise "down" } }')
      flowline("run", "#{folder}/p.rb")
      run = Flowline::Store.at(root).runs("p", 1).first
      before = listing
      status, out, err = flowline("plan", "#{folder}/p.rb", "--resume", "--json")
      expect([status, err, listing]).to eq([0, "", before])
      expect(JSON.parse(out)).to match(
        "pipeline" => "p", "resumes" => run[:run_id], "resumed" => a_hash_including("run_id" => run[:run_id], "steps" => 1),
        "expected" => nil, "complete" => false, "workers" => nil, "shortest" => nil, "useful_workers" => nil, "critical_path" => ["b\n"], "warnings" => [],
        "steps" => [{ "name" => "a", "action" => "restore", "reason" => "recorded in run #{run[:run_id]}", "expected" => nil },
                    { "name" => "b\n", "action" => "run", "reason" => nil, "expected" => nil }]
      )
      expect(flowline("plan", "#{folder}/p.rb", "--resume")[1]).to match(/\APlan: p\nResuming run \S+ of .*: 1 step restored\n  a    restore             recorded in run \S+\n  b\\n  run\n\z/)
      expect(flowline("plan", "#{folder}/p.rb", "--from", "zz")).to match([2, "", /there is no step zz; there are a, b\\n/])
      expect(flowline("plan", "#{folder}/p.rb", "--only", "a", "--param", "x=1")).to match([2, "", /unknown param x/])
    end
  end
end
