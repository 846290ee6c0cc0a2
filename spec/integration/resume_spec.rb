# frozen_string_literal: true

require "flowline/cli"
require "json"

RSpec.describe "Recording and resuming", executor: :in_process do
  let(:log) { [] }
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  # fetch -> transform -> load; load fails as long as @broken.
  def etl(name: "etl", version: nil, **settings)
    log = self.log
    state = @state ||= { broken: true }
    Flowline.define(name: name, **settings) do |p|
      p.param :date, type: :string, default: "today"
      p.param :token, secret: true
      p.step(:fetch) { |ctx| [log << :fetch, [ctx[:date], 2]].last }
      p.step(:transform, depends_on: :fetch, version: version) { |rows| [log << :transform, rows * 2].last }
      p.step(:load, depends_on: :transform) { |rows| [log << :load, state[:broken] ? raise("down") : rows.size].last }
    end
  end

  def mend
    @state[:broken] = false
    log.clear
  end

  # Runs the block in a child that is killed by it, or ends.
  def in_child
    pid = fork do
      yield
      exit!(0)
    end
    Process.wait2(pid).last
  end

  def store_bytes
    Dir.glob("#{root}/**/*").select { |file| File.file?(file) }.map { |file| File.binread(file) }.join
  end

  [nil, "etl"].each do |name|
    describe name ? "of a pipeline with a name" : "of a pipeline without a name" do
      let(:pipeline) { etl(name: name) }

      it "restores recorded steps and runs the others" do
        first = pipeline.run
        mend
        result = pipeline.run(resume: true)
        expect(log).to eq([:load])
        expect(outcomes(result)).to eq(fetch: :restored, transform: :restored, load: :succeeded)
        expect(result.outputs).to eq(fetch: ["today", 2], transform: ["today", 2, "today", 2], load: 4)
        expect(result.run_id).not_to eq(first.run_id)
      end

      it "starts from the beginning when there is nothing to resume" do
        mend if etl(name: name)
        expect(pipeline.run(resume: true)).to be_success
        log.clear
        expect(pipeline.run(resume: true)).to be_success
        expect(log).to eq(%i[fetch transform load])
      end

      it "resumes the run with the same params, input and context, and adopts them when none are given" do
        pipeline.run(date: "may")
        mend
        expect(pipeline.run(date: "june", resume: true)[:fetch].status).to eq(:succeeded)
        @state[:broken] = true
        pipeline.run(date: "may")
        mend
        result = pipeline.run(resume: true)
        expect([result[:fetch].status, result[:fetch].output]).to eq([:restored, ["may", 2]])
        @state[:broken] = true
        pipeline.run(context: { a: 1 })
        mend
        expect(pipeline.run(resume: true, date: "today", context: { a: 2 })[:fetch].status).to eq(:succeeded)
      end

      it "reruns a step and everything downstream with from:" do
        pipeline.run
        mend
        result = pipeline.run(from: :transform)
        expect(log).to eq(%i[transform load])
        expect(result[:fetch].status).to eq(:restored)
        expect { pipeline.run(from: :transform) }.to raise_error(Flowline::CheckpointError, /no recorded output of fetch.*keep_checkpoint/)
      end

      it "keeps outputs after a success with keep_checkpoint: true" do
        mend if pipeline
        pipeline.run(keep_checkpoint: true)
        log.clear
        expect(pipeline.run(from: :load)).to be_success
        expect(log).to eq([:load])
      end

      it "reports restored steps to hooks and in the result" do
        seen = []
        state = { broken: true }
        hooked = Flowline.define(name: name) do |p|
          p.on_step_skip { |step, reason| seen << [step.name, reason] }
          p.step(:a) { 1 }
          p.step(:b, depends_on: :a) { |_| raise "x" if state[:broken] }
        end
        hooked.run
        state[:broken] = false
        hooked.run(resume: true)
        expect(seen).to eq([%i[a restored]])
      end

      it "reruns a step that runs always when a step upstream of it reruns" do
        seen = []
        state = { broken: true }
        always = Flowline.define(name: name) do |p|
          p.step(:work) { state[:broken] ? raise("x") : 1 }
          p.step(:clean, depends_on: :work, run_if: :always) { seen << :clean }
        end
        always.run
        state[:broken] = false
        always.run(resume: true)
        expect(seen).to eq(%i[clean clean])
      end
    end
  end

  it "records an output before anything that depends on it starts" do
    seen = nil
    Flowline.define(name: "early") do
      step(:a) { { rows: 3 } }
      step(:b, depends_on: :a) { |_| seen = Flowline::Checkpoint.latest("early").output(:a) }
    end.run!
    expect(seen).to eq(rows: 3)
  end

  it "restores recorded steps after kill -9" do
    pipeline = Flowline.define(name: "killed") do |p|
      p.step(:a) { File.write("#{ENV.fetch("FLOWLINE_ROOT")}.count", "a", mode: "a") && nil }
      p.step(:b, depends_on: :a) { |_| File.exist?("#{ENV.fetch("FLOWLINE_ROOT")}.go") ? :done : Process.kill(:KILL, Process.pid) && sleep }
    end
    expect(in_child { pipeline.run }.termsig).to eq(9)
    expect(Flowline::Checkpoint.latest("killed")).to have_attributes(status: :crashed, step_names: [:a])
    File.write("#{root}.go", "")
    result = pipeline.run(resume: true)
    expect([result[:a].status, result[:a].output, result[:b].output]).to eq([:restored, nil, :done])
    expect(File.read("#{root}.count")).to eq("a")
    expect(Flowline::Store.at(root).runs("killed", 10).map { |run| run[:status] }).to eq(%w[succeeded crashed])
  end

  it "resumes after an interruption and after a timeout" do
    state = { broken: true }
    pipeline = Flowline.define(name: "stopped") do |p|
      p.step(:a) { 1 }
      p.step(:b, depends_on: :a) { |_| state[:broken] == true ? raise(Interrupt) : state[:broken] && sleep }
    end
    expect { pipeline.run }.to raise_error(Interrupt)
    state[:broken] = :slow
    expect(pipeline.run(resume: true, timeout: 0.05)).to have_attributes(status: :timed_out)
    state[:broken] = false
    expect(outcomes(pipeline.run(resume: true))).to eq(a: :restored, b: :succeeded)
  end

  it "is refused with the process id while the run is alive" do
    reader, writer = IO.pipe
    stop, go = IO.pipe
    pipeline = Flowline.define(name: "alive") do |p|
      p.step(:a) { writer.write("x") && stop.read(1) }
    end
    pid = fork do
      pipeline.run
      exit!(0)
    end
    reader.read(1)
    expect { pipeline.run(resume: true) }.to raise_error(Flowline::LockedError, /of alive is alive in process #{pid} since .*; wait/)
    expect { Flowline::Checkpoint.latest("alive")&.delete }.not_to raise_error
    expect(Flowline::Store.at(root).runs("alive", 5).map { |run| run[:status] }).to eq(["running"])
    go.write("x")
    Process.wait(pid)
    expect(Flowline::Store.at(root).runs("alive", 5).map { |run| run[:status] }).to eq(["succeeded"])
  end

  it "is refused to a second thread of the same process" do
    started = Queue.new
    go = Queue.new
    state = { broken: true }
    pipeline = Flowline.define(name: "threads") do |p|
      p.step(:a) { state[:broken] ? raise("x") : started.push(1) && go.pop }
    end
    pipeline.run
    state[:broken] = false
    thread = Thread.new { pipeline.run(resume: true) }
    started.pop
    expect { pipeline.run(resume: true) }.to raise_error(Flowline::LockedError, /process #{Process.pid}/)
    go.push(:done)
    expect(thread.value).to be_success
  end

  it "does not wait for an orphan of a killed run" do
    reader, writer = IO.pipe
    pipeline = Flowline.define(name: "orphan") { |p| p.step(:a) { writer.write("#{fork { sleep(30) }}\n") && sleep } }
    pid = fork { pipeline.run }
    orphan = Integer(reader.gets)
    Process.kill(:KILL, pid)
    Process.wait(pid)
    expect(Flowline::Store.at(root).runs("orphan", 1).first[:status]).to eq("crashed")
    expect(Flowline.define(name: "orphan") { |p| p.step(:a) { 1 } }.run(resume: true)).to be_success
  ensure
    Process.kill(:KILL, orphan) if orphan
  end

  it "reruns a changed step and everything downstream" do
    etl.run
    mend
    plan = etl(version: 2).run(dry_run: true, resume: true)
    expect(plan.steps.map(&:action)).to eq(%i[restore run run])
    expect(plan[:transform].reason).to match(/code.*version changed/)
    etl(version: 2).run(resume: true)
    expect(log).to eq(%i[transform load])
  end

  it "warns of an output that cannot be serialised, and reruns that step and its dependents" do
    state = { broken: true }
    pipeline = Flowline.define(name: "lambda") do |p|
      p.step(:a) { [log << :a, -> { 5 }].last }
      p.step(:b, depends_on: :a) { |callable| [log << :b, callable.call].last }
      p.step(:c, depends_on: %i[a b]) { |_a, b| state[:broken] ? raise("x") : b }
    end
    expect(pipeline.run.warnings).to contain_exactly(/\Athe output of step a is not recorded, since it cannot be serialised.*; the step runs again on resume/)
    state[:broken] = false
    log.clear
    result = pipeline.run(resume: true)
    expect([outcomes(result), log]).to eq([{ a: :succeeded, b: :succeeded, c: :succeeded }, %i[a b]])
  end

  it "reruns a step whose recorded output is damaged or of a missing class" do
    stub_const("Gone", Struct.new(:x))
    state = { broken: true }
    pipeline = Flowline.define(name: "damage") do |p|
      p.step(:large) { "x" * 300_000 }
      p.step(:gone) { Gone.new(1) }
      p.step(:last, depends_on: %i[large gone]) { |large, _| state[:broken] ? raise("x") : large.size }
    end
    pipeline.run
    blob = Dir.glob("#{root}/flowline.blobs/*").first
    File.binwrite(blob, File.binread(blob).tap { |bytes| bytes.setbyte(1000, bytes.getbyte(1000) ^ 1) })
    hide_const("Gone")
    plan = pipeline.run(dry_run: true, resume: true)
    expect([plan[:large].reason, plan[:gone].reason]).to match([/gone or damaged/, /cannot be read: (undefined class|uninitialized constant).*\z/])
    stub_const("Gone", Struct.new(:x))
    state[:broken] = false
    expect(outcomes(pipeline.run(resume: true))).to eq(large: :succeeded, gone: :restored, last: :succeeded)
    expect(Dir.glob("#{root}/flowline.blobs/*")).to be_empty
  end

  it "clears older checkpoints when a fresh run starts" do
    etl.run
    checkpoint = Flowline::Checkpoint.latest("etl")
    etl.run
    expect(checkpoint.step_names).to be_empty
    expect(Flowline::Checkpoint.list("etl").size).to eq(1)
  end

  it "records no outputs with checkpoint: false on a run or a step" do
    etl.run(checkpoint: false)
    expect(Flowline::Checkpoint.list).to be_empty
    Flowline.define(name: "some") do |p|
      p.step(:a, checkpoint: false) { 1 }
      p.step(:b) { 2 }
      p.step(:c, depends_on: %i[a b]) { raise "x" }
    end.run
    expect(Flowline::Checkpoint.latest("some").step_names).to eq([:b])
  end

  it "records no secrets" do
    pipeline = Flowline.define(name: "secret") do |p|
      p.param :token, secret: true
      p.step(:leak) { |token:| "bearer #{token}" }
      p.step(:bad, depends_on: :leak) { |header| raise "refused #{header}" }
    end
    result = pipeline.run(token: "hunter2-hunter2")
    expect(result.warnings).to contain_exactly(/leak is not recorded, since it holds a secret/)
    expect(store_bytes).not_to include("hunter2")
    expect(pipeline.run(resume: true, token: "another")[:leak].status).to eq(:succeeded)
  end

  it "syncs to disk with durability: :power" do
    result = Flowline.define(name: "power", durability: :power) { |p| p.step(:a) { 1 } }.run
    expect(result).to be_success
    expect { etl.run(durability: :much) }.to raise_error(Flowline::ParamError, /durability: must be :process or :power/)
  end

  it "shows nested and included steps one by one" do
    state = { broken: true }
    clean = Flowline.define do |p|
      p.step(:x) { |rows| [log << :x, rows].last }
      p.step(:y, depends_on: :x) { |rows| state[:broken] ? raise("x") : rows.sum }
    end
    pipeline = Flowline.define(name: "nested") do |p|
      p.step(:rows) { [1, 2] }
      p.step(:clean, clean, depends_on: :rows)
    end
    pipeline.run
    state[:broken] = false
    log.clear
    expect(outcomes(pipeline.run(resume: true))).to eq(rows: :restored, "clean.x": :restored, "clean.y": :succeeded)
    expect(log).to be_empty
  end

  describe "only:" do
    let(:pipeline) do
      Flowline.define(name: "only") do |p|
        p.step(:a) { 1 }
        p.step(:b, depends_on: :a, tags: :nightly) { |a| a + 1 }
        p.step(:c, depends_on: :b) { |b| b + 1 }
        p.step(:"d+", depends_on: :b) { |b| b + 10 }
      end
    end

    def ran(**options)
      pipeline.run!(**options).steps.select { |step| step.status == :succeeded }.map(&:name)
    end

    it "selects steps, steps upstream and steps downstream" do
      pipeline.run(keep_checkpoint: true)
      keep = { keep_checkpoint: true }
      expect(ran(only: "b", **keep)).to eq([:b])
      expect(ran(only: :b, **keep)).to eq([:b])
      expect(ran(only: "+b", **keep)).to eq(%i[a b])
      expect(ran(only: "b+", **keep)).to eq(%i[b c d+])
      expect(ran(only: "+c+", **keep)).to eq(%i[a b c])
      expect(ran(only: %w[a d+], **keep)).to eq(%i[a d+])
      expect(ran(only: "tag:nightly", **keep)).to eq([:b])
      result = pipeline.run(only: "c")
      expect(outcomes(result)).to eq(a: %i[skipped not_selected], b: :restored, c: :succeeded, "d+": %i[skipped not_selected])
      expect(result).to be_success
    end

    it "names missing outputs and unknown steps" do
      expect { pipeline.run(only: "c") }.to raise_error(Flowline::CheckpointError, /no recorded output of b of only/) { |e| expect(e.step_names).to eq([:b]) }
      expect { pipeline.run(only: "bb") }.to raise_error(Flowline::ParamError, /only: there is no step bb/)
      expect { pipeline.run(only: "tag:daily") }.to raise_error(Flowline::ParamError, /no step has the tag daily/)
      expect { pipeline.run(from: "z") }.to raise_error(Flowline::ParamError, /from: there is no step z/)
      expect(pipeline.run).to be_success # Nothing is left locked.
    end

    it "takes inputs from the cache" do
      cached = Flowline.define(name: "cached") do |p|
        p.step(:a, cache: true) { [log << :a, 1].last }
        p.step(:b, depends_on: :a) { |a| a + 1 }
      end
      cached.run
      expect(outcomes(cached.run(only: "b"))).to eq(a: :cached, b: :succeeded)
      expect(outcomes(cached.run(from: "b"))).to eq(a: :cached, b: :succeeded)
      expect(log).to eq([:a])
    end
  end

  describe "a dry run" do
    it "calls no step and writes nothing" do
      ran = []
      pipeline = Flowline.define(name: "dry") do |p|
        p.before_run { ran << :hook }
        p.step(:a, when: ->(_) { ran << :when }) { ran << :a }
        p.step(:b, depends_on: :a, cache: { key: ->(_) { ran << :key } }) { ran << :b }
      end
      plan = pipeline.run(dry_run: true)
      expect([ran, File.exist?(root)]).to eq([[], false])
      expect(plan.to_h).to include(pipeline: "dry", resumes: nil, expected: nil)
      expect(plan.steps.map { |step| [step.name, step.action] }).to eq([%i[a unknown], %i[b unknown]])
      expect(plan.to_s).to match(/Plan: dry\n  a  unknown .*depends on when:\n  b  unknown .*cached depends on a/)
    end

    it "expects the recorded time along the longest path" do
      slow = Flowline.define(name: "timed") do |p|
        p.step(:a) { 1 }
        p.step(:b, depends_on: :a) { |_| sleep(0.02) }
        p.step(:c, depends_on: :a) { 1 }
      end
      2.times { slow.run }
      plan = slow.run(dry_run: true)
      expect(plan[:b].expected).to be_between(0.02, 1)
      expect(plan.expected).to be >= 0.02
      expect(plan.critical_path).to eq(%i[a b])
      expect(plan.to_s).to match(/Expected: 0\.\d\ds \(a → b\)/)
    end

    it "shows cached steps as reused" do
      pipeline = Flowline.define do |p|
        p.step(:a, cache: true) { 1 }
        p.step(:b) { 2 }
      end
      pipeline.run
      expect(pipeline.run(dry_run: true).steps.map(&:action)).to eq(%i[reuse run])
    end
  end

  describe Flowline::Checkpoint do
    it "lists, shows, loads and deletes" do
      etl.run(date: "may")
      checkpoint = described_class.latest(:etl)
      expect(checkpoint).to have_attributes(pipeline_name: "etl", status: :failed, step_names: %i[fetch transform], started_at: be_within(60).of(Time.now))
      expect(checkpoint.output(:fetch)).to eq(["may", 2])
      expect(checkpoint.sizes[:fetch]).to eq(Marshal.dump(["may", 2]).bytesize)
      expect { checkpoint.output(:load) }.to raise_error(Flowline::CheckpointError, /load/)
      expect(checkpoint.inspect).to match(/Checkpoint etl .* failed 2 outputs/)
      checkpoint.delete
      expect(described_class.list).to be_empty
      mend
      expect(etl.run(resume: true, date: "may")[:fetch].status).to eq(:succeeded)
    end

    it "is nil when nothing was recorded" do
      expect([described_class.list, described_class.latest("x"), File.exist?(root)]).to eq([[], nil, false])
    end
  end

  it "keeps the history of the last hundred runs of a pipeline" do
    pipeline = Flowline.define(name: "often") { |p| p.step(:a) { 1 } }
    other = Flowline.define(name: "other") { |p| p.step(:a) { 1 } }
    other.run
    103.times { pipeline.run }
    expect(Flowline::Store.at(root).runs("often", 1000).size).to eq(100)
    expect(Flowline::Store.at(root).runs("other", 1000).size).to eq(1)
  end

  describe "a store" do
    it "names the ways out when it is damaged" do
      etl.run
      Flowline::Store.at(root)
      Dir.glob("#{root}/flowline.db*").each { |file| File.delete(file) }
      File.binwrite("#{root}/flowline.db", "no database at all" * 1000)
      expect { etl.run }.to raise_error(Flowline::StoreError, /is damaged.*move it away.*FLOWLINE_STORE=off/)
      Flowline.config.store = false
      expect(etl.run.failed_step).to eq(:load)
    ensure
      Flowline.config.store = true
    end

    it "is created again after it was removed" do
      etl.run
      FileUtils.rm_rf(root)
      etl.run
      expect(Flowline::Checkpoint.list.size).to eq(1)
    end

    it "raises before anything runs when it cannot be created" do
      File.write(root, "a file")
      expect { etl.run }.to raise_error(Flowline::StoreError, /#{root}/)
      expect(log).to be_empty
    end

    it "is private to its owner" do
      etl.run
      expect(File.stat(root).mode & 0o777).to eq(0o700)
    end

    it "acknowledges only recorded steps on a full disk" do
      skip "needs root to mount a small file system" unless Process.uid.zero? && system("mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", Dir.mktmpdir.tap { |d| @mount = d }, err: File::NULL)
      Flowline.config.root = "#{@mount}/store"
      pipeline = Flowline.define(name: "full") do |p|
        p.step(:small) { [log << :small, 1].last }
        p.step(:large, depends_on: :small) { |_| [log << :large, Random.new(1).bytes(2_000_000)].last }
        p.step(:after, depends_on: :large) { log << :after }
      end
      expect { pipeline.run }.to raise_error(Flowline::StoreError, /the disk is full/)
      expect(log).to eq(%i[small large])
      expect(Flowline::Checkpoint.latest("full").step_names).to eq([:small])
    ensure
      Flowline.config.root = nil
      system("umount", "-l", @mount) if @mount
    end
  end

  it "records runs of several processes in one store" do
    pids = Array.new(4) do |n|
      fork do
        pipeline = Flowline.define(name: "p#{n}") { |p| 5.times { |i| p.step(:"s#{i}") { i } } }
        10.times { pipeline.run! }
        exit!(0)
      rescue StandardError => e
        warn e.message
        exit!(1)
      end
    end
    expect(pids.map { |pid| Process.wait2(pid).last.exitstatus }).to all(eq(0))
    runs = Flowline::Store.at(root).runs(nil, 1000)
    expect(runs.map { |run| run[:status] }).to eq(["succeeded"] * 40)
    expect(runs.map { |run| Flowline::Store.at(root).steps(run[:id]).size }).to all(eq(5))
  end

  it "works on the command line: run, plan, status and history" do
    Dir.mktmpdir do |folder|
      File.write("#{folder}/etl.rb", <<~RUBY)
        Flowline.define(name: "etl") do |p|
          p.step(:fetch) { [1, 2] }
          p.step(:load, depends_on: :fetch) { |rows| File.exist?("#{folder}/go") ? rows.sum : raise("not yet") }
        end
      RUBY
      out = StringIO.new
      err = StringIO.new
      flowline = ->(*arguments) { [out, err].each { |io| io.truncate(0) && io.rewind } && Flowline::CLI.start(arguments, out: out, err: err) }
      expect(flowline.call("status")).to eq(1)
      expect(err.string).to include("there is no store at #{root}")
      expect(flowline.call("run", "#{folder}/etl.rb")).to eq(1)
      expect(err.string).to match(%r{Resume with: flowline resume #{folder}/etl.rb \S+ --root #{root}\n})
      expect(flowline.call("plan", "#{folder}/etl.rb", "--resume")).to eq(0)
      expect(out.string).to match(/fetch +restore.*\n +load +run/)
      expect(flowline.call("plan", "#{folder}/etl.rb", "--resume", "--json")).to eq(0)
      expect(JSON.parse(out.string)["steps"].map { |step| step["action"] }).to eq(%w[restore run])
      expect(flowline.call("status")).to eq(1)
      expect(out.string).to match(/\Aetl +failed .*\n  ✓ fetch +succeeded +\d\.\d\ds\n  ✗ load +failed +\d\.\d\ds\n  step load failed: RuntimeError: not yet/)
      expect(flowline.call("status", "--json")).to eq(1)
      expect(JSON.parse(out.string)).to match([include("pipeline" => "etl", "status" => "failed", "steps" => [include("name" => "fetch"), include("name" => "load")])])
      File.write("#{folder}/go", "")
      expect(flowline.call("run", "#{folder}/etl.rb", "--resume")).to eq(0)
      expect(err.string).to match(/✓ fetch +restored/)
      expect(flowline.call("run", "#{folder}/etl.rb", "--only", "load")).to eq(1)
      expect(err.string).to include("no recorded output of fetch")
      expect(flowline.call("run", "#{folder}/etl.rb", "--from", "fetch")).to eq(0)
      expect(flowline.call("history", "--limit", "2")).to eq(0)
      expect(out.string.lines.map { |line| line.split.first(2) }).to eq([%w[etl succeeded], %w[etl succeeded]])
      expect(flowline.call("history", "--pipeline", "none", "--json")).to eq(2)
      expect(JSON.parse(out.string)).to eq([])
      expect(flowline.call("status", "x")).to eq(2)
    end
  end
end
