# frozen_string_literal: true

require "timeout"

RSpec.describe "Pools and rates" do
  workers = { max_threads: 8, max_processes: 8 }

  # Counts how many are in a step at once, in threads.
  let(:counter) do
    Class.new do
      def initialize
        @guard = Mutex.new
        @now = @most = 0
      end
      attr_reader :most

      def pass
        @guard.synchronize { @most = [@most, @now += 1].max }
        20.times { Thread.pass }
        @guard.synchronize { @now -= 1 }
      end
    end
  end

  def moments(starts)
    list = Array.new(starts.size) { starts.pop }
    list.map { |moment| moment - list.first }
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  describe "A pool" do
    %i[parallel process].each do |executor|
      it "admits no more steps than its size, under #{executor}" do
        gate = Gate.new
        run = Flowline.define do
          pool :db, 2
          6.times { |n| step(:"s#{n}", uses: :db) { gate.pass(n) } }
        end.start(executor: executor, **workers)
        gate.let_through(6, most: 2)
        expect(run.wait).to be_success
      end

      it "admits no more items than its size, whatever concurrency: says, under #{executor}" do
        gate = Gate.new
        run = Flowline.define do
          pool :db, 4
          step(:rows) { (1..5).to_a }
          step(:map, each: :rows, uses: { db: 2 }, concurrency: 3) { |n| gate.pass(n) }
        end.start(executor: executor, **workers)
        gate.let_through(5, most: 2)
        expect(run.wait[:map].output).to eq((1..5).to_a)
      end
    end

    it "lets a step that waits have its turn between the items of a step that was there first" do
      calls = Queue.new
      noted = Queue.new
      begun = Queue.new
      run = Flowline.define do
        pool :db, 1
        step(:rows) { (1..50).to_a }
        step(:load, each: :rows, uses: :db) do |row|
          begun << row if row == 3
          noted.pop if row == 4 # From here on :one could start, if it had the pool.
          calls << row
        end
        step(:report, depends_on: :load) { |_| nil } # Longer paths come first.
        step(:notice) { begun.pop }
        step(:one, depends_on: :notice, uses: :db) { |_| calls << :one }
        on_step_success { |step, _| noted << nil if step.name == :notice }
      end.run(executor: :parallel, **workers)
      expect(run).to be_success
      order = Array.new(calls.size) { calls.pop }
      expect(order.index(:one)).to be_between(4, 5)
    end

    it "of size one admits one step after the other" do
      seen = counter.new
      expect(run(executor: :parallel, max_threads: 8) do
        pool :file, 1
        step(:rows) { (1..20).to_a }
        step(:map, each: :rows, uses: :file) { |_| seen.pass }
        20.times { |n| step(:"s#{n}", uses: [:file]) { seen.pass } }
      end).to be_success
      expect(seen.most).to eq(1)
    end

    it "is used by name, in Arrays and in Hashes, and two pools used together cause no deadlock" do
      a = counter.new
      b = counter.new
      result = run(executor: :parallel, max_threads: 8) do
        pool "a", 2
        pool :b, 3
        40.times do |n|
          uses = [%i[a b], %w[b a], { a: 2, "b" => 3 }, { b: 1 }, :a, []][n % 6]
          names = uses.is_a?(Hash) ? uses.keys.map(&:to_sym) : Array(uses).map(&:to_sym)
          step(:"s#{n}", uses: uses, retries: 1, retry_delay: 0.001) do |ctx|
            within = -> { ctx.run_id }
            within = [b, within].then { |pool, inner| -> { pool.pass && inner.call } } if names.include?(:b)
            names.include?(:a) ? a.pass && within.call : within.call
          end
        end
      end
      expect(result).to be_success
      expect([a.most, b.most]).to match([be <= 2, be <= 3])
    end

    it "is released by steps that fail, time out or are cancelled" do
      result = run(executor: :parallel, max_threads: 2, on_error: :continue) do
        pool :db, 1
        step(:bad, uses: :db) { raise "no" }
        step(:slow, uses: :db, timeout: 0.02) { sleep }
        step(:rows) { [1, 2] }
        step(:items, each: :rows, uses: :db) { |_| raise "no" }
        step(:last, uses: :db) { :done }
      end
      expect(result[:last].output).to eq(:done)
    end

    it "is not held while a step or an item waits for a retry" do
      [{}, { each: :rows }].each do |options|
        tried = []
        other = Queue.new
        run = Flowline.define do |p|
          p.pool :db, 1
          p.step(:rows) { [1] }
          p.step(:flaky, depends_on: :rows, uses: :db, retries: 1, retry_delay: 1000, **options) { |_| (tried << 1) && raise(IOError) }
          p.step(:other, depends_on: :rows, uses: :db) { |_| other << :came }
        end.start(executor: :parallel, max_threads: 2)
        expect(Timeout.timeout(10) { other.pop }).to eq(:came)
        Thread.pass until run.waits == { flaky: "retry" } && run.steps[:other] == :succeeded
        expect(run.steps[:flaky]).to eq(:waiting)
        expect(run.cancel.wait(10).status).to eq(:cancelled)
      end
    end

    it "is shown as what waiting steps wait for" do
      gate = Gate.new
      run = Flowline.define do
        pool :api, 9
        pool :db, 1
        step(:first, uses: :db) { gate.pass }
        step(:second, uses: { api: 1, db: 1 }) { gate.pass }
      end.start(executor: :parallel, max_threads: 3)
      gate.wait
      Thread.pass until run.waits.any?
      expect(run.waits.values).to eq(["pool db"])
      expect(run.steps.values.sort).to eq(%i[running waiting])
      gate.release
      gate.wait
      expect(run.waits).to eq({})
      gate.release
      expect(run.wait).to be_success
    end

    it "is not used by conditions, restored and skipped steps" do
      result = run do
        pool :db, 1
        step(:skipped, uses: :db, when: ->(_) { false }) { 1 }
        step(:runs, uses: :db) { 2 }
      end
      expect(result.outputs).to eq(runs: 2)
    end

    it "may be of any size" do
      pipeline = Flowline.define do
        pool :db, 2**70
        step(:rows) { [1] }
        step(:map, each: :rows, uses: { db: 2**69 }, concurrency: 2**70) { |n| n }
      end
      expect(pipeline.run![:map].output).to eq([1])
    end
  end

  describe "Pools of other pipelines" do
    def part(size, name = :part)
      Flowline.define do |p|
        p.pool(:db, size) if size
        p.step(name, uses: :db) { name }
      end
    end

    it "are declared by including or nesting these" do
      included = part(2)
      nested = part(2, :inner)
      pipeline = Flowline.define do
        include included
        step(:nested, nested)
        step(:own, uses: { db: 2 }) { 1 }
      end
      expect(pipeline.pools).to eq(db: 2)
      expect(pipeline.run!.outputs.keys).to contain_exactly(:part, :"nested.inner", :own)
    end

    it "are shared when they have the same name" do
      gate = Gate.new
      inner = Flowline.define do
        pool :db, 2
        3.times { |n| step(:"in#{n}", uses: :db) { gate.pass } }
      end
      run = Flowline.define do
        step(:nested, inner)
        3.times { |n| step(:"out#{n}", uses: :db) { gate.pass } }
      end.start(executor: :parallel, max_threads: 8)
      gate.let_through(6, most: 2)
      expect(run.wait).to be_success
    end

    it "must have the same size everywhere, unless the outer pipeline declares it" do
      parts = [part(1, :x), part(2, :y), part(3, :z)]
      with = ->(before, after) { Flowline.define { |p| [before && p.pool(:db, before), parts.each { |part| p.include(part) }, after && p.pool(:db, after)] } }
      expect { with.call(nil, nil) }.to refuse(/\Apool db has 1 in one pipeline and 2 in another; declare it here \(#{__FILE__}:\d+\)/)
      expect([with.call(5, nil).pools, with.call(nil, 5).pools]).to eq([{ db: 5 }] * 2)
      expect(part(4, :x).include(part(2, :y)).pools).to eq(db: 4)
    end

    it "may be declared by the outer pipeline only" do
      without = part(nil)
      expect { without.validate! }.to refuse(/step part uses pool db, which doesn't exist/)
      expect(Flowline.define { pool(:db, 1) && include(without) }.run!.outputs).to eq(part: :part)
    end

    it "are inherited by pipeline classes, which may declare them again" do
      parent = Class.new(Flowline::Pipeline) do
        pool :db, 1
        step(:a, uses: :db) { 1 }
      end
      child = Class.new(parent) do
        pool :db, 3
        step(:b, uses: { db: 3 }) { 2 }
      end
      expect([parent.pipeline.pools, child.pipeline.pools, child.run!.outputs]).to eq([{ db: 1 }, { db: 3 }, { a: 1, b: 2 }])
    end
  end

  describe "A definition error" do
    it "lists unknown and too small pools before anything runs" do
      pipeline = Flowline.define do |p|
        p.pool :database, 2
        p.step(:a, uses: :databse) { raise "must not be called" }
        p.step(:b, uses: { database: 3 }) { raise "must not be called" }
        p.step(:c, uses: :zzz) { raise "must not be called" }
      end
      location = line(-4)
      %i[validate! run start].each do |moment|
        error = error_of { pipeline.public_send(moment) }
        expect(error).to be_a(Flowline::DefinitionError)
        expect(error.problems.map(&:message)).to match([
                                                         "step a uses pool databse, which doesn't exist; did you mean database? (#{location})",
                                                         /\Astep b uses 3 of pool database, which has 2; make it larger \(/,
                                                         /\Astep c uses pool zzz, which doesn't exist; declare it with `pool`; there are database \(/
                                                       ])
      end
    end

    it "refuses two pools of one name" do
      expect { Flowline.define { |p| p.pool(:db, 2) && p.pool("db", 3) } }.to refuse(/\Apool db is declared twice; remove one \(#{__FILE__}:\d+\)/)
    end

    it "refuses a pool without a name or a size" do
      [[:db, 0], [:db, -1], [:db, 1.5], [:db, "4"], [:db, nil], [3, 4], [nil, 1]].each do |arguments|
        expect { Flowline.define { |p| p.pool(*arguments) } }.to refuse(/\Apool takes a name and a whole number from 1 up, as in `pool :db, 4` \(#{__FILE__}:\d+\)/)
      end
    end

    it "refuses uses: and rate: of wrong types" do
      [3, { db: 0 }, { db: "1" }, { db: nil }, { 3 => 1 }, [3]].each do |uses|
        expect { Flowline.define { |p| p.step(:a, uses: uses) { 1 } } }.to refuse(/step a: uses: must be the name of a pool, an Array of names, or a Hash/)
      end
      ["0/s", "-1/s", "1.5/s", "10", 10, "10/x", "/s", "10/s x", "10 s", "1/2s", ["1/s"]].each do |rate|
        expect { Flowline.define { |p| p.step(:a, rate: rate) { 1 } } }.to refuse(%r{step a: rate: must be a number of starts .*as in "10/s"})
      end
      ["10/s", "1 / m", "5/h", "1/d", :"2/s", "99999999999999999999/d"].each do |rate|
        expect(Flowline.define { |p| p.step(:a, rate: rate) { 1 } }.run).to be_success
      end
    end
  end

  describe "A rate" do
    # At most +count+ calls in any +seconds+: the call after so many comes no sooner, but for the moment that it takes to
    # call something.
    def keeps_to(moments, count, seconds)
      moments.each_cons(count + 1) { |first, *, last| expect(last - first).to be > seconds * 0.9 }
    end

    # A map over those items, three a second, keeps to that.
    def expect_three_a_second(items)
      at_once([:sequential, :parallel]) do |executor|
        starts = Queue.new
        clock = -> { starts << now }
        result = run(executor: executor) do
          step(:rows) { items.call }
          step(:map, each: :rows, rate: "3/s") { |n| clock.call && n }
        end
        expect(result[:map].output).to eq(items.call.to_a)
        keeps_to(moments(starts), 3, 1.0)
      end
    end

    # Calls the block for each at the same time: they wait more than they do.
    def at_once(values, &block)
      values.map { |value| Thread.new(value, &block) }.each(&:value)
    end

    it "limits how often items start, after a first burst" do
      expect_three_a_second(-> { (1..7).to_a })
    end

    it "counts retries of steps and of items" do
      at_once([{}, { each: :rows }]) do |options|
        starts = Queue.new
        clock = -> { starts << now }
        result = Flowline.define do |p|
          p.step(:rows) { [1] }
          p.step(:map, depends_on: :rows, rate: "1/s", retries: 1, **options) { |_| clock.call && starts.size < 2 ? raise(IOError) : 1 }
        end.run
        expect(result[:map].attempts).to eq(2)
        keeps_to(moments(starts), 1, 1.0)
      end
    end

    it "belongs to one step, and holds neither a worker nor a pool while it waits", executor: :in_process do
      log = Queue.new
      run = Flowline.define do |p|
        p.pool :db, 1
        p.step(:rows) { [1, 2] }
        p.step(:map, each: :rows, rate: "1/h", uses: :db) { |n| log << n }
        p.step(:free, depends_on: :rows, uses: :db, rate: "1/h") { |_| log << :free }
      end.start
      expect(Timeout.timeout(10) { Array.new(2) { log.pop } }).to contain_exactly(1, :free)
      Thread.pass until run.waits == { map: "rate" }
      expect(run.steps).to eq(rows: :succeeded, map: :waiting, free: :succeeded)
      expect(run.cancel.wait(10)).to have_attributes(status: :cancelled)
    end

    it "counts calls, however fast an Enumerator yields its items" do
      bursts = lambda do
        Enumerator.new do |items|
          8.times do |n|
            sleep 0.6 if n == 2
            items << n
          end
        end
      end
      expect_three_a_second(bursts)
    end

    it "does not delay a step whose items have all ended" do
      [:sequential, :parallel].each do |executor|
        result = run(executor: executor) do
          step(:rows) { [1].each }
          step(:map, each: :rows, rate: "1/h") { |n| n }
        end
        expect(result[:map].output).to eq([1])
      end
    end

    it "is not used up by restored items" do
      [:sequential, :parallel].each do |executor|
        state = { bad: 2 }
        pipeline = Flowline.define(name: "rated") do |p|
          p.step(:rows) { [0, 1, 2, 3] }
          p.step(:map, each: :rows, concurrency: 1, rate: "3/h") { |n| n == state[:bad] ? raise("no") : n }
        end
        expect(pipeline.run(executor: executor)).to be_failed
        state.clear
        expect(pipeline.run!(resume: true, executor: executor, timeout: 10)[:map].output).to eq([0, 1, 2, 3])
      end
    end

    it "is not used up by cached items, nor by ones that fail before their call", executor: :in_process do
      pipeline = lambda do |rate|
        Flowline.define(name: "rated") do |p|
          p.step(:rows) { [0, 1, 2] }
          p.step(:map, each: :rows, rate: rate, cache: true, version: 1) { |n| n }
          p.step(:keyed, each: :rows, rate: "1/h", on_item_error: :collect, cache: { key: ->(*) { raise "no key" } }) { |n| n }
          p.step(:step, depends_on: :rows, rate: rate, cache: true) { |rows| rows }
        end
      end
      %i[parallel sequential].each_with_index do |executor, index|
        result = pipeline.call(index.zero? ? "3/h" : "1/h").run!(executor: executor, timeout: 10)
        expect(result[:map].output).to eq([0, 1, 2])
        expect(result[:keyed].item_errors.size).to eq(3)
      end
    end

    it "stops waiting when the run times out" do
      result = run(timeout: 0.5) do
        step(:rows) { [1, 2] }
        step(:map, each: :rows, rate: "1/d") { |n| n }
      end
      expect([result.status, result[:map].status, result[:map].reason]).to eq(%i[timed_out cancelled run_timed_out])
    end
  end
end
