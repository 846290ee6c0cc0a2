# frozen_string_literal: true

RSpec.describe "The events for observers that ask for them" do
  # The events of a run, of these names.
  def watch(pipeline, *names, **options)
    seen = []
    begin
      pipeline.run(reporter: Flowline::Reporter.for(*names) { |event| seen << event }, **options)
    rescue Interrupt
      nil
    end
    seen
  end

  def facts(events)
    events.map { |event| [event.step&.name, event.result] }
  end

  describe "attempts" do
    it "are told of when they start and when they finish, with their number, time, error and wait" do
      pipeline = Flowline.define { |p| p.step(:a, retries: 1) { @called ? 7 : (@called = 1) && raise(KeyError, "gone") } }
      seen = watch(pipeline, :attempt_started, :attempt_finished, executor: :sequential)
      expect(seen.map(&:name)).to eq(%i[attempt_started attempt_finished] * 2)
      first, second = seen.each_slice(2).map { |_, finished| finished.result }
      expect(first).to have_attributes(attempt: 1, item: nil, status: :failed, error: be_a(KeyError), wait: 0.0, duration: be_between(0, 5))
      expect(second).to have_attributes(attempt: 2, status: :succeeded, error: nil, wait: nil)
      expect(seen.first.result).to have_attributes(attempt: 1, status: nil, duration: nil, started_at: first.started_at)
      expect(first.started_at).to be_a(Time).and be <= second.started_at
    end

    it "have the index and the label of their item" do
      pipeline = Flowline.define do
        step(:rows) { %w[a b] }
        step(:map, each: :rows, label: lambda(&:upcase)) { |row| row }
      end
      seen = watch(pipeline, :attempt_finished).select { |event| event.step.name == :map }
      expect(seen.map { |event| event.result.to_a.first(3) }).to contain_exactly([1, 0, "A"], [1, 1, "B"])
    end

    it "that were interrupted finish as cancelled, before their step does", executor: :in_process do
      started = Queue.new
      pipeline = Flowline.define { |p| p.step(:long) { (started << 1) && sleep } }
      seen = []
      reporter = Flowline::Reporter.for(:attempt_started, :attempt_finished, :step_finished) { |event| seen << [event.name, event.result&.status] }
      run = pipeline.start(executor: :parallel, reporter: reporter)
      started.pop
      run.cancel(now: true)
      run.wait(10)
      expect(seen).to eq([[:attempt_started, nil], %i[attempt_finished cancelled], %i[step_finished cancelled]])
    end

    it "that an exception ends in the caller's thread finish once, before their step does" do
      pipeline = Flowline.define { |p| p.step(:a) { raise Interrupt } }
      seen = watch(pipeline, :attempt_started, :attempt_finished, :step_finished, :run_finished, executor: :sequential)
      expect(seen.map(&:name)).to eq(%i[attempt_started attempt_finished step_finished run_finished])
      expect(seen[1].result.status).to eq(:cancelled)
    end
  end

  describe "waits" do
    def waits(pipeline, **options)
      watch(pipeline, :step_waiting, **options).map { |event| [event.step.name, event.result.reason, event.result.name] }
    end

    it "are for a worker" do
      pipeline = Flowline.define { %i[a b].each { |name| step(name) { sleep 0.02 } } }
      expect(waits(pipeline, executor: :parallel, max_threads: 1)).to eq([[:b, :worker, nil]])
      expect(waits(pipeline, executor: :parallel, max_threads: 2)).to be_empty
    end

    it "are for a pool, and say which" do
      pipeline = Flowline.define do
        pool :db, 1
        %i[a b].each { |name| step(name, uses: :db) { sleep 0.02 } }
      end
      expect(waits(pipeline, executor: :parallel, max_threads: 2)).to eq([%i[b pool db]])
    end

    it "are for a retry, and say until when" do
      pipeline = Flowline.define { |p| p.step(:a, retries: 1, retry_delay: 0.05) { @called ? 7 : (@called = 1) && raise("no") } }
      event, = watch(pipeline, :step_waiting, executor: :sequential)
      expect(event.result).to have_attributes(reason: :retry, name: nil)
      expect(event.result.until - event.time).to be_between(0.02, 0.06)
    end

    it "are for a rate, and say until when" do
      pipeline = Flowline.define do
        step(:rows) { [1, 2, 3] }
        step(:map, each: :rows, rate: "1/h") { |row| row }
      end
      seen = Queue.new
      run = pipeline.start(executor: :parallel, reporter: Flowline::Reporter.for(:step_waiting) { |event| seen << event })
      event = seen.pop
      run.cancel
      expect(run.wait(10).status).to eq(:cancelled)
      expect(event.result.reason).to eq(:rate)
      expect(event.result.until - event.time).to be_between(3500, 3600)
    end

    it "are for another thread that computes the same cached value", executor: :in_process do
      computing = Queue.new
      go = Queue.new
      cache = Flowline::Cache::Memory.new
      pipeline = Flowline.define(name: "locked") { |p| p.step(:a, cache: { key: -> { 1 }, store: cache }) { (computing << 1) && go.pop } }
      first = pipeline.start(checkpoint: false)
      computing.pop
      seen = Queue.new
      second = pipeline.start(executor: :parallel, reporter: Flowline::Reporter.for(:step_waiting) { |event| seen << event.result.reason })
      expect(seen.pop).to eq(:lock)
      go << 5
      expect([first, second].map { |run| run.wait(10)[:a].status }).to eq(%i[succeeded cached])
    end
  end

  describe "the progress of items" do
    it "is told five times a second at most, and completely at the end" do
      pipeline = Flowline.define do
        step(:rows) { (1..500).to_a }
        step(:map, each: :rows, on_item_error: :collect) { |row| row == 7 ? raise("seven") : sleep(0.001) }
      end
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      seen = watch(pipeline, :items_progress, executor: :sequential)
      seconds = Process.clock_gettime(Process::CLOCK_MONOTONIC) - began
      expect(seen.size).to be_between(2, (seconds * 5) + 2)
      expect(seen.last.result).to have_attributes(total: 500, done: 499, failed: 1)
      expect(seen.map { |event| event.result.done }).to eq(seen.map { |event| event.result.done }.sort)
    end

    it "is told of items that ended just after others were told of" do
      pipeline = Flowline.define do
        step(:rows) { [0, 0.01, 0.5] }
        step(:map, each: :rows, concurrency: 3) { |seconds| sleep(seconds) }
      end
      counts = watch(pipeline, :items_progress, executor: :parallel, max_threads: 3).map { |event| event.result.done }
      expect(counts).to eq([1, 2, 3])
    end
  end

  describe "caches" do
    it "are told of with what they had, and why they had nothing" do
      cache = Flowline::Cache::Memory.new
      pipeline = Flowline.define(name: "cached") { |p| p.step(:a, cache: { store: cache }) { 1 } }
      options = { checkpoint: false }
      expect(facts(watch(pipeline, :cache, **options))).to eq([[:a, Flowline::Event::Lookup.new(false, "there is no entry")]])
      expect(facts(watch(pipeline, :cache, **options))).to eq([[:a, Flowline::Event::Lookup.new(true)]])
      expect(facts(watch(pipeline, :cache, skip_cache: true, **options))).to eq([[:a, Flowline::Event::Lookup.new(false, "skip_cache: says not to look")]])
    end
  end

  describe "a cancellation" do
    it "says what finishes and which clean-ups run", executor: :in_process do
      started = Queue.new
      go = Queue.new
      pipeline = Flowline.define do
        step(:work) { (started << 1) && go.pop }
        step(:never, depends_on: :work) { |_| 1 }
        step(:clean, depends_on: :never, run_if: :always) { |_| 1 }
      end
      seen = Queue.new
      run = pipeline.start(executor: :parallel, reporter: Flowline::Reporter.for(:run_cancelling) { |event| seen << event })
      started.pop
      run.cancel
      expect(seen.pop.result).to have_attributes(now: false, running: [:work], clean_ups: [:clean])
      run.cancel(now: true)
      expect(seen.pop.to_h).to include(event: :run_cancelling, now: true, by: nil, running: [:work], clean_ups: [:clean])
      run.wait(10)
      expect(seen).to be_empty
    end
  end

  describe "each of them" do
    let(:pipeline) do
      Flowline.define(name: "all") do
        step(:rows) { [1, 2] }
        step(:map, each: :rows, retries: 1, retry_delay: 0.001, cache: true) { |row| row.odd? ? row : raise("even") }
      end
    end

    it "has a number, the id of the run and a time, and the same keys every time" do
      seen = watch(pipeline, :all, skip_cache: true)
      expect(seen.map(&:number)).to eq((1..seen.size).to_a)
      expect(seen.map(&:run_id).uniq).to eq([seen.last.result.run_id])
      expect(seen.map { |event| event.to_h.keys.first(5) }.uniq).to eq([%i[event number time run_id pipeline]])
      seen.group_by(&:name).each_value { |events| expect(events.map { |event| event.to_h.keys }.uniq.size).to eq(1) }
    end

    it "can be marshalled, with its error" do
      seen = watch(pipeline, :all, skip_cache: true)
      read = Marshal.load(Marshal.dump(seen))
      expect(read.map { |event| event.to_h.except(:steps) }).to eq(seen.map { |event| event.to_h.except(:steps) })
      error = read.find { |event| event.name == :attempt_finished && event.result.error }.result.error
      expect(error).to be_a(RuntimeError).and have_attributes(message: "even")
    end

    it "is written as JSON if it is asked for" do
      out = StringIO.new
      pipeline.run(reporter: Flowline::Reporter::JSON.new(out, events: :all))
      names = out.string.lines.map { |line| JSON.parse(line).fetch("event") }
      expect(names).to include("attempt_started", "cache", "items_progress", "step_waiting", "run_finished")
    end

    it "reaches no reporter that did not ask, and a reporter that raises is left out" do
      plain = []
      broken = Flowline::Reporter.for(:attempt_started) { raise "broken" }
      result = pipeline.run(reporter: [broken, ->(event) { plain << event.name }], skip_cache: true)
      expect(plain.uniq - Flowline::Event::ALWAYS).to be_empty
      expect(result.warnings.grep(/reporter .+ failed and was left out: RuntimeError: broken/).size).to eq(1)
      expect(result[:rows].status).to eq(:succeeded)
    end

    it "has a name that is known" do
      expect { Flowline::Reporter.for(:atempt_started) { 1 } }
        .to raise_error(ArgumentError, /Reporter.for: unknown event :atempt_started; did you mean :?attempt_started/)
      odd = Object.new.tap { |o| o.define_singleton_method(:call) { |_| 1 } && o.define_singleton_method(:event_names) { :step_started } }
      expect { pipeline.run(reporter: odd) }.to raise_error(Flowline::ParamError, /reporter Object: event_names is .+, not an Array of Symbols/)
    end
  end
end
