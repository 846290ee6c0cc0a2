# frozen_string_literal: true

require "set"
require "timeout"

# Something to be gone through that is no collection of Ruby's.
class Twice
  include Enumerable

  def each
    yield 1
    yield 2, 3
    yield
  end
end

RSpec.describe "A step for each item", executor: :in_process do
  executors = %i[sequential parallel process]

  # A pipeline whose step :map is called for the items of a source.
  def mapping(source, define: {}, **options, &block)
    Flowline.define(**define) do |p|
      p.step(:source) { source }
      p.step(:map, each: :source, **options, &block)
    end
  end

  # How it ends, run in threads.
  def parallel(pipeline, threads: 4, **options)
    pipeline.run(executor: :parallel, max_threads: threads, **options)
  end

  # @return [Array] what is in a queue
  def drain(queue)
    Array.new(queue.size) { queue.pop }
  end

  def lines(path)
    File.exist?(path) ? File.readlines(path, chomp: true) : []
  end

  let(:path) { "#{ENV.fetch("FLOWLINE_ROOT")}.log" }

  describe "runs over" do
    {
      "an Array" => [[3, [4], nil], [3, [4], nil]], "a Hash" => [{ a: 1, b: 2 }, [[:a, 1], [:b, 2]]], "a Set" => [Set[1, 2], [1, 2]],
      "a Range" => [1..3, [1, 2, 3]], "a Struct" => [Struct.new("FlowlinePair", :left, :right).new(1, 2), [1, 2]], "an object with Enumerable" => [Twice.new, [1, [2, 3], nil]]
    }.each do |what, (source, items)|
      it("#{what}, with every executor") do
        executors.each { |executor| expect(mapping(source) { |item| item }.run!(executor: executor)[:map].output).to eq(items) }
      end
    end

    {
      "an Enumerator" => -> { [1, 2].each }, "a lazy one" => -> { (1..).lazy.map { |n| n * 2 }.first(3).lazy },
      "one with indices" => -> { %w[a b].each_with_index }
    }.each do |what, source|
      it(what) do
        items = source.call.to_a
        expect(mapping(source.call) { |item| item }.run![:map].output).to eq(items)
        expect(parallel(mapping(source.call) { |item| item })[:map].output).to eq(items)
      end
    end

    it "returns an empty Array for an empty source, and notifies of one step" do
      executors.each do |executor|
        [[], {}, Set[], 1...1].each do |none|
          events = []
          result = mapping(none) { |_| raise "must not be called" }.run(executor: executor, reporter: ->(event) { events << [event.name, event.step&.name] })
          expect([result.status, result[:map].output, result[:map].attempts]).to eq([:succeeded, [], 1])
          expect(events.count { |_, step| step == :map }).to eq(2)
        end
      end
      expect(mapping([].each.lazy) { |_| 1 }.run![:map].output).to eq([])
    end

    it "fails the step and says what it needs when the source is not Enumerable" do
      { nil => "NilClass", 3 => "Integer", "text" => "String" }.each do |source, kind|
        result = mapping(source, retries: 2) { |_| raise "must not be called" }.run
        expect(result[:map]).to have_attributes(status: :failed, error: Flowline::StepError)
        expect(result.error.message).to include("each: goes over the items of an Array or another Enumerable; step source gave #{kind}")
      end
    end
  end

  it "returns results in the order of the items, whichever ends first" do
    ended = Array.new(4) { Queue.new }
    result = parallel(mapping([0, 1, 2, 3]) do |n|
      ended[n + 1].pop if n < 3
      ended[n] << :ended
      n * 10
    end)
    expect(result[:map].output).to eq([0, 10, 20, 30])
  end

  describe "with a lazy source" do
    def counting(log, size = Float::INFINITY)
      Enumerator.new do |items|
        n = -1
        items << log.push(n += 1).last while n + 1 < size
      end
    end

    it "pulls an item when a worker can take it", executor: :sequential do
      log = []
      mapping(Enumerator.new { |items| 3.times { |n| items << log.push([:made, n]).last.last } }) { |n| log << [:called, n] }.run!
      expect(log).to eq([[:made, 0], [:called, 0], [:made, 1], [:called, 1], [:made, 2], [:called, 2]])
    end

    it "pulls at most one item ahead of the workers" do
      made = []
      gate = Gate.new
      run = mapping(counting(made, 9), concurrency: 3) { |n| gate.pass(n) }.start(executor: :parallel, max_threads: 8)
      3.times do |round|
        gate.wait(3)
        expect(made.size).to be <= ((round + 1) * 3) + 1
        gate.release(3)
      end
      expect(run.wait[:map].output).to eq((0..8).to_a)
    end

    it "ends when an item of an endless source fails" do
      [:sequential, :parallel].each do |executor|
        made = []
        result = mapping(counting(made)) { |n| n == 20 ? raise("enough") : n }.run(executor: executor, max_threads: 3)
        expect([result[:map].status, result.error.item, made.size]).to match([:failed, 20, be < 30])
      end
    end

    it "ends when the run is cancelled or times out" do
      [:sequential, :parallel].each do |executor|
        reached = Queue.new
        run = mapping(counting([])) { |n| reached << n }.start(executor: executor)
        reached.pop
        expect(run.cancel.wait(10)).to have_attributes(status: :cancelled)
        expect(run.steps).to eq(source: :succeeded, map: :cancelled)
        expect(mapping(counting([])) { |n| n }.run(executor: executor, timeout: 0.05).status).to eq(:timed_out)
      end
    end

    it "fails with the error that the source raises, at the first item or later" do
      [:sequential, :parallel].each do |executor|
        [IOError.new("gone"), StopIteration.new("not the end")].each do |error|
          [0, 2].each do |after|
            called = Queue.new
            source = Enumerator.new { |items| after.times { |n| items << n } && raise(error) }
            result = mapping(source, retries: 3, on_item_error: :collect) { |n| called << n }.run(executor: executor)
            expect(result[:map]).to have_attributes(status: :failed, output: nil)
            expect(result.error).to be_an_instance_of(Flowline::StepError).and have_attributes(original: equal(error))
            expect(drain(called).sort).to eq([0, 1].first(after))
          end
        end
      end
    end

    it "stops a slow source when the run times out" do
      [:sequential, :parallel].each do |executor|
        result = mapping(Enumerator.new { |items| items << sleep }) { |n| n }.run(executor: executor, timeout: 0.05)
        expect([result.status, outcomes(result)[:map]]).to eq([:timed_out, %i[cancelled run_timed_out]])
      end
    end

    it "runs the ensure of a source that was not exhausted, even if that raises" do
      [:sequential, :parallel].each do |executor|
        cleaned = Queue.new
        source = Enumerator.new do |items|
          loop { items << 1 }
        rescue StandardError
          raise "must not be rescued"
        ensure
          cleaned << Thread.current.name
          raise "no matter" if cleaned.empty?
        end
        result = mapping(source) { |_| raise "no" }.run(executor: executor)
        expect([result.error.message, Timeout.timeout(10) { cleaned.pop }]).to match([/no/, "flowline items"])
      end
    end

    it "runs the ensure of the source before steps that run always, and before the run ends" do
      [:sequential, :parallel].each do |executor|
        { failed: -> { raise "no" }, cancelled: -> { @run.pop.tap { |run| @run << run }.cancel }, timed_out: -> { sleep 0.5 } }.each do |status, ending|
          @run = Queue.new
          log = Queue.new
          source = Enumerator.new do |items|
            loop { (items << 1) && sleep(0.01) }
          ensure
            log << (sleep(0.05) && :closed)
          end
          run = Flowline.define do |p|
            p.step(:source) { source }
            p.step(:map, each: :source) { |_| ending.call }
            p.step(:clean, depends_on: :map, run_if: :always) { |_| log << :clean }
          end.start(executor: executor, timeout: status == :timed_out ? 0.2 : 60)
          @run << run
          expect(run.wait(10).status).to eq(status)
          expect(drain(log)).to eq(%i[closed clean])
        end
      end
    end

    it "continues with run_if: :always when the run times out or is cancelled now" do
      [:sequential, :parallel].each do |executor|
        source = Enumerator.new { |items| 4.times { |n| sleep(0.1) && items.yield(n) } }
        result = mapping(source, run_if: :always) { |n| n }.run(executor: executor, timeout: 0.15)
        expect([result.status, result[:map].output]).to eq([:timed_out, [0, 1, 2, 3]])
      end
      executors.each do |executor|
        gate = Gate.new
        run = mapping([0, 1, 2], concurrency: 1, run_if: :always) { |n| gate.pass(n) }.start(executor: executor)
        gate.wait
        run.cancel(now: true)
        gate.release(3)
        expect(run.wait(10)[:map].output).to eq([0, 1, 2])
      end
    end

    it "pulls only a few items while others wait for a retry" do
      stub_const("Flowline::Execution::Items::Producer::WAITING", 5)
      [:sequential, :parallel].each do |executor|
        made = []
        result = mapping(counting(made), concurrency: 2, retries: 1, retry_strategy: :linear, retry_delay: 60) { |_| raise "no" }.run(executor: executor, timeout: 1)
        expect([result.status, made.size]).to eq([:timed_out, executor == :sequential ? 6 : 7]) # One works, or two; five wait.
      end
    end

    it "does not block other fibers of its thread under a Fiber scheduler" do
      queue = Thread::Queue.new
      output = nil
      Thread.new do
        Fiber.set_scheduler(FiberLoop.new)
        Fiber.schedule { 3.times { |n| sleep(0.01) && queue.push(n) } && queue.close }
        source = Enumerator.new { |items| while (n = queue.pop) do items << n end }
        Fiber.schedule { output = mapping(source) { |n| n }.run(timeout: 10)[:map].output }
      end.join
      expect(output).to eq([0, 1, 2])
    end

    it "abandons a source that does not stop, with a warning" do
      stub_const("Flowline::Executor::GRACE", 0.05)
      go = Queue.new
      source = Enumerator.new do |items|
        loop { items << 1 }
      ensure
        go.pop
      end
      result = parallel(mapping(source) { |_| raise "no" })
      expect(result.warnings).to eq(["the source of step map did not stop, and may still run"])
      go << :on
    end

    # An Enumerator that yields its second item once the queue has one.
    def slow(go)
      Enumerator.new do |items|
        items << 1
        items << go.pop
      end
    end

    it "holds neither a worker nor a pool while the source makes an item" do
      go = Queue.new
      log = Queue.new
      run = Flowline.define do |p|
        p.pool :db, 1
        p.step(:rows) { slow(go) }
        p.step(:map, each: :rows, uses: :db, concurrency: 8) { |n| (log << :item) && n }
        p.step(:first, depends_on: :rows, uses: :db) { |_| log << :first }
        p.step(:second, depends_on: :first, uses: :db) { |_| log << :second }
      end.start(executor: :parallel, max_threads: 1)
      expect(Timeout.timeout(10) { Array.new(3) { log.pop } }).to match_array(%i[item first second])
      expect([run.steps[:map], run.waits]).to eq([:running, {}])
      go << 2
      expect(run.wait(10)[:map].output).to eq([1, 2])
    end

    it "ends at once when the run is cancelled or times out while the source makes an item" do
      run = mapping(slow(Queue.new)) { |n| n }.start(executor: :parallel)
      Thread.pass until run.steps[:map] == :running
      expect(run.cancel.wait(10).status).to eq(:cancelled)
      expect(outcomes(mapping(slow(Queue.new)) { |n| n }.run(executor: :parallel, timeout: 0.1))[:map]).to eq(%i[cancelled run_timed_out])
    end

    it "fails when the thread of its source is killed" do
      go = Queue.new
      before = Thread.list # Those of other examples may be about to end.
      run = mapping(slow(go)) { |n| n }.start(executor: :parallel)
      Thread.pass until go.num_waiting == 1
      (Thread.list - before).find { |thread| thread.name == "flowline items" }.kill
      expect(run.wait(10).error.message).to include("step map failed: ThreadError: the thread that read the items was killed")
    end

    it "ends the run in good order when its source raises an exception that ends programs" do
      [:sequential, :parallel].each do |executor|
        [NotImplementedError.new("not here"), SystemExit.new(3)].each do |error|
          ended = nil
          source = Enumerator.new { |items| (items << 1) && raise(error) }
          pipeline = Flowline.define do |p|
            p.after_run { |result| ended = outcomes(result)[:map] }
            p.step(:source) { source }
            p.step(:map, each: :source) { |n| n }
          end
          expect { pipeline.run(executor: executor) }.to raise_error(equal(error))
          expect(ended).to eq(SystemExit === error ? %i[cancelled interrupted] : :failed)
        end
      end
    end

    it "runs the source with the stack of a thread, not with the small one of a Fiber" do
      depth = ->(n) { n.zero? ? 0 : 1 + depth.call(n - 1) }
      measure = lambda do
        reached = 0
        dig = ->(n) { dig.call(reached = n) && nil if n += 1 }
        begin
          dig.call(0)
        rescue SystemStackError
          reached
        end
      end
      in_fiber = Fiber.new { measure.call }.resume
      %i[sequential parallel].each do |executor|
        source = Enumerator.new { |items| items << measure.call }
        deepest = mapping(source) { |n| n }.run!(executor: executor)[:map].output.first
        expect(deepest).to be > 2 * in_fiber
        expect(mapping(Enumerator.new { |items| items << depth.call(in_fiber) }) { |n| n }.run!(executor: executor)[:map].output).to eq([in_fiber])
      end
    end

    it "pulls each item once, however often it is retried" do
      [:sequential, :parallel].each do |executor|
        made = []
        tried = Hash.new(0)
        result = mapping(counting(made, 30), retries: 2) { |n| (tried[n] += 1) < 3 && n.odd? ? raise("again") : n }.run(executor: executor)
        expect([result[:map].output, made]).to eq([(0..29).to_a] * 2)
      end
    end
  end

  describe "passes its callable" do
    def given(each: :rows, on: nil, rows: [1, 2], &block)
      Flowline.define do |p|
        p.param :limit, default: 7
        p.step(:rows) { rows }
        p.step(:a) { :a }
        p.step(:fetch_b) { :b }
        p.step(:map, each: each, depends_on: on, &block)
      end.run!(input: :never)[:map].output
    end

    it "the item first, then the other dependencies by the usual rules" do
      expect(given { |row| row }).to eq([1, 2])
      expect(given { |row, ctx| [row, ctx[:limit]] }).to eq([[1, 7], [2, 7]])
      expect(given(on: :a) { |row, a| [row, a] }).to eq([[1, :a], [2, :a]])
      expect(given(on: %i[a fetch_b]) { |row, a, b| [row, a, b] }).to eq([[1, :a, :b], [2, :a, :b]])
      expect(given(on: %i[a fetch_b]) { |row, all| [row, all] }).to eq([[1, { a: :a, fetch_b: :b }], [2, { a: :a, fetch_b: :b }]])
      expect(given(on: %i[a]) { |row, b: 0, a: 0, limit: 0, ctx: 0| [row, b, a, limit, ctx.class] }.first).to eq([1, 0, :a, 7, Flowline::Context])
      expect(given(on: %i[a fetch_b]) { |row, b:| [row, b] }.first).to eq([1, :b])
      expect(given(on: %i[a fetch_b]) { |row, *rest, **more| [row, rest, more] }.first).to eq([1, %i[a b], {}])
      expect(given(on: %i[a fetch_b]) { |row, **rest| [row, rest] }.first).to eq([1, { a: :a, fetch_b: :b }])
      expect(given { |*all| all }).to eq([[1], [2]])
      expect(given { [_1] }).to eq([[1], [2]])
      expect(given { :nothing }).to eq(%i[nothing nothing])
    end

    it "the item first, wherever depends_on: names the source" do
      expect(given(on: %i[a rows fetch_b]) { |row, a, b| [row, a, b] }.last).to eq([2, :a, :b])
      expect(given(each: "rows", on: "a") { |row, a| [row, a] }.last).to eq([2, :a])
    end

    it "each item as one argument, whatever it is" do
      rows = [[1, 2], [], { a: 1 }, nil, false]
      expect(given(rows: rows) { |row| row }).to eq(rows)
      expect(given(rows: rows) { |row, *rest| [row, rest] }).to eq(rows.map { |row| [row, []] })
      expect(given(rows: rows, on: :a) { |row, **rest| [row, rest] }).to eq(rows.map { |row| [row, { a: :a }] })
      expect(given(rows: [[1, [2, 3]]]) { |(a, (b, c))| [a, b, c] }).to eq([[1, 2, 3]])
      expect(given(rows: { x: 1 }) { |(key, value), ctx| [key, value, ctx.class] }).to eq([[:x, 1, Flowline::Context]])
    end

    it "the item, for every kind of callable" do
      stateful = Class.new { def call(row) = (@count = (@count || 0) + row) }
      static = Class.new { def self.call(row, ctx) = [row, ctx.class] }
      step = Class.new(Flowline::Step) { def call(row, a:) = [row, a] }
      outputs = Flowline.define do |p|
        p.step(:rows) { [1, 2] }
        p.step(:a) { :a }
        p.step(:symbol, each: :rows, &:succ)
        p.step(:method, Rational(1).method(:+), each: :rows)
        p.step(:lambda, ->(row) { row }, each: :rows)
        p.step(:fresh, stateful, each: :rows)
        p.step(:kept, stateful.new, each: :rows)
        p.step(:static, static, each: :rows)
        p.step(:step, step, each: :rows, depends_on: :a)
      end.run!.outputs
      expect(outputs).to include(symbol: [2, 3], method: [2, 3], lambda: [1, 2], fresh: [1, 2], kept: [1, 3], step: [[1, :a], [2, :a]],
                                 static: [[1, Flowline::Context], [2, Flowline::Context]])
    end

    it "the item, with the options that a step class declares" do
      type = Class.new(Flowline::Step) do
        options each: :rows, on_item_error: :collect
        def call(row) = Integer(row)
      end
      result = run do
        step(:rows) { %w[1 x] }
        step(:map, type)
      end
      expect([result[:map].output.first, result[:map].item_errors.size]).to eq([1, 1])
    end

    it "the item, or refuses a callable that cannot take it" do
      expect { given(on: %i[a fetch_b]) { |_row, _a, _b, _c, _d| 1 } }.to refuse(/step map takes 5 values by position, but gets only 4: the item, a, fetch_b, the context/)
      expect { given { |_row, nobody:| nobody } }.to refuse(/step map keyword nobody: is neither a dependency nor a param/)
    end
  end

  describe "in the graph" do
    it "depends on its source and is one node" do
      pipeline = mapping([1, 2]) { |n| n }
      expect(pipeline.dag[:map].depends_on).to eq([:source])
      expect(pipeline.dag.to_mermaid).to eq("graph TD\n  source --> map\n")
      expect { Flowline.define { step(:map, each: :sorce) { |n| n } and step(:source) { [] } }.validate! }
        .to refuse(/sorce.*did you mean source\?/)
    end

    it "maps the output of another mapped step" do
      result = parallel(Flowline.define do
        step(:rows) { [1, 2] }
        step(:double, each: :rows) { |n| n * 2 }
        step(:text, each: :double, &:to_s)
        step(:all, depends_on: %i[double text]) { |double, text| [double, text] }
      end)
      expect(result[:all].output).to eq([[2, 4], %w[2 4]])
    end

    it "maps the output of a nested pipeline, and works inside one" do
      inner = Flowline.define do
        step(:split) { |text| text.chars }
        step(:up, each: :split, &:upcase)
      end
      result = run do
        step(:text) { "ab" }
        step(:inner, inner, depends_on: :text)
        step(:twice, each: :inner) { |char| char * 2 }
      end
      expect(result.outputs).to eq(text: "ab", "inner.split": %w[a b], "inner.up": %w[A B], twice: %w[AA BB])

      leaves = Flowline.define do
        step(:one) { 1 }
        step(:two) { 2 }
      end
      result = run do
        step(:both, leaves)
        step(:pairs, each: :both) { |name, *| name }
        step(:whole, each: :both) { |pair| pair }
      end
      expect(result.outputs).to include(whole: [[:one, 1], [:two, 2]])
    end

    it "works in a pipeline that is included, with a prefix and wired" do
      part = Flowline.define do
        step(:rows) { |n| Array.new(n) { |i| i } }
        step(:map, each: :rows, depends_on: :rows) { |row| row + 1 }
      end
      result = run do
        step(:size) { 3 }
        include part, prefix: :part, depends_on: :size
        step(:sum, each: :part_map) { |n| n }
      end
      expect(result.outputs).to eq(size: 3, part_rows: [0, 1, 2], part_map: [1, 2, 3], sum: [1, 2, 3])

      open = Flowline.define { step(:map, each: :rows) { |row| row } }
      expect { open.validate! }.to refuse(/rows/)
      expect(run { step(:rows) { [5] } and include(open) }.outputs).to eq(rows: [5], map: [5])
    end

    it "is skipped as a whole by a condition that gets the source's output" do
      seen = []
      condition = ->(ctx, rows) { seen.push(ctx.class, rows) && rows.size > 2 }
      expect(outcomes(mapping([1, 2], when: condition) { |_| raise "must not be called" }.run)).to eq(source: :succeeded, map: %i[skipped condition])
      expect(mapping([1, 2], unless: condition) { |n| n }.run[:map].output).to eq([1, 2])
      expect(seen).to eq([Flowline::Context, [1, 2]] * 2)
    end

    it "is skipped with its source, and fails without one if it runs always" do
      pipeline = Flowline.define do
        step(:source, when: ->(_) { false }) { [1] }
        step(:map, each: :source) { |n| n }
        step(:always, each: :source, run_if: :always, optional: true) { |n| n }
      end
      expect(outcomes(pipeline.run)).to eq(source: %i[skipped condition], map: %i[skipped upstream_skipped], always: :failed)
    end

    it "refuses item options on a step without items" do
      expect { Flowline.define { |p| p.step(:a, concurrency: 2, on_item_error: :fail) { 1 } } }
        .to refuse(/\Astep a: concurrency: and on_item_error: without each:, the step whose items it is called for/)
      {
        { concurrency: 0 } => /concurrency: must be a whole number from 1 up/, { concurrency: "2" } => /concurrency/, { each: 3 } => /each: must be the name of a step/,
        { each: %i[a b] } => /each: must be the name of a step, not \[:a, :b\]/, { on_item_error: :skip } => /on_item_error: must be :fail, :continue or :collect, not :skip/
      }.each { |options, message| expect { Flowline.define { |p| p.step(:a, each: :b, **options) { 1 } } }.to refuse(message) }
    end

    it "takes item options from defaults that other steps share" do
      result = run do
        defaults on_item_error: :collect, concurrency: 1
        step(:rows) { [1] }
        step(:map, each: :rows) { |_| raise "no" }
      end
      expect(result[:map].item_errors.size).to eq(1)
    end
  end

  describe "with concurrency" do
    %i[parallel process].each do |executor|
      it "runs as many items at once as concurrency: says under #{executor}, else as there are workers" do
        { { concurrency: 2 } => 2, {} => 3 }.each do |options, most|
          gate = Gate.new
          run = mapping((1..7).to_a, **options) { |n| gate.pass(n) }.start(executor: executor, max_threads: 3, max_processes: 3)
          gate.let_through(7, most: most)
          expect(run.wait[:map].output).to eq((1..7).to_a)
        end
      end
    end
  end

  describe "with failed items" do
    it "fails with the item's error and starts no further item" do
      executors.each do |executor|
        path = "#{self.path}.#{executor}"
        result = mapping(%w[a b c d], concurrency: 1) { |text| File.write(path, "#{text}\n", mode: "a") && text == "b" ? raise(ArgumentError, "no #{text}") : text }
                 .run(executor: executor)
        expect(result.error).to be_a(Flowline::ItemError).and have_attributes(step_name: :map, position: 1, item: "b", attempts: 1, original: ArgumentError)
        expect(result.error.message).to match(/\Astep map failed at item 2 \("b"\): ArgumentError: no b/)
        expect(result.error.cause).to equal(result.error.original)
        expect([result[:map].output, lines(path)]).to eq([nil, %w[a b]])
      end
    end

    it "lets running items finish, records them, and reports the first failure" do
      started = Queue.new
      go = Queue.new
      tried = Queue.new
      broken = { now: true }
      pipeline = mapping([0, 1, 2, 3], retries: 1, retry_if: ->(error) { error.is_a?(IOError) }) do |n|
        tried << n
        next n unless broken[:now]

        n == 3 ? 3.times { started.pop } : (started << n) && go.pop
        raise(%w[second third].include?(n.to_s) || n == 3 ? "first" : IOError.new("again")) if [1, 3].include?(n)

        n
      end
      thread = Thread.new { parallel(pipeline) }
      # The one that failed has been reported when its thread has nothing to do.
      Thread.pass until go.num_waiting == 3 && tried.size == 4 && Thread.list.select { |t| t.name.to_s.start_with?("flowline worker") }.all?(&:stop?)
      3.times { go << :go }
      expect(thread.value.error).to have_attributes(position: 3, original: have_attributes(message: "first"))
      expect(drain(tried).sort).to eq([0, 1, 2, 3])
      broken[:now] = false
      expect(parallel(pipeline, resume: true)[:map].output).to eq([0, 1, 2, 3])
      expect(drain(tried).sort).to eq([1, 3])
    end

    it "collects errors in the output and in the result with on_item_error: :collect" do
      executors.each do |executor|
        result = run(executor: executor) do
          step(:source) { [1, 0, 2, 0] }
          step(:map, each: :source, on_item_error: :collect) { |n| 10 / n }
          step(:good, depends_on: :map) { |all| all.grep_v(Flowline::ItemError) }
          step(:each, each: :map) { |item| item.class.name }
        end
        expect(result).to be_success
        expect(result[:map].item_errors.map { |error| [error.position, error.item, error.original.class] }).to eq([[1, 0, ZeroDivisionError], [3, 0, ZeroDivisionError]])
        expect(result[:map].output.values_at(1, 3)).to eq(result[:map].item_errors)
        expect(result.outputs).to include(good: [10, 5], each: %w[Integer Flowline::ItemError Integer Flowline::ItemError])
      end
    end

    it "does not fail the run when it is optional" do
      result = run do
        step(:source) { [1] }
        step(:map, each: :source, optional: true) { |_| raise "no" }
        step(:after, depends_on: :map) { |_| 1 }
      end
      expect(outcomes(result)).to eq(source: :succeeded, map: :failed, after: %i[skipped upstream_skipped])
      expect(result.warnings).to contain_exactly(/\Aoptional step map failed at item 1/)
    end

    it "suggests next when its block returns", executor: :sequential do
      expect(parallel(mapping([1]) { |_| break 5 }).error.message).to match(/at item 1.*use `next`/)
      expect(mapping([1, 2]) { |n| next n * 2 if n == 1 }.run![:map].output).to eq([2, nil])
      ended = []
      left = Flowline.define do |p|
        p.after_run { |result| ended << outcomes(result) }
        p.step(:source) { [1, 2] }
        p.step(:map, each: :source) { |n| throw :out, n }
      end
      expect(catch(:out) { left.run }).to eq(1)
      expect(ended).to eq([{ source: :succeeded, map: %i[cancelled interrupted] }])
    end

    it "checks the type of the whole output" do
      expect(mapping([1], output: Array) { |n| n }.run(check_types: true)).to be_success
      result = mapping([1], output: Hash) { |n| n }.run(check_types: true)
      expect(result.error.original).to be_a(TypeError).and have_attributes(message: "output is Array (1), not Hash")
      expect(mapping([1], input: Hash) { |_| raise "must not be called" }.run(check_types: true).error.original).to be_a(TypeError)
    end
  end

  describe "with retries" do
    it "retries each item separately, and notifies with the item's index" do
      executors.each do |executor|
        path = "#{self.path}.#{executor}"
        seen = []
        pipeline = Flowline.define do |p|
          p.on_step_retry { |step, error, attempt| seen << [step.name, error.class, attempt] }
          p.step(:source) { %w[a b c] }
          p.step(:map, each: :source, retries: 2) do |text|
            File.write(path, "#{text}\n", mode: "a")
            raise IOError if text == "b" && File.readlines(path, chomp: true).count("b") < 3

            text
          end
        end
        events = []
        result = pipeline.run(executor: executor, reporter: ->(event) { events << event.result.item if event.name == :step_retried })
        expect(result[:map]).to have_attributes(output: %w[a b c], attempts: 3)
        expect(lines(path).tally).to eq("a" => 1, "b" => 3, "c" => 1)
        expect([seen, events]).to eq([[[:map, IOError, 1], [:map, IOError, 2]], [1, 1]])
      end
    end

    it "reports the attempts of each item, and the highest number in history" do
      tries = Hash.new(0)
      result = mapping([1, 2, 3], define: { name: "tries" }, retries: 3, on_item_error: :collect, retry_if: ->(error) { error.message == "again" }) do |n|
        raise((tries[n] += 1) < n ? "again" : "enough") if n > 1

        n
      end.run
      expect(result[:map].item_errors.map(&:attempts)).to eq([2, 3])
      store = Flowline::Store.at(ENV.fetch("FLOWLINE_ROOT"))
      expect([result[:map].attempts, store.steps(store.runs("tries", 1).first[:id]).last[:attempts]]).to eq([3, 3])
    end

    it "holds no worker while an item waits for a retry" do
      log = []
      result = mapping([0, 1, 2], retries: 1, retry_delay: 1) { |n| (log << n) && log.count(0) == 1 && n.zero? ? raise(IOError) : n }.run!
      expect([log, result[:map].output]).to eq([[0, 1, 2, 0], [0, 1, 2]])
    end

    it "is reported as cancelled once when the run is cancelled while an item waits for a retry" do
      told = []
      tried = Queue.new
      pipeline = mapping([1], retries: 1, retry_delay: 1000, on_retry: ->(*) { tried << 1 }) { |_| raise IOError }
      run = pipeline.start(reporter: ->(event) { told << [event.step.name, event.result.status] if event.name == :step_finished })
      tried.pop
      Thread.pass until run.waits == { map: "retry" }
      expect(run.cancel.wait(10).status).to eq(:cancelled)
      expect(told).to eq([%i[source succeeded], %i[map cancelled]])
    end
  end

  describe "with time limits" do
    # Seconds in which an item that does nothing has surely ended, on a busy machine too.
    def enough(executor)
      executor == :process ? 1.5 : 0.3
    end

    it "limits each attempt of each item separately" do
      executors.each do |executor|
        limit = enough(executor)
        result = mapping([0, 1], timeout: limit) { |n| n.zero? ? 0 : sleep }.run(executor: executor)
        expect(result[:map].status).to eq(:timed_out)
        expect(result.error).to be_a(Flowline::TimeoutError).and have_attributes(scope: :step, limit: limit)
        result = mapping([0, 1], timeout: limit, on_item_error: :collect) { |n| n.zero? ? 0 : sleep }.run(executor: executor)
        expect([result[:map].output.first, result[:map].item_errors.map { |error| error.original.class }]).to eq([0, [Flowline::TimeoutError]])
      end
      tries = 0
      expect(mapping([0], timeout: 0.3, retries: 1) { |_| (tries += 1) == 1 ? sleep : :done }.run![:map].output).to eq([:done])
    end

    it "kills an isolated item that does not stop" do
      result = mapping([1, 2], timeout: 1.5, isolate: :process, on_item_error: :collect) { |n| n == 1 ? Process.pid : trap(:TERM, "IGNORE") && loop { nil } }.run
      expect([result[:map].output.first, result[:map].item_errors.size]).to match([be_an(Integer), 1])
      expect(result[:map].output.first).not_to eq(Process.pid)
    end

    it "abandons an item that does not stop, and runs the others" do
      stuck = Queue.new
      pipeline = mapping([0, 1], timeout: 0.3, on_item_error: :collect) { |n| n.zero? ? Thread.handle_interrupt(Object => :never) { stuck.pop } : n }
      result = Timeout.timeout(10) { parallel(pipeline) }
      expect(result[:map].item_errors.map(&:position)).to eq([0])
      expect(result.warnings).to include("item 1 of step map did not stop when its time was up, and may still run")
      stuck << :go
    end

    it "times out when the run times out" do
      executors.each do |executor|
        told = []
        result = mapping((0..9).to_a, on_item_error: :collect, retries: 3) { |n| n.zero? ? n : sleep }
                 .run(executor: executor, timeout: enough(executor), reporter: ->(event) { told << event.step.name if event.name == :step_finished })
        expect([result.status, result[:map].status, result[:map].error.scope]).to eq(%i[timed_out timed_out run])
        expect(told).to eq(%i[source map])
      end
    end
  end

  describe "with a cache" do
    let(:log) { [] }
    let(:rows) { [1, 2, 3] }

    def cached(cache, **options, &block)
      log = self.log
      rows = self.rows
      Flowline.define(name: "cached") do |p|
        p.step(:rows) { |given| given || rows }
        next p.step(:map, each: :rows, cache: cache, **options, &block) if block

        p.step(:map, each: :rows, cache: cache.is_a?(Hash) ? { key: ->(row) { row } }.merge(cache) : cache, **options) { |row| [log << row, row * 2].last }
      end
    end

    it "calls its block for new items only" do
      store = { store: Flowline::Cache::Memory.new }
      expect(cached(store).run!(input: [1, 2, 3])[:map].output).to eq([2, 4, 6])
      result = cached(store).run!(input: [3, 5, 1])
      expect([result[:map].output, result[:map].status, log]).to eq([[6, 10, 2], :succeeded, [1, 2, 3, 5]])
      expect(cached(store, skip_cache: true).run!(input: [1])[:map].output).to eq([2])
      expect(log).to eq([1, 2, 3, 5, 1])
    end

    it "passes the item to key:, and fails that item when key: raises" do
      key = ->(row, ctx) { row.zero? ? raise("no key") : [row.abs, ctx.pipeline_name] }
      store = Flowline::Cache::Memory.new
      expect(cached({ key: key, store: store }).run!(input: [4, -4])[:map].output).to eq([8, 8])
      result = cached({ key: key, store: store }, on_item_error: :collect, retries: 2).run(input: [0, 4])
      expect(result[:map].output.last).to eq(8)
      expect(result[:map].item_errors.first).to have_attributes(position: 0, attempts: 1, message: /no key/)
      expect(cached({ key: key, store: store }).run(input: [0]).error).to be_a(Flowline::ItemError)
    end

    it "warns once why its items are not cached" do
      files = Array.new(2) { IO.new(IO.sysopen(File::NULL)) }
      result = cached({ store: Flowline::Cache::Memory.new }) { |io| io.class }.run(input: files)
      expect(result.warnings.grep(/is not cached/)).to contain_exactly(/step map is not cached: it gets something that cannot be digested/)
    end
  end

  describe "when resumed" do
    # State is in a Hash, because a step is another one when its variables are bound to other objects.
    let(:state) { { config: :old, bad: [2], rows: [0, 1, 2, 3], log: [] } }

    def resumable(name, version: nil, **settings)
      state = self.state
      Flowline.define(name: name, **settings) do |p|
        p.step(:config) { state[:config] }
        p.step(:rows) { state[:rows] }
        p.step(:map, each: :rows, depends_on: :config, version: version) do |row, config|
          state[:log] << row
          raise "bad" if state[:bad].include?(row)

          [row, config]
        end
        p.step(:last, depends_on: :map) { |_| state[:bad].empty? || raise("not yet") }
      end
    end

    def again(pipeline, bad: [], **options)
      state[:bad] = bad
      state[:log].clear
      pipeline.run(**options)
    end

    [nil, "items"].each do |name|
      context name ? "with a name" : "without a name" do
        let(:pipeline) { resumable(name).tap(&:run) }

        it "calls its block for missing items only" do
          expect(pipeline.run(dry_run: true, resume: true)[:map]).to have_attributes(action: :run, reason: "2 items are recorded")
          result = again(pipeline, resume: true)
          expect([state[:log], result[:map].status, result[:map].output]).to eq([[2, 3], :succeeded, [0, 1, 2, 3].map { |row| [row, :old] }])
          expect(again(pipeline, resume: true)[:map].output.size).to eq(4)
          expect(state[:log]).to eq([0, 1, 2, 3])
        end

        it "can be resumed several times" do
          again(pipeline, bad: [3], resume: true)
          expect(state[:log]).to eq([2, 3])
          again(pipeline, resume: true)
          expect(state[:log]).to eq([3])
        end

        it "calls its block for all items after from:, and never restores older ones" do
          state[:config] = :new
          again(pipeline, bad: [0], from: :config)
          expect(state[:log]).to eq([0])
          result = again(pipeline, resume: true)
          expect([state[:log], result[:map].output.map(&:last)]).to eq([[0, 1, 2, 3], [:new] * 4])
        end

        it "never restores older items of a step that had completed" do
          again(pipeline, bad: [9], resume: true)
          state[:config] = :new
          again(pipeline, bad: [1], from: :config)
          expect(again(pipeline, resume: true)[:map].output.map(&:last)).to eq([:new] * 4)
        end

        it "calls its block for an item that changed or moved" do
          pipeline
          state[:rows].replace([1, 0, 2, 3])
          again(pipeline, resume: true, from: :rows, bad: [9])
          state[:rows].replace([0, 1, 2, 3])
          pipeline.run
          pipeline.run(from: :rows)
          expect(again(pipeline, resume: true)[:map].output.map(&:first)).to eq([0, 1, 2, 3])
        end

        it "calls its block for items that cannot be digested" do
          io = [File.open(File::NULL), 1]
          calls = []
          state = { bad: true }
          pipeline = Flowline.define(name: name) do |p|
            p.step(:rows, checkpoint: name.nil?) { io }
            p.step(:map, each: :rows) { |row| (calls << row.class) && row.class.name }
            p.step(:last, depends_on: :map, each: :rows) { |_| raise "not yet" if state[:bad] }
            p.step(:fail, each: :rows) { |row| (calls << row.class) && state[:bad] && row == 1 ? raise("not yet") : 1 }
          end
          pipeline.run(on_error: :continue)
          calls.clear
          state[:bad] = false
          pipeline.run(resume: true)
          expect(calls).to eq([*(File if name), File, Integer]) # Where their source is not recorded, `map` runs again, too.
        end

        it "records no items where outputs are not recorded" do
          pipeline = resumable(name, checkpoint: false)
          pipeline.run
          again(pipeline, resume: true)
          expect(state[:log]).to eq([0, 1, 2, 3])
        end
      end
    end

    it "calls its block for all items when its code or something upstream changed" do
      resumable("items").run
      expect(resumable("items", version: 2).run(dry_run: true, resume: true)[:map].reason).to be_nil
      again(resumable("items", version: 2), bad: [0], resume: true)
      expect(state[:log]).to eq([0])
      again(resumable("items"), resume: true)
      expect(state[:log]).to eq([0, 1, 2, 3])
    end

    it "restores finished items after kill -9" do
      path = self.path
      pipeline = Flowline.define(name: "killed") do |p|
        p.step(:rows) { (0..9).to_a }
        p.step(:map, each: :rows) do |row|
          File.write(path, "#{row}\n", mode: "a")
          Process.kill(:KILL, Process.pid) && sleep if row == 6 && !File.exist?("#{path}.go")
          row * 2
        end
      end
      Process.wait(fork { pipeline.run })
      expect($?.termsig).to eq(9)
      File.write("#{path}.go", "")
      result = pipeline.run(resume: true)
      expect([result[:rows].status, result[:map].output]).to eq([:restored, (0..9).map { |row| row * 2 }])
      called = lines(path).map(&:to_i)
      expect(called.uniq).to match_array(0..9)
      expect(called.tally.values.max).to eq(2) # What was under way.
      expect(called.count(6)).to eq(2)
    end

    it "clears the items of a step that has ended" do
      pipeline = Flowline.define(name: "ended") do
        step(:source) { [1, 2] }
        step(:map, each: :source) { |n| n }
        step(:bad, depends_on: :map) { |_| raise "no" }
      end
      pipeline.run
      expect(Flowline::Checkpoint.latest("ended").step_names).to contain_exactly(:source, :map)
    end

    it "warns once of items that cannot be recorded, and records the others" do
      state = { bad: true, log: [] }
      pipeline = Flowline.define(name: "lambdas") do |p|
        p.step(:rows) { [0, 1, 2, 3] }
        p.step(:map, each: :rows) { |row| (state[:log] << row) && row.between?(1, 2) ? -> { row } : row }
        p.step(:last, depends_on: :map) { |_| raise "not yet" if state[:bad] }
      end
      expect(pipeline.run.warnings).to contain_exactly(/the output of step map is not recorded, since it cannot be serialised/)
      state[:bad] = false
      state[:log].clear
      expect(pipeline.run(dry_run: true, resume: true)[:map].reason).to eq("2 items are recorded")
      expect(pipeline.run(resume: true)).to be_success
      expect(state[:log]).to eq([1, 2])
    end

    it "records no secrets of its items" do
      pipeline = Flowline.define(name: "secret") do |p|
        p.param :token, secret: true
        p.step(:rows) { [1, 2, 3] }
        p.step(:map, each: :rows) { |row, ctx| row == 3 ? raise(ctx[:token]) : "#{row} #{ctx[:token]}" }
      end
      result = pipeline.run(token: "hush-hush")
      expect(result.warnings).to contain_exactly(/not recorded, since it holds a secret/)
      expect(result.error.message).not_to include("hush")
      bytes = Dir.glob("#{ENV.fetch("FLOWLINE_ROOT")}/**/*").select { |file| File.file?(file) }.map { |file| File.binread(file) }.join
      expect(bytes.include?("hush-hush")).to be(false)
    end
  end

  it "notifies hooks and reporters once when the run is cancelled while an item runs" do
    [:sequential, :parallel].each do |executor|
      told = []
      gate = Gate.new
      pipeline = Flowline.define do |p|
        p.after_step { |step, result| told << [step.name, result.status] }
        p.step(:rows) { [1, 2] }
        p.step(:map, each: :rows, concurrency: 1) { |row| gate.pass(row) }
      end
      run = pipeline.start(executor: executor, reporter: ->(event) { told << event.step.name if event.name == :step_finished })
      gate.wait
      run.cancel
      gate.release
      expect([run.wait(10).status, told]).to eq([:cancelled, [%i[rows succeeded], :rows, %i[map cancelled], :map]])
    end
  end

  it "notifies hooks once, however many items it has" do
    executors.each do |executor|
      log = []
      pipeline = Flowline.define do |p|
        p.step(:rows) { [1, 2, 3] }
        p.step(:map, each: :rows) { |row| row }
        log_hooks(p, log)
      end
      pipeline.run(executor: executor)
      expect(log.select { |_, step| step == :map }).to eq([%i[before_step map], %i[on_step_success map], %i[after_step map]])
    end
  end

  it "calls no item when a before_step hook raises" do
    result = run do
      before_step { |step| raise "no" if step.name == :map }
      step(:rows) { [1] }
      step(:map, each: :rows) { |_| raise "must not be called" }
    end
    expect(result[:map].error.original).to be_a(Flowline::HookError)
  end

  it "ends the run in good order when an item calls exit" do
    executors.each do |executor|
      ended = nil
      pipeline = Flowline.define do |p|
        p.after_run { |result| ended = outcomes(result) }
        p.step(:rows) { [1, 2] }
        p.step(:map, each: :rows, on_item_error: :collect, retries: 2) { |_| exit 4 }
      end
      expect { pipeline.run(executor: executor) }.to raise_error(SystemExit) { |error| expect(error.status).to eq(4) }
      expect(ended).to eq(rows: :succeeded, map: %i[cancelled interrupted])
    end
  end

  it "ends with the cause if an item cannot be recorded" do
    told = nil
    pipeline = Flowline.define(name: "trouble") do
      after_run { |result| told = result.error.message }
      step(:a) { [1] }
      step(:b, depends_on: :a, each: :a) { |n| n }
    end
    allow_any_instance_of(Flowline::Recording::Journal).to receive(:complete_item).and_raise(Flowline::StoreError.new("/s", "the disk is full", :full))
    expect { pipeline.run }.to raise_error(Flowline::StoreError)
    expect(told).to start_with("the run was cancelled (it could not be recorded: store /s: the disk is full) before every step had ended")
  end

  it "raises a StoreError of an item instead of counting it as the item's failure" do
    pipeline = mapping([1, 2], define: { name: "trouble" }, on_item_error: :collect, retries: 2) { |n| n }
    allow_any_instance_of(Flowline::Recording::Journal).to receive(:complete_item).and_raise(Flowline::StoreError.new("store", "full"))
    expect { pipeline.run }.to raise_error(Flowline::StoreError)
  end

  it "takes little time and memory for each of 100,000 items" do
    pipeline = mapping(0...100_000, checkpoint: false) { |n| n }
    expect(pipeline.steps.size).to eq(2)
    pipeline.run!
    GC.start
    before = GC.stat(:heap_live_slots)
    started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    result = pipeline.run!
    seconds = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
    GC.start
    expect(result[:map].output.size).to eq(100_000)
    expect(seconds).to be < 20
    expect(GC.stat(:heap_live_slots) - before).to be < 100_000
  end
end
