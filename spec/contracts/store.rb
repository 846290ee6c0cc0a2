# frozen_string_literal: true

require "securerandom"

# The contract of every implementation of the store protocol. Needs `let(:opening)`: a lambda that opens the same place
# each time, in this process or in another one. The place is empty at first.
RSpec.shared_examples "a store" do
  let(:store) { opening.call }
  let(:lock) { store.lock }
  let(:large) { "large " * 60_000 }

  # Names with special characters of SQL, of paths and of keys.
  odd_names = ["a", "A", "page[0]", "page", "page[0][0]", "two\nlines", "tab\t", "quote's", "\"double\"", "%_*?", "../x", "schön", "日本語 🚀", " ", "-1", "a" * 300]

  def run_of(pipeline = "p", identity: "i", **members)
    Flowline::Store::Run.new(run_id: SecureRandom.uuid, pipeline: pipeline, identity: identity, pid: Process.pid, host: Flowline::Store.host,
                             started: 1000.5, **members)
  end

  # @return [Flowline::Store::Run] one that is alive
  def begun(pipeline = "p", lock: self.lock, on: store, **members)
    on.begin_run(run_of(pipeline, **members), lock)
  end

  def end_of(run, status = "failed", **members)
    Flowline::Store::End.new(run: run.id, status: status, duration: 2.25, **members)
  end

  def step_of(run, position, name, status = "succeeded", **members)
    Flowline::Store::Step.new(run: run.id, position: position, name: name, status: status, attempts: 1, started: 0.5, duration: 0.25, **members)
  end

  def record_of(run, step, item: nil, **members)
    Flowline::Store::Record.new(checkpoint: run.checkpoint, step: step, item: item, outcome: "succeeded", imprint: "imprint", token: "token", made_of: "made", **members)
  end

  def records(run, on: store, of: %w[a b skipped each each[0] page[0] small large none], expected: of.map { "" })
    on.enum_for(:records, run.checkpoint, [of, expected]).map do |id, *row|
      Flowline::Store::Record.new(checkpoint: run.checkpoint, step: of[id], **Flowline::Store::Record.members.drop(2).zip(row).to_h)
    end
  end

  # Records outputs, one after the other.
  def record(run, outputs, on = store)
    outputs.each_with_index { |(name, output), n| on.record([[step_of(run, n, name), record_of(run, name), true]], output.b) }
  end

  # Claims with little patience: a checkpoint that was claimed, and whose run has not begun, may be waited for.
  # @return [true, nil, Flowline::Store::Run, Symbol]
  def claim(wanted, held, on = store)
    on.claim(wanted, held, patience: 0.2)
  rescue Flowline::StoreError => e
    e.kind
  end

  # Calls the block in another process, which is killed then.
  def killed
    ready, tell = IO.pipe
    doomed = child do
      yield opening.call
      tell.syswrite(".")
      sleep
    end
    tell.close
    ready.wait_readable(Processes::LIMIT)
    raise "it failed: #{doomed.value}" if ready.read(1).nil?

    doomed.kill
  end

  describe "begin_run and latest" do
    it "refuse to begin apart from a run that is alive, and lock nothing" do
      first = begun("p", identity: "i")
      refused = store.lock
      expect(store.begin_run(run_of("p", identity: "i"), refused, apart_from: :alike)).to eq(first)
      expect(elsewhere { opening.call.then { |other| other.begin_run(run_of("p", identity: "j"), other.lock, apart_from: :all).run_id } }).to eq(first.run_id)
      expect([refused.held?, store.runs("p").size]).to eq([false, 1])
      expect(store.begin_run(run_of("p", identity: "j"), store.lock, apart_from: :alike).identity).to eq("j")
      expect { store.begin_run(run_of("p"), store.lock, apart_from: :some) }.to raise_error(ArgumentError, /unknown other runs :some.*:alike, :all/)
    end

    it "return a run as it was, with its number and a checkpoint" do
      resumed = SecureRandom.uuid
      given = run_of("p", params: (0..255).to_a.pack("C*"), resumed: resumed)
      begun = store.begin_run(given, lock)
      expect(begun.to_h.except(:id, :checkpoint)).to eq(given.to_h.merge(status: "running", alive: true).except(:id, :checkpoint))
      expect([begun.id, begun.checkpoint]).to all(be_an(Integer))
      expect([store.latest("p"), store.latest("p", "i"), opening.call.latest("p")]).to eq([begun] * 3)
      expect([store.latest("q"), store.latest("p", "j")]).to eq([nil, nil])
      expect(elsewhere { opening.call.latest("p").to_h }).to eq(begun.to_h)
    end

    odd_names.each do |name|
      it "accept any name and identity: #{name[0, 20].inspect}" do
        run = begun(name, identity: name)
        record(run, name => name)
        expect(store.latest(name, name)).to eq(run)
        expect([store.runs(name), store.last_runs]).to eq([[run]] * 2)
        expect(store.steps(run.id).map(&:name)).to eq([name])
        expect([store.output(run.checkpoint, name), store.outcomes(run.checkpoint), store.sizes(run.checkpoint)])
          .to eq([name.b, { name => "succeeded" }, { name => name.bytesize }])
        expect(store.timings(name)).to eq(name => 0.25)
        expect((odd_names - [name]).map { |other| store.output(run.checkpoint, other) }.compact).to be_empty
      end
    end

    it "number runs upwards without reuse" do
      ids = Array.new(3) do
        run = begun("p", lock: store.lock)
        store.finish_run(end_of(run), [], store.lock)
        run.id
      end
      expect(ids).to eq(ids.sort.uniq)
    end

    it "clear older checkpoints of the same identity, and no others" do
      runs = %w[i i j].map do |identity|
        lock = store.lock
        run = begun("p", identity: identity, lock: lock)
        record(run, "a" => identity)
        store.finish_run(end_of(run), [], lock) if identity == "i" # The other goes on.
        run
      end
      other = begun("q", lock: store.lock)
      expect(other.checkpoint).not_to eq(runs.last.checkpoint)
      expect(runs.map { |run| store.sizes(run.checkpoint) }).to eq([{}, { "a" => 1 }, { "a" => 1 }])
      begun("p", identity: "j", lock: store.lock)
      expect(store.sizes(runs.last.checkpoint)).to eq("a" => 1) # It is alive.
    end
  end

  describe "claim" do
    let!(:failed) { begun.tap { |run| [record(run, "a" => "1", "b" => large), store.finish_run(end_of(run), [], lock)] } }

    it "gives a checkpoint to one caller, and returns the running run to others" do
      wanted = store.latest("p", "i")
      lock = store.lock
      expect(store.claim(wanted, lock)).to be(true)
      again = store.begin_run(run_of("p", checkpoint: wanted.checkpoint, resumed: wanted.run_id), lock, resumes: true, outdated: [["b", -1, -1]])
      expect([again.checkpoint, again.id > wanted.id]).to eq([failed.checkpoint, true])
      expect(store.sizes(again.checkpoint)).to eq("a" => 1)
      expect(store.claim(store.latest("p", "i"), store.lock)).to eq(again)
      expect(elsewhere { opening.call.then { |other| other.claim(other.latest("p", "i"), other.lock).run_id } }).to eq(again.run_id)
      expect(store.claim(wanted, store.lock)).to be_nil # There is a later run.
    end

    it "succeeds for exactly one of many threads and processes" do
      claims = lambda do |number|
        Array.new(number) { Thread.new { opening.call.then { |other| [other, held = other.lock, claim(other.latest("p", "i"), held, other)] } } }.map(&:value)
      end
      goes, go = IO.pipe
      came, come = IO.pipe
      processes = Array.new(4) do
        child do
          kept = claims.call(3)
          come.syswrite(".") && goes.read(1)
          kept.map { |_, _, claim| claim == true }
        end
      end
      mine = claims.call(3)
      4.times { came.read(1) }
      go.syswrite("." * 4)
      expect((mine.map { |_, _, claim| claim == true } + processes.flat_map(&:value)).count(true)).to eq(1)
    end

    it "is possible again when the lock is released or collected, or its process killed" do
      wanted = store.latest("p", "i")
      held = store.lock
      store.claim(wanted, held)
      held.release
      killed { |other| (@kept = other.lock) && (other.claim(wanted, @kept) == true || raise("not claimed")) }
      expect(store.claim(wanted, store.lock)).to be(true)
      GC.start # The lock above is garbage, but for what the stack may still have of it.
      expect(elsewhere { opening.call.then { |other| claim(wanted, other.lock, other) } }).to be(true).or(eq(:busy)).or(be_a(Flowline::Store::Run))
    end
  end

  describe "record" do
    it "stores small and large outputs for this process and others" do
      run = begun
      outputs = { "small" => (0..255).to_a.pack("C*"), "large" => large.b, "none" => "" }
      outputs.each_key.with_index { |name, n| store.record([[step_of(run, n, name), record_of(run, name)]], outputs[name], durable: n.odd?) }
      [records(run), records(run, on: opening.call), elsewhere { records(run, on: opening.call) }].each do |found|
        expect(found.sort_by(&:step)).to eq(outputs.map { |name, output| record_of(run, name, output: output) }.sort_by(&:step))
      end
      expect(store.sizes(run.checkpoint)).to eq("small" => 256, "large" => large.bytesize)
      expect(store.output(run.checkpoint, "absent")).to be_nil
    end

    it "is read of the steps that are asked for, with the very String that is expected for its imprint" do
      run = begun
      record(run, { "a" => "1", "b" => "2", "c" => "3" })
      expected = ["another", "imprint"]
      found = records(run, of: %w[c b], expected: expected)
      expect(found.map { |record| [record.step, record.imprint, record.output] }).to contain_exactly(%w[b imprint 2], %w[c imprint 3])
      expect(found.map { |record| record.imprint.equal?(expected.last) }).to contain_exactly(true, false)
    end

    it "stores several steps atomically" do
      run = begun
      skipped = [step_of(run, 0, "skipped", "skipped", reason: "condition"), record_of(run, "skipped")]
      store.record([skipped, [step_of(run, 1, "a"), record_of(run, "a")], [step_of(run, 2, "only history"), nil]])
      expect(store.steps(run.id)).to eq([skipped[0], step_of(run, 1, "a"), step_of(run, 2, "only history")])
      expect(store.outcomes(run.checkpoint)).to eq("skipped" => "succeeded", "a" => "succeeded")
      bad = step_of(run, 4, "bad").tap { |step| step.run = -1 }
      expect { store.record([[step_of(run, 3, "good"), record_of(run, "good")], [bad, record_of(run, "bad")]], large.b) }.to raise_error(Flowline::StoreError)
      expect(store.steps(run.id).map(&:name)).to eq(["skipped", "a", "only history"])
      expect(store.outcomes(run.checkpoint).keys).to contain_exactly("skipped", "a")
    end

    it "replaces an earlier record of a step" do
      run = begun
      ["first", large, "third"].each { |output| record(run, "a" => output) }
      expect([store.output(run.checkpoint, "a"), store.steps(run.id).size]).to eq(["third", 1])
    end

    it "stores items of a step by index, until a record of the step clears them" do
      run = begun
      10.downto(0) { |n| store.record([[nil, record_of(run, "each", item: n)]], n == 3 ? large.b : "item #{n}") }
      record(run, "each[0]" => "a step")
      expect(records(run).select { |found| found.step == "each" }.to_h { |found| [found.item, found.output] })
        .to eq((0..10).to_h { |n| [n, n == 3 ? large.b : "item #{n}"] })
      expect([store.sizes(run.checkpoint), store.outcomes(run.checkpoint)]).to eq([{ "each[0]" => 6 }, { "each[0]" => "succeeded" }])
      store.record([[nil, record_of(run, "each", item: 4)]], "again")
      store.record([[step_of(run, 1, "each", "failed"), record_of(run, "each").tap { |failed| failed.outcome = "failed" }, false]])
      expect(records(run).count { |found| found.step == "each" && found.item }).to eq(11)
      record(run, "each" => "all")
      expect(records(run).map { |found| [found.step, found.item, found.output] }).to contain_exactly(["each", nil, "all"], ["each[0]", nil, "a step"])
    end

    it "loses no acknowledged record when its process is killed" do
      run = nil
      told, tell = IO.pipe
      killed do |other|
        @kept = other.lock
        run = begun("p", lock: @kept, on: other)
        record(run, { "a" => "1", "b" => large }, other)
        Marshal.dump(run, tell)
      end
      run = Marshal.load(told)
      crashed = store.latest("p")
      expect([crashed.run_id, crashed.status, crashed.alive]).to eq([run.run_id, "crashed", false])
      expect(store.runs.map(&:status)).to eq(["crashed"])
      expect(store.claim(crashed, lock)).to be(true)
      expect(records(run).to_h { |found| [found.step, found.output] }).to eq("a" => "1", "b" => large)
    end
  end

  describe "forget" do
    it "removes a step or some of its items only" do
      run = begun
      6.times { |n| store.record([[nil, record_of(run, "each", item: n)]], n == 2 ? large.b : "1") }
      store.record([[nil, record_of(run, "page[0]")]], "2")
      store.forget(run, [["each", 1, 3], ["page[0]", 0, 9], ["absent", -1, 9]])
      expect(records(run).map { |found| [found.step, found.item] }).to contain_exactly(["each", 0], ["each", 4], ["each", 5], ["page[0]", nil])
      store.forget(run, [["page[0]", -1, -1], ["each", -1, (1 << 62)]])
      expect(records(run)).to eq([])
    end
  end

  describe "finish_run" do
    it "records steps that were not called by how they ended" do
      run = begun
      groups = [["restored", nil, [0, 3], %w[a d]], ["skipped", "upstream_skipped", [2], ["c"]]]
      store.finish_run(end_of(run), [[step_of(run, 1, "b")]], lock, uncalled: groups)
      expect(store.steps(run.id).map { |step| [step.position, step.name, step.status, step.reason, step.attempts, step.started] }).to eq(
        [[0, "a", "restored", nil, 0, nil], [1, "b", "succeeded", nil, 1, 0.5], [2, "c", "skipped", "upstream_skipped", 0, nil], [3, "d", "restored", nil, 0, nil]]
      )
    end

    it "takes rows as Arrays of their members" do
      run = begun
      store.record([[step_of(run, 0, "a").to_a, record_of(run, "a").to_a]], "output")
      expect([store.steps(run.id).map(&:name), store.sizes(run.checkpoint)]).to eq([["a"], { "a" => 6 }])
    end

    it "ends a run with its remaining steps, and releases the lock" do
      run = begun
      record(run, "a" => large)
      rest = [[step_of(run, 1, "b", "failed", error: "down", reason: nil), record_of(run, "b")], [step_of(run, 2, "c", "cancelled", reason: "run_failed"), nil]]
      store.finish_run(end_of(run, "failed", error: "step b failed"), rest, lock)
      found = store.latest("p")
      expect(found.to_h).to include(status: "failed", duration: 2.25, error: "step b failed", alive: false, run_id: run.run_id)
      expect(store.steps(run.id)).to eq([step_of(run, 0, "a"), *rest.map(&:first)])
      expect(store.outcomes(run.checkpoint)).to eq("a" => "succeeded", "b" => "succeeded")
      expect([lock.held?, elsewhere { opening.call.then { |other| other.claim(found, other.lock) } }]).to eq([false, true])
    end

    it "clears the checkpoint if told to, and no equal output of another one" do
      other = begun("q", lock: store.lock)
      record(other, "a" => large)
      run = begun
      record(run, "a" => large, "b" => "1")
      store.finish_run(end_of(run, "succeeded", clear: true), [], lock)
      expect([store.sizes(run.checkpoint), store.outcomes(run.checkpoint), records(run)]).to eq([{}, {}, []])
      expect([store.output(other.checkpoint, "a"), store.steps(run.id).size]).to eq([large, 2])
    end

    it "keeps the latest 100 runs of each pipeline, and running ones" do
      alive = begun("p", identity: "alive")
      record(alive, "a" => "1")
      old = begun("q", lock: (other = store.lock))
      store.finish_run(end_of(old), [], other)
      runs = Array.new(105) do |n|
        run = begun("p", identity: n.to_s, lock: (held = store.lock))
        record(run, "a" => n.zero? ? large : "1")
        store.finish_run(end_of(run), [], held)
        run
      end
      expect(store.runs("p").map(&:id)).to eq([*runs.last(100).reverse, alive].map(&:id))
      expect([store.runs("q").size, store.sizes(runs.first.checkpoint), store.sizes(alive.checkpoint)]).to eq([1, {}, { "a" => 1 }])
    end
  end

  describe "runs and last_runs" do
    it "return the latest first, or the latest of each pipeline" do
      ids = %w[b a b a c].map { |name| begun(name, identity: SecureRandom.hex, lock: store.lock).id }
      expect(store.runs.map(&:id)).to eq(ids.reverse)
      expect(store.runs(nil, 2).map(&:id)).to eq(ids.reverse.first(2))
      expect(store.runs("b").map(&:id)).to eq(ids.values_at(2, 0))
      expect(store.runs("b", 1).map(&:id)).to eq([ids[2]])
      expect(store.last_runs.map(&:pipeline)).to eq(%w[a b c])
      expect(store.last_runs.map(&:id)).to eq(ids.values_at(3, 2, 4))
      expect([store.runs("z"), store.steps(-1), store.timings("z"), store.outcomes(-1)]).to eq([[], [], {}, {}])
    end

    it "leave out runs that have ended, and those of other pipelines, when only those that are alive are asked for" do
      alive, ended, other = %w[a a b].map { |name| [held = store.lock, begun(name, lock: held)] }
      store.finish_run(end_of(ended.last), [], ended.first)
      expect(store.alive("a").map(&:run_id)).to eq([alive.last.run_id])
      expect(store.alive("b").map(&:run_id)).to eq([other.last.run_id])
    end

    it "return steps by position" do
      run = begun
      [2, 0, 1].each { |n| store.record([[step_of(run, n, "s#{n}"), nil]]) }
      expect(store.steps(run.id).map(&:name)).to eq(%w[s0 s1 s2])
    end
  end

  describe "history" do
    def ids(**query) = store.history(Flowline::Store::Query.new(**query)).map(&:run_id)

    it "selects runs by pipeline, status, params, start and id, page by page" do
      shown = [nil, '{"day":"1"}', '{"day":"2","x":"\"day\":\"1\""}', '{"x":null}']
      runs = shown.each_with_index.map do |text, n|
        run = store.begin_run(run_of("pq"[n % 2], shown: text, identity: n.to_s).tap { |row| row.started = 10.0 * n }, held = store.lock)
        store.finish_run(end_of(run, n == 3 ? "succeeded" : "failed"), [], held)
        run.run_id
      end
      expect(ids).to eq(runs.reverse)
      expect([ids(limit: 2), ids(limit: 2, before: runs[2]), ids(before: "none")]).to eq([[runs[3], runs[2]], [runs[1], runs[0]], []])
      expect([ids(pipeline: "p"), ids(statuses: ["succeeded"]), ids(run_id: runs[1])]).to eq([[runs[2], runs[0]], [runs[3]], [runs[1]]])
      expect([ids(since: 20.0), ids(params: ['"day":"1"']), ids(params: ['"x":null'], pipeline: "q")]).to eq([[runs[3], runs[2]], [runs[1]], [runs[3]]])
    end

    it "selects runs by any of several statuses, by trigger, and by a text in their id, name, params or error" do
      runs = %w[failed succeeded cancelled].each_with_index.map do |status, n|
        about = { trigger: %w[web cli job][n], shown: "{\"day\":\"#{n}é\"}", identity: n.to_s }
        run = store.begin_run(run_of("Load 100%", **about), held = store.lock)
        store.finish_run(end_of(run, status).tap { |ended| ended.error = "HTTP 503" if n.zero? }, [], held)
        run.run_id
      end
      expect([ids(statuses: %w[failed cancelled]), ids(statuses: %w[failed succeeded], limit: 1)]).to eq([[runs[2], runs[0]], [runs[1]]])
      expect([ids(trigger: "web"), ids(trigger: "schedule")]).to eq([[runs[0]], []])
      expect([ids(text: "http 5"), ids(text: "1é"), ids(text: "load 100%"), ids(text: runs[2].upcase), ids(text: "_")]).to eq([[runs[0]], [runs[1]], runs.reverse, [runs[2]], []])
    end

    it "has the steps of several runs by name, page by page, those first that failed in any of them" do
      runs = [%w[succeeded failed], %w[succeeded succeeded]].map do |statuses|
        run = store.begin_run(run_of("p", identity: SecureRandom.hex), held = store.lock)
        statuses.each_with_index { |status, n| store.record([[step_of(run, n, "s\"#{n}", status), nil]]) }
        store.finish_run(end_of(run), [], held)
        run.id
      end
      expect([store.names_in(runs, "", 9, 0), store.names_in(runs, "", 1, 1), store.names_in(runs, "S\"0", 9, 0)]).to eq([[%w[s"1 s"0], 2], [%w[s"0], 2], [%w[s"0], 1]])
      expect(store.steps_in(runs, ["s\"1"]).map { |step| [step.run, step.status] }).to eq([[runs[0], "failed"], [runs[1], "succeeded"]])
      expect([store.names_in([], "", 9, 0), store.steps_in(runs, [])]).to eq([[[], 0], []])
    end

    it "has the graph of a run, the counts of its steps and items, and what resumed it" do
      graph = Flowline.define { |p| p.step(:a) { 1 } }.dag.graph.snapshot([["a", nil, "p.rb:1", "description", "A", "tags", %w[x y]]], [])
      run = store.begin_run(run_of, lock, graph: graph)
      store.finish_run(end_of(run), [[step_of(run, 0, "a", items_total: 9, items_done: 7, items_failed: 2, items_restored: 1), nil]], lock)
      again = store.begin_run(run_of("p", checkpoint: run.checkpoint, resumed: run.run_id), store.lock.tap { |held| store.claim(store.latest("p", "i"), held) }, resumes: true)
      found = store.history(Flowline::Store::Query.new(run_id: run.run_id)).first
      expect(found.to_h).to include(outcomes: "succeeded 1", items_done: 7, items_failed: 2, items_restored: 1, resumed_by: again.run_id)
      expect(store.graph(found.graph)).to eq('{"version":1,"steps":[{"name":"a","location":"p.rb:1","description":"A","tags":["x","y"]}],"groups":[]}')
      expect(store.graph(-1)).to be_nil
    end
  end

  describe "state" do
    it "changes on its own, or by the writes of the steps of a run that succeeds" do
      run = begun
      writes = [["b", "2".b, "two", 5.0], ["a", "1".b, "one", 5.0], ["c", nil, "", 5.0]]
      store.record([[step_of(run, 0, "s"), record_of(run, "s"), false, [run.id, run.checkpoint, "s", writes]]], "output")
      expect([store.state, store.writes(run.checkpoint).map(&:to_a).sort]).to eq([[], writes.sort.map { |row| [*row, "s", run.id, false] }])
      store.finish_run(end_of(run, "succeeded"), [], lock)
      store.change_state("q", [["a", "3".b, "three", 6.0]])
      expect(store.state("p").map(&:to_a)).to eq([["p", "a", "1", "one", 5.0, run.run_id], ["p", "b", "2", "two", 5.0, run.run_id]])
      store.change_state("p", [["a", nil, "", 7.0]])
      expect(elsewhere { opening.call.state.map { |value| [value.pipeline, value.key, value.run_id] } }).to eq([["p", "b", run.run_id], ["q", "a", nil]])
    end
  end

  describe "state that changes after a step wrote" do
    # @return [Store::Run] a run that has failed after its step s wrote value
    def written(key, value, at)
      run = begun
      store.record([[step_of(run, 0, "s"), record_of(run, "s"), false, [run.id, run.checkpoint, "s", [[key, value, "", at]]]]], "output")
      store.finish_run(end_of(run, "failed"), [], lock)
      run
    end

    # Resumes a run, whose steps are all restored, and ends it with success.
    def resumed(run)
      held = store.lock.tap { |fresh| store.claim(run, fresh) }
      again = store.begin_run(run_of("p", checkpoint: run.checkpoint, resumed: run.run_id), held, resumes: true)
      store.finish_run(end_of(again, "succeeded"), [], held)
      again
    end

    it "stays, whatever the clocks say" do
      [[5.0, 1.0], [1.0, 5.0]].each do |step, other|
        run = written("k#{step}", "old", step)
        store.change_state("p", [["k#{step}", "new", "", other]])
        expect(store.writes(run.checkpoint).map(&:overtaken)).to eq([true])
        resumed(run)
        expect(store.state("p").to_h { |value| [value.key, value.value] }).to include("k#{step}" => "new")
      end
    end

    it "does not hinder a run that wrote afterwards with a clock that was set back" do
      store.change_state("p", [["k", "ahead", "", 9e9]])
      resumed(written("k", "right", 5.0))
      expect(store.state("p").map(&:value)).to eq(%w[right])
    end

    it "takes the last of several writes of a run, even if the clock was set back between them" do
      run = begun
      %w[s t].zip([["s", 5.0], ["t", 1.0]]).each.with_index do |(step, (value, at)), position|
        store.record([[step_of(run, position, step), record_of(run, step), false, [run.id, run.checkpoint, step, [["k", value, "", at]]]]], "output")
      end
      store.finish_run(end_of(run, "succeeded"), [], lock)
      expect(store.state("p").map(&:value)).to eq(%w[t])
    end
  end

  describe "ended_after" do
    it "finds the run of a pipeline or an identity that ended last, if that was later on the same clock" do
      first = begun
      store.finish_run(end_of(first, clock: Flowline::Store.clock, ended: 10.0), [], lock)
      questions = [["p", nil, 9.9], ["p", first.identity, 9.9], ["p", nil, 10.0], ["p", "other", 9.9], ["q", nil, 9.9]]
      expect(questions.map { |question| store.ended_after(*question)&.run_id }).to eq([first.run_id, first.run_id, nil, nil, nil])
      allow(Flowline::Store).to receive(:clock).and_return("another start of the machine")
      expect(store.ended_after("p", nil, 9.9)).to be_nil
    end
  end

  describe "a run that goes on" do
    it "shows itself to other processes, and gets their requests" do
      run = begun
      expect(store.show(run.id, 1.0, "one", [[0, 0, 2, "lines", 4]])).to eq([])
      expect(elsewhere { opening.call.then { |other| [other.shown(run.id), other.logs(run.id, 0).map { |lines| lines.to_a.drop(1) }, other.logs(run.id, 1)] } })
        .to eq([[1.0, "one"], [[0, 0, 2, "lines"]], []])
      elsewhere do
        %w[cancel cancel_now cancel].each { |kind| opening.call.ask(Flowline::Store::Request.new(run: run.id, kind: kind, requester: "me", requested: 2.0)) }
      end
      expect(store.show(run.id, 3.0, "two").map { |request| request.to_a }).to eq([[run.id, "cancel", "", "me", 2.0], [run.id, "cancel_now", "", "me", 2.0]])
      store.finish_run(end_of(run, lines: [[1, 0, 1, "last", 4]]), [], lock)
      expect([store.shown(run.id), store.requests(run.id).size, store.logs(run.id).map(&:body)]).to eq([nil, 2, %w[lines last]])
      expect(store.logs(run.id, last: 1).map(&:body)).to eq(%w[last])
    end
  end

  describe "clear" do
    it "removes a checkpoint, but not that of a running run" do
      run = begun
      record(run, "a" => large)
      expect([store.clear(run.checkpoint), opening.call.clear(run.checkpoint), elsewhere { opening.call.clear(run.checkpoint).to_h }]).to eq([run, run, run.to_h])
      expect(store.output(run.checkpoint, "a")).to eq(large)
      store.finish_run(end_of(run), [], lock)
      expect([store.clear(run.checkpoint), store.sizes(run.checkpoint), store.runs.size]).to eq([nil, {}, 1])
    end
  end

  describe "timings" do
    it "are the medians of succeeded steps" do
      run = begun
      store.record([[step_of(run, 0, "a"), nil], [step_of(run, 1, "b", "failed"), nil]])
      again = begun("p", lock: store.lock)
      store.record([[step_of(again, 0, "a").tap { |step| step.duration = 0.75 }, nil]])
      expect(store.timings("p")).to eq("a" => 0.5)
      third = begun("p", lock: store.lock)
      store.record([[step_of(third, 0, "a").tap { |step| step.duration = 9.0 }, nil]])
      expect(store.timings("p")).to eq("a" => 0.75)
    end
  end

  describe "entries" do
    def values(*keys) = keys.to_h { |key| [key, store.entry(key, 100.0)&.value] }

    it "are read as they were written, under any key" do
      keys = [*odd_names, "\xFF\xFE".b, "a\0b"]
      keys.each { |key| store.put(key, key.b, now: 10.0, most: 1 << 20) }
      expect(keys.map { |key| store.entry(key, 11.0).value }).to eq(keys.map(&:b))
      store.put("large", large.b, now: 10.0, most: 1 << 20, expires: 50.5)
      expect(store.entry("large", 11.0).to_h).to eq(key: "large", expires: 50.5, written: 10.0, used: 10.0, bytes: large.bytesize, value: large)
      expect(elsewhere { opening.call.entry("large", 11.0).value }).to eq(large)
      expect(store.entries(11.0).map(&:value).uniq).to eq([nil])
      expect(store.entries(11.0).map(&:key)).to match_array([*keys, "large"])
    end

    it "are read together, but for those that are damaged, expired or large" do
      now = Time.now.to_f
      { "a" => "1", "b" => "2", "old" => "3", "large" => large }.each do |key, value|
        store.put(key, value, now: now, most: 1 << 30, expires: (now + 1 if key == "old"))
      end
      found = store.enum_for(:values, %w[b none old large a], now + 2).map { |at, value, used| [at, value, used] }
      expect(found).to eq([[0, "2", now], [4, "1", now]])
    end

    it "are missing once expired or when written in the future" do
      store.put("future", "3".b, now: 1000.0, most: 100)
      store.put("short", "1".b, now: 10.0, most: 100, expires: 20.0)
      store.put("long", "2".b, now: 10.0, most: 100)
      expect(store.entries(19.0).map(&:key)).to contain_exactly("short", "long")
      expect([20.0, 999.0].map { |now| %w[short long future].map { |key| store.entry(key, now)&.value } }).to eq([[nil, "2", nil]] * 2)
      expect(store.entries(999.0).map(&:key)).to eq(["long"])
    end

    it "are evicted least recently used first" do
      %w[a b c].each_with_index { |key, n| store.put(key, (key * 100).b, now: 10.0 + n, most: 300) }
      store.touch(["a"], 20.0)
      expect(store.entry("a", 21.0).used).to eq(20.0)
      store.put("d", ("d" * 100).b, now: 21.0, most: 300)
      expect(values("a", "b", "c", "d").compact.keys).to eq(%w[a c d])
      store.put("a", ("e" * 10).b, now: 22.0, most: 300)
      expect(store.entries(23.0).sum(&:bytes)).to eq(210)
    end

    it "are removed one by one, by prefix, or all" do
      ["p/a/1", "p/a/2", "p/b/1", "pa/a/1", "P/a/1", "%", "p_"].each { |key| store.put(key, large.b, now: 10.0, most: 1 << 30) }
      expect([store.drop_entries("p/a/1"), store.drop_entries("p/a/1"), store.drop_entries("absent")]).to eq([1, 0, 0])
      expect(store.drop_entries("p/", prefix: true)).to eq(2)
      expect(store.entries(20.0).map(&:key)).to contain_exactly("pa/a/1", "P/a/1", "%", "p_")
      expect([store.drop_entries("%", prefix: true), store.drop_entries, store.entries(20.0)]).to eq([1, 3, []])
      expect(elsewhere { opening.call.entries(20.0) }).to eq([])
    end
  end

  describe "lock" do
    it "excludes other locks of this process and of others, until it is released" do
      locks = [store.lock, store.lock, opening.call.lock]
      expect(locks.map { |held| held.acquire("abc123") }).to eq([true, false, false])
      expect(elsewhere { opening.call.lock.acquire("abc123") }).to be(false)
      expect([locks[1].acquire("def456"), locks.map(&:held?)]).to eq([true, [true, true, false]])
      locks.each(&:release)
      expect(elsewhere { opening.call.lock.acquire("abc123") }).to be(true)
      expect(locks[2].acquire("abc123")).to be(true)
      locks[0].release # It has none any more.
      expect(store.lock.acquire("abc123")).to be(false)
    end

    it "neither belongs to a forked child nor is released by one" do
      lock.acquire("abc")
      expect(elsewhere { [lock.held?, lock.release, opening.call.lock.acquire("abc")] }).to eq([false, nil, false])
      expect([lock.held?, elsewhere { opening.call.lock.acquire("abc") }]).to eq([true, false])
    end

    it "is free when its process is killed" do
      killed { |other| (@kept = other.lock).acquire("abc") || raise("not acquired") }
      expect(lock.acquire("abc")).to be(true)
    end

    it "admits exactly one of many threads" do
      got = Array.new(16) { Thread.new { store.lock.then { |held| [held, held.acquire("abc")] } } }.map(&:value)
      expect(got.map(&:last).count(true)).to eq(1)
    end
  end
end
