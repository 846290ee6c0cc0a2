# frozen_string_literal: true

RSpec.describe "A run that goes on, seen from other processes" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  # A run in another process, once it has shown what the block waits for.
  def going_on(executor: :parallel, **options, &definition)
    run = child do
      pipeline = Flowline.define(name: "slow", &definition)
      result = pipeline.run(executor: executor, **options)
      [result.status, result.warnings, result.steps.to_h { |step| [step.name, step.status] }]
    end
    eventually { history&.live && (yield_live(history.live) || nil) }
    run
  end

  def yield_live(live)
    live.steps.any?(&:running?)
  end

  # Until the example lets it go on.
  let(:gate) { File.join(Dir.mktmpdir, "open").tap { |path| gates << path } }
  let(:gates) { [] }

  after { gates.each { |path| FileUtils.rm_rf(File.dirname(path)) } }

  def open_gate
    File.write(gate, "")
  end

  def history
    Flowline::History.runs(limit: 1).first
  end

  describe "while it goes on" do
    it "shows which steps run and wait, for what, and how far items are" do
      run = going_on(max_threads: 2) do
        pool :db, 1
        step(:rows) { [1, 2] }
        step(:map, each: :rows) { |row| row == 1 ? row : sleep }
        step(:next, depends_on: :map) { |_| 1 }
        step(:holder, uses: :db) { sleep }
        step(:held, uses: :db) { 1 }
        step(:last) { 1 }
      end
      live = eventually { history.live.then { |found| found if found.ended == 1 && found.step(:map)&.items&.done == 1 } }
      expect(live).to have_attributes(total: 6, ended: 1, failed: 0, open: 4, stopped?: false)
      expect(live.steps.select(&:running?).map(&:name)).to eq(%i[map holder])
      expect(live.step(:map)).to have_attributes(attempt: 1, reason: nil, since: be_within(30).of(Time.now), items: have_attributes(total: 2, done: 1))
      expect([live.step(:last), live.step(:held)]).to match([have_attributes(reason: :worker, wait: "worker"), have_attributes(reason: :pool, wait: "pool db")])
      expect(live.updated_at).to be_within(30).of(Time.now)
      _, out, = flowline("status")
      expect(out).to match(/slow +running.*✓ rows.*▶ map +running +\d+\.\ds +1 of 2 done.*⏸ last +waiting +\d+\.\ds +waits for worker/m)
      run.kill
    end

    it "is gone when the run ends, and stays if its process is killed" do
      run = going_on { step(:long) { sleep } }
      run.kill
      expect(history.status).to eq(:crashed)
      expect(history.live.step(:long)).to be_running
      Flowline.define(name: "slow") { step(:long) { 1 } }.run
      expect(history).to have_attributes(status: :succeeded, live: nil)
    end

    it "shows nothing of runs that end in the first half second, and leaves no thread" do
      ticks = 0
      allow_any_instance_of(Flowline::Recording::Broadcast).to receive(:tick) { ticks += 1 }
      pipeline = Flowline.define(name: "short") { step(:a) { 1 } }
      5.times { pipeline.run }
      eventually { Thread.list.none? { |thread| thread.name == "flowline ticker" } }
      expect(ticks).to eq(0)
    end

    it "has no thread in a forked child, until that has runs of its own" do
      names = elsewhere do
        Flowline.define(name: "parent") do
          step(:a) do
            reader, writer = IO.pipe
            fork do
              before = Thread.list.map(&:name)
              Flowline.define(name: "child") { step(:b) { writer.write(Marshal.dump([before, Thread.list.map(&:name)])) } }.run
              exit!(0)
            end
            writer.close
            Marshal.load(reader.read)
          end
        end.run(executor: :sequential)[:a].output
      end
      expect(names.first).not_to include("flowline ticker")
      expect(names.last).to include("flowline ticker")
    end
  end

  describe "a request to cancel it" do
    let(:steps) do
      path = gate
      proc do
        step(:work) { sleep(0.01) until File.exist?(path) }
        step(:never, depends_on: :work) { |_| 1 }
        step(:clean, depends_on: :never, run_if: :always) { |_| 1 }
      end
    end

    it "lets running steps finish, and clean-ups run" do
      run = going_on(&steps)
      code, out, = flowline("cancel")
      expect([code, out]).to match([0, /\Acancelling run \S+ of slow\n  finishes first: work\n  runs nevertheless: clean\n  to follow it: flowline watch/])
      eventually { history.live.stopped? }
      open_gate
      status, warnings, ends = run.value
      expect([status, ends]).to eq([:cancelled, { work: :succeeded, never: :cancelled, clean: :succeeded }])
      expect(warnings).to contain_exactly(match(/\Acancelled by .+@.+\z/))
      expect(history.warnings).to eq(warnings)
    end

    it "shows as pending the steps that do not start any more" do
      run = going_on do
        pool :db, 1
        step(:holder, uses: :db) { sleep }
        step(:held, uses: :db) { 1 }
      end
      flowline("cancel")
      eventually { history.live.stopped? }
      expect(history.steps.to_h { |step| [step.name, step.status] }).to eq(holder: :running, held: :pending)
      run.kill
    end

    it "stops running steps with --now" do
      run = going_on do
        step(:work) { sleep }
        step(:clean, depends_on: :work, run_if: :always) { |_| 1 }
      end
      _, out, = flowline("cancel", history.run_id, "--now", "--json")
      expect(JSON.parse(out)).to eq("run_id" => history.run_id, "now" => true, "running" => ["work"], "clean_ups" => ["clean"])
      expect(run.value.values_at(0, 2)).to eq([:cancelled, { work: :cancelled, clean: :succeeded }])
    end

    it "names the runs to choose from, and says if there is none" do
      expect(flowline("cancel")).to match([1, "", /cancel: there is no store at #{root}; --root or FLOWLINE_ROOT names another one/])
      Flowline.define(name: "done") { step(:a) { 1 } }.run
      expect(flowline("cancel")).to match([1, "", /cancel: no run is going on in #{root}/])
      expect(flowline("cancel", "done")).to match([1, "", /cancel: no run of done is going on in #{root}/])
      expect(flowline("cancel", history.run_id)).to match([1, "", /run #{history.run_id} of done is not running: succeeded/])
      expect(flowline("cancel", "20200101T000000-00000000").last).to match(/there is no run 20200101T000000-00000000/)
      runs = Array.new(2) { going_on { step(:long) { sleep } } }
      eventually { Flowline::History.runs(status: :running).size == 2 }
      expect(flowline("cancel")).to match([1, "", /2 runs are going on; name one, as in flowline cancel \S+\n(  slow +running .*\n){2}\z/])
      expect(flowline("status")[1]).to match(/^  1 other run is going on: \(\h+T\h+-\h+\)$/)
      runs.each(&:kill)
    end

    it "does nothing to a run that has ended" do
      result = Flowline.define(name: "done") { step(:a) { 1 } }.run
      expect(Flowline::Run.cancel(result.run_id)).to be(false)
      expect(Flowline::Run.cancel("20200101T000000-00000000")).to be(false)
    end
  end

  describe "flowline watch" do
    it "prints steps as they end, and exits as the run did" do
      path = gate
      run = going_on do
        step(:first) { 1 }
        step(:work, depends_on: :first) { |_| sleep(0.01) until File.exist?(path) }
        step(:bad, depends_on: :work) { |_| raise "no luck" }
      end
      run_id = history.run_id
      watcher = child { Processes.flowline("watch", run_id) }
      open_gate
      code, out, = watcher.value
      expect(code).to eq(1)
      expect(out).to match(/\Aslow +(running|failed) .*✓ first.*✓ work .*✗ bad +failed.*no luck.*slow +failed/m)
      run.value
    end

    it "follows the only run that goes on, and a run that has ended to its end" do
      Flowline.define(name: "done") { step(:a) { 1 } }.run
      expect(flowline("watch")).to match([1, "", /watch: no run is going on/])
      run = going_on { step(:work) { sleep } }
      watcher = child { Processes.flowline("watch") }
      expect(Flowline::Run.cancel(history.run_id, now: true)).to be(true)
      run.value
      expect(watcher.value.first).to eq(1)
      expect(flowline("watch", history.run_id)).to match([1, /work +cancelled/, ""])
    end

    it "writes a JSON object a line" do
      path = gate
      run = going_on { step(:work) { sleep(0.01) until File.exist?(path) } }
      run_id = history.run_id
      watcher = child { Processes.flowline("watch", run_id, "--json") }
      open_gate
      code, out, = watcher.value
      lines = out.lines.map { |line| JSON.parse(line) }
      expect([code, lines.first.values_at("name", "status"), lines.last["status"]]).to eq([0, %w[work succeeded], "succeeded"])
      run.value
    end
  end

  describe "a store that fails meanwhile" do
    let(:store) { Class.new { attr_accessor :answers, :shown }.new.tap { |fake| fake.answers, fake.shown = [], [] } }
    let(:warnings) { [] }
    let(:asked) { [] }
    let(:standing) { Class.new { attr_accessor :to_json }.new.tap { |fake| fake.to_json = "1" } }

    def broadcast
      store.define_singleton_method(:show) { |_, _, body, _, **| (shown << body) && (answers.shift&.call || []) }
      store.define_singleton_method(:requests) { |_, **| answers.shift&.call || [] }
      coordinator = Object.new
      coordinator.define_singleton_method(:cancel) { |by| @asked << [:cancel, by] }
      coordinator.define_singleton_method(:cancel_now) { |by| @asked << [:cancel_now, by] }
      coordinator.instance_variable_set(:@asked, asked)
      lines = Flowline::Recording::Lines.new(Flowline::Context.new("p", {}, {}, nil, {}), 10, keeps: true, recalls: false)
      Flowline::Recording::Broadcast.new(store, 1, standing, coordinator, lines) { |warning| warnings << warning }
    end

    def request(kind)
      Flowline::Store::Request.new(run: 1, kind: kind, subject: "", requester: "alice@web", requested: 0.0)
    end

    it "is a warning, once, and the run is shown again when it works" do
      full = -> { raise Flowline::StoreError.new("/s", "the disk is full", :full) }
      store.answers = [full, full]
      shown = broadcast
      3.times { shown.tick }
      expect(warnings).to eq(["other processes cannot see how the run goes on: the disk is full"])
      expect(store.shown.size).to eq(3)
    end

    it "is no warning if another process only holds it" do
      store.answers = [-> { raise Flowline::StoreError.new("/s", "it is busy", :busy) }]
      broadcast.tick
      expect(warnings).to be_empty
    end

    it "is written only if something has changed" do
      shown = broadcast
      2.times { shown.tick }
      standing.to_json = "2"
      shown.tick
      shown.close
      shown.tick
      expect(store.shown).to eq(%w[1 2])
    end

    it "asks the run once for each kind of request" do
      store.answers = [-> { [request("cancel")] }, -> { [request("cancel"), request("cancel_now"), request("later")] }, -> { [request("cancel_now")] }]
      shown = broadcast
      3.times { shown.tick }
      expect(asked).to eq([[:cancel, "alice@web"], [:cancel_now, "alice@web"]])
    end
  end
end
