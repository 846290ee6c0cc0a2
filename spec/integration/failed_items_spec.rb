# frozen_string_literal: true

require "json"
require "stringio"

RSpec.describe "Failed items of a step for each item", executor: :in_process do
  executors = %i[sequential parallel process]

  # A pipeline whose step :map fails at the items for which +bad+ is true at that time.
  def mapping(source, name: nil, after: false, define: {}, **options, &block)
    Flowline.define(name: name, **define) do |p|
      p.step(:source) { source }
      p.step(:map, each: :source, **options, &block)
      p.step(:after, depends_on: :map) { |all| all.size } if after
    end
  end

  def fails_at(*bad)
    ->(n) { bad.include?(n) ? raise(ArgumentError, "no #{n}") : n * 10 }
  end

  def console(result_of, **options)
    out = StringIO.new
    result_of.run(reporter: Flowline::Reporter::Console.new(out), **options)
    out.string
  end

  describe "with on_item_error: :continue" do
    it "tries every item, then fails the step with all failed ones, under each executor" do
      executors.each do |executor|
        [(0..7).to_a, (0..7).each].each do |source|
          next if executor == :process && source.is_a?(Enumerator)

          result = mapping(source, after: true, on_item_error: :continue, &fails_at(1, 4, 6)).run(executor: executor)
          expect(outcomes(result)).to eq(source: :succeeded, map: :failed, after: %i[cancelled run_failed])
          expect(result.error).to be_an_instance_of(Flowline::ItemsError)
          expect(result.error.item_errors).to eq(result[:map].item_errors).and all(be_a(Flowline::ItemError))
          expect(result[:map].item_errors.map { |error| [error.position, error.number, error.item, error.original.message] })
            .to eq([[1, 2, 1, "no 1"], [4, 5, 4, "no 4"], [6, 7, 6, "no 6"]])
          expect(result[:map].items).to have_attributes(total: 8, done: 5, failed: 3, restored: 0, recorded: 5, missing: 3)
        end
      end
    end

    it "runs in a custom pool" do
      pool = Class.new(Flowline::Executor::Pool) do
        def submit(attempt)
          Thread.new { deliver(attempt) { perform(attempt) } }
          nil
        end
      end
      executor = Class.new { define_method(:open_pool) { |inbox, _| pool.new(inbox) } }.new
      result = mapping((0..3).each, on_item_error: :continue, &fails_at(0, 2)).run(executor: executor)
      expect([result.status, result[:map].items.failed, result[:map].items.done]).to eq([:failed, 2, 2])
    end

    it "succeeds when no item fails" do
      expect(mapping([1, 2], on_item_error: :continue) { |n| n }.run!.outputs[:map]).to eq([1, 2])
    end

    it "fails with the error of the source when that raises, whatever items failed before" do
      source = Enumerator.new { |items| (items << 0) && (items << 1) && raise(IOError, "gone") }
      %i[sequential parallel].each do |executor|
        result = mapping(source, on_item_error: :continue, &fails_at(0)).run(executor: executor)
        expect(result.error.original).to be_an(IOError)
        expect(result[:map].items).to have_attributes(total: nil, failed: 1, missing: nil)
      end
    end

    it "is failed with its items when the run is cancelled before all were tried" do
      %i[sequential parallel].each do |executor|
        gate = Gate.new
        run = mapping([0, 1, 2, 3], concurrency: 1, on_item_error: :continue) { |n| n.zero? ? raise("no") : gate.pass(n) }.start(executor: executor)
        gate.wait
        run.cancel
        gate.release
        result = run.wait(10)
        expect([result.status, result[:map].status, result[:map].items.to_h.slice(:total, :done, :failed)])
          .to eq([:cancelled, :failed, { total: 4, done: 1, failed: 1 }])
      end
    end

    it "names the failures that came first and how many items are safe" do
      pipeline = mapping((1..120).to_a, on_item_error: :continue) { |n| (n % 20).zero? ? raise(KeyError, "no page\nat all") : n }
      expect(pipeline.run.error.message).to eq(<<~TEXT.chomp)
        step map failed at 6 of 120 items:
          item 20 (20): KeyError: no page (#{__FILE__}:#{__LINE__ - 3})
          item 40 (40): KeyError: no page (#{__FILE__}:#{__LINE__ - 4})
          item 60 (60): KeyError: no page (#{__FILE__}:#{__LINE__ - 5})
          item 80 (80): KeyError: no page (#{__FILE__}:#{__LINE__ - 6})
          item 100 (100): KeyError: no page (#{__FILE__}:#{__LINE__ - 7})
          … and 1 more
        114 of 120 items are recorded; resume tries 6
      TEXT
    end

    it "says nothing of recorded items when none are recorded" do
      error = mapping([1, 2], checkpoint: false, on_item_error: :continue, &fails_at(1)).run.error
      expect(error.message.lines.last).to match(/\A  item 1 \(1\): ArgumentError: no 1/)
      expect(error.counts.recorded).to be_nil
    end
  end

  describe "with max_failures:" do
    it "starts nothing new of the step once so many items have failed" do
      %i[sequential parallel].each do |executor|
        called = Queue.new
        [(0..99).to_a, (0..).each].each do |source|
          called.clear
          result = mapping(source, concurrency: 1, on_item_error: :continue, max_failures: 3) { |n| (called << n) && raise("no") }.run(executor: executor)
          expect([result[:map].item_errors.map(&:position), called.size, result[:map].items.total]).to eq([[0, 1, 2], 3, (100 if Array === source)])
        end
      end
    end

    it "lets items below that number be retried, and none at it" do
      tried = Hash.new(0)
      mapping([0, 1], concurrency: 1, retries: 2, on_item_error: :continue, max_failures: 1) { |n| (tried[n] += 1) && raise("no") }.run
      expect(tried).to eq(0 => 3, 1 => 3).or eq(0 => 3, 1 => 1).or eq(0 => 3, 1 => 2).or eq(0 => 3)
      tried.clear
      mapping([0, 1], retries: 2, on_item_error: :continue, max_failures: 2) { |n| (tried[n] += 1) && raise("no") }.run
      expect(tried).to eq(0 => 3, 1 => 3)
    end

    it "is a mistake without on_item_error: :continue, and like the other options of items without each:" do
      hints = {
        { each: :source, max_failures: 2 } => "max_failures: needs on_item_error: :continue",
        { each: :source, max_failures: 2, on_item_error: :collect } => "max_failures: needs on_item_error: :continue",
        { max_failures: 2, on_item_error: :continue } => "max_failures: and on_item_error: without each:",
        { label: ->(n) { n } } => "label: without each:", { on_item_error: :collect } => "on_item_error: without each:",
        { each: :source, on_item_error: :ignore } => "must be :fail, :continue or :collect", { each: :source, max_failures: 0 } => "a whole number from 1 up",
        { each: :source, label: "page" } => "label: must be a lambda"
      }
      hints.each do |options, hint|
        expect { Flowline.define { |p| p.step(:source) { [] } and p.step(:map, **options) { |n| n } } }.to raise_error(Flowline::DefinitionError, /#{hint}/)
      end
    end
  end

  describe "in messages" do
    def labelled(item, label = nil, **params, &block)
      block ||= ->(_) { raise "no" }
      Flowline.define do |p|
        p.param :token, secret: true, default: nil
        p.step(:source) { [0, item] }
        p.step(:map, each: :source, on_item_error: :collect, **(label ? { label: label } : {})) { |n| Integer === n ? n : block.call(n) }
      end.run(**params)
    end

    def label_of(...) = labelled(...)[:map].item_errors.first.label

    it "are named by their number from 1 and a short inspect" do
      own = Struct.new(:id) { def inspect = "#<Order #{id}>" }
      { "a" => '"a"', "x" * 500 => "\"#{"x" * 58}…", [1, "b", :c, 4] => '[1, "b", :c, …]', { a: 1, b: [1, [2, [3]]] } => "{:a => 1, :b => [1, […]]}", nil => "nil",
        Object.new => "Object", own.new(7) => "#<Order 7>", "\e[31mred\n" => '"\e[31mred\n"',
        "a\xFF" => "\"a\uFFFD\"" }.each do |item, label|
        result = labelled(item)
        expect([result[:map].item_errors.first.label, result[:map].item_errors.first.message]).to match([label, start_with("step map failed at item 2 (#{label}): RuntimeError: no")])
      end
    end

    it "are named by their class when they have no methods" do
      expect(label_of(BasicObject.new)).to eq("BasicObject")
    end

    it "are named by the step's label:" do
      expect(label_of("7", ->(n) { "order #{n}" })).to eq("order 7")
      expect(label_of("7", ->(_) { :order })).to eq("order")
      expect(label_of("7", -> { "some order" })).to eq("some order")
    end

    it "are named in one short line without secrets, whatever label: returns" do
      secret = "hush-#{"x" * 2000}"
      { ->(_) { "a\n\e[2Jb\u202E" } => 'a\n\e[2Jb\u202E', ->(_) { "y" * 10_000 } => "#{"y" * 59}…", ->(_) { "my #{secret}!" } => "my [secret]!",
        ->(_) { "\xFFa".b } => "\uFFFDa" }.each { |label, shown| expect(label_of("x", label, token: secret)).to eq(shown) }
      expect(label_of(secret, token: secret)).to eq('"[secret]"')
    end

    it "are named by what they look like when label: raises or returns no String, with one warning" do
      { ->(_) { raise IOError, "gone" } => "failed: IOError: gone", ->(_) { 7 } => "returned Integer, not a String", ->(_) { "" } => "returned String (0), not a String",
        ->(_) { raise NotImplementedError } => "failed: NotImplementedError", ->(item) { item.upcased } => "failed: NoMethodError" }.each do |label, what|
        result = labelled("x", label)
        expect(result[:map].item_errors.first.label).to eq('"x"')
        expect(result.warnings.grep(/label:/)).to contain_exactly(start_with("label: of step map #{what}").and(end_with("its items are named by what they look like")))
      end
    end

    it "are named by their class when inspect raises or is no text" do
      [Class.new { def inspect = raise("no") }, Class.new { def inspect = 7 }, Class.new { def inspect = inspect }].each do |type|
        stub_const("Odd", type)
        expect(label_of(Odd.new)).to match(/\AOdd\z|\A7\z/)
      end
    end

    it "are named when they time out" do
      result = mapping(%w[a b], timeout: 0.05) { |n| n == "b" ? sleep : n }.run
      expect([result[:map].status, result.error.message]).to match([:timed_out, start_with('step map was stopped at item 2 ("b") by the step\'s time limit of 0.05 s')])
    end

    it "are named when they are retried, in events and on the console" do
      events = []
      pipeline = mapping(%w[a b], retries: 1, label: lambda(&:upcase)) { |n| n == "b" && events.empty? ? raise("no") : n }
      pipeline.run(reporter: ->(event) { events << event.result if event.name == :step_retried })
      expect(events.map { |again| [again.item, again.label] }).to eq([[1, "B"]])
      events.clear
      out = StringIO.new
      pipeline.run(reporter: [Flowline::Reporter::Console.new(out), ->(event) { events << event if event.name == :step_retried }])
      expect(out.string).to include("↻ map              item 2 (B), attempt 1 failed: RuntimeError: no; again at once")
    end
  end

  describe "in results" do
    let(:result) { mapping([0, 1, 2], retries: 1, on_item_error: :collect, &fails_at(1)).run }

    it "are counted, with all their retries" do
      expect(result[:map].items.to_h).to eq(total: 3, done: 2, restored: 0, failed: 1, recorded: 2, cached: 0, retries: 1)
      expect(result[:map].items.to_s).to eq("items: 2 of 3 done, 1 failed, 1 retry")
      expect(result[:source].items).to be_nil
    end

    it "survive marshalling, and are in to_h and JSON" do
      [result, Marshal.load(Marshal.dump(result))].each do |copy|
        expect(copy[:map].item_errors.map(&:message)).to contain_exactly(start_with("step map failed at item 2 (1) after 2 attempts: ArgumentError: no 1"))
        expect(copy.to_h[:steps].last[:items]).to include(total: 3, done: 2, failed: 1, errors: [include(item: 2, attempts: 2, original: "ArgumentError")])
        expect(JSON.parse(copy.to_json)["steps"].map { |step| step["items"]&.fetch("failed") }).to eq([nil, 1])
      end
    end

    it "survive marshalling even if the items do not" do
      failed = mapping([$stdout, 1], on_item_error: :continue) { |n| n == 1 ? 1 : raise("no") }.run
      expect(Marshal.load(Marshal.dump(failed)).error.item_errors.first).to have_attributes(label: /IO/, item: nil, position: 0)
    end

    it "are at most 100 in to_h" do
      many = mapping(0...150, on_item_error: :continue) { |_| raise "no" }.run
      expect([many.to_h[:steps].last[:items][:errors].size, many[:map].item_errors.size, many.error.message.lines.size]).to eq([100, 150, 8])
    end

    it "are counted apart from those in a cache, which are not recorded" do
      cached = lambda do |*bad|
        mapping([1, 2, 3, 4], name: "cached", cache: { key: ->(n) { n } }, on_item_error: :continue, &fails_at(*bad))
      end
      memory = Flowline::Cache::Memory.new
      cached.call(2, 3, 4).run(cache: memory)
      result = cached.call(3, 4).run(cache: memory)
      expect(result[:map].items).to have_attributes(total: 4, done: 2, failed: 2, cached: 1, recorded: 1, missing: 2)
      expect(result.error.message).to end_with("1 of 4 items are recorded, 1 cached; resume tries 2")
    end

    it "are counted on the console, which shows the retries of all items together" do
      tried = Hash.new(0)
      pipeline = mapping(0...30, retries: 3) { |n| (tried[n] += 1) <= n % 3 ? raise("again") : n }
      expect(console(pipeline)).to match(/^✓ map .* 30 records, 30 retries$/)
      expect(console(mapping([0, 1, 2], on_item_error: :collect, &fails_at(1)))).to match(/^✓ map .* 3 records, 1 failed$/)
      expect(console(mapping([0, 1, 2], on_item_error: :continue, &fails_at(1)))).to match(/^✗ map .* 2 of 3 done, 1 failed$/)
      shown = console(mapping((0...20), on_item_error: :continue) { |n| n.odd? ? raise("odd") : n })
      expect(shown).to match(/^✗ step map failed at 10 of 20 items:\n( +item \d+ \(\d+\): RuntimeError: odd.*\n){5} +… and 5 more\n +10 of 20 items are recorded; resume tries 10\n/)
      expect(shown[/✗ step map failed.*(?=^━)/m].lines.size).to be <= 12
      expect(console(mapping([0, 1, 2], &fails_at(1)))).to match(/^  1 of 3 items are recorded; resume tries 2$/)
    end
  end

  describe "when the run is resumed" do
    let(:state) { { bad: [2, 5], log: [] } }

    def resumable(name, **options)
      state = self.state
      Flowline.define(name: name) do |p|
        p.param :day, default: 1
        p.step(:rows) { (0..6).to_a }
        p.step(:map, each: :rows, **options) { |row| (state[:log] << row) && state[:bad].include?(row) ? raise("bad") : row }
        p.step(:sum, depends_on: :map) { |all| (state[:log] << :sum) && all.grep(Integer).sum }
      end
    end

    def again(pipeline, bad: [], **options)
      state[:bad] = bad
      state[:log].clear
      pipeline.run(resume: true, **options)
    end

    [nil, "failed-items"].each do |name|
      context name ? "with a name" : "without a name" do
        it "are tried again with on_item_error: :continue, and no others" do
          pipeline = resumable(name, on_item_error: :continue).tap(&:run)
          result = again(pipeline, bad: [5])
          expect(state[:log]).to eq([2, 5])
          expect(result[:map].items.to_h).to eq(total: 7, done: 1, restored: 5, failed: 1, recorded: 6, cached: 0, retries: 0)
          expect([again(pipeline)[:sum].output, state[:log]]).to eq([21, [5, :sum]])
        end

        it "are tried again together with those that max_failures: kept from being tried" do
          pipeline = resumable(name, on_item_error: :continue, max_failures: 1).tap(&:run)
          expect([again(pipeline)[:sum].output, state[:log]]).to eq([21, [2, 3, 4, 5, 6, :sum]])
        end

        it "are tried again after a run that succeeded because they were collected" do
          pipeline = resumable(name, on_item_error: :collect)
          expect(pipeline.run(day: 2)).to have_attributes(success?: true, warnings: [/2 of 7 items of step map failed, and resume: true tries them again; the first: .* item 3 \(2\)/])
          expect(pipeline.run(dry_run: true, resume: true, day: 2)[:map]).to have_attributes(action: :run, reason: "5 items are recorded")
          result = again(pipeline, bad: [5], day: 2)
          expect([state[:log], result[:rows].status, result[:sum].output, result.success?]).to eq([[2, 5, :sum], :restored, 16, true])
          expect(again(pipeline)[:sum].output).to eq(21) # It adopts the params.
          expect(state[:log]).to eq([5, :sum])
          again(pipeline, day: 2)
          expect(state[:log]).to eq([*0..6, :sum]) # Nothing was left to resume.
        end

        it "are tried again after a later step failed" do
          pipeline = resumable(name, on_item_error: :collect)
          state[:bad] = [2]
          failing = state[:log]
          def failing.<<(entry) = entry == :sum ? raise("not yet") : super
          expect(pipeline.run[:map].status).to eq(:succeeded)
          failing.singleton_class.remove_method(:<<)
          expect([again(pipeline)[:sum].output, state[:log]]).to eq([21, [2, :sum]])
        end

        it "stay in the output that from: and only: restore, and are tried again afterwards" do
          pipeline = resumable(name, on_item_error: :collect).tap(&:run)
          state[:bad] = []
          state[:log].clear
          result = pipeline.run(from: :sum)
          expect([state[:log], result[:map].status, result[:map].item_errors.map(&:position), result[:sum].output]).to eq([[:sum], :restored, [2, 5], 14])
          expect([again(pipeline)[:sum].output, state[:log]]).to eq([21, [2, 5, :sum]])
        end
      end
    end

    it "are forgotten by a run from the beginning" do
      pipeline = resumable("fresh", on_item_error: :collect).tap(&:run)
      state[:bad] = []
      expect(pipeline.run).to be_success
      expect(again(pipeline)).to be_success
      expect(state[:log]).to eq([*0..6, :sum])
    end

    it "are tried again in another process" do
      path = "#{ENV.fetch("FLOWLINE_ROOT")}.good"
      pipeline = mapping([0, 1, 2], name: "elsewhere", on_item_error: :collect) { |n| n == 1 && !File.exist?(path) ? raise("no") : Process.pid }
      child = fork { pipeline.run && exit!(0) }
      Process.wait(child)
      File.write(path, "")
      expect(pipeline.run(resume: true).outputs[:map]).to eq([child, Process.pid, child])
    end
  end

  it "keep steps downstream that are mapped themselves from calling for items that did not change" do
    state = { bad: [1], log: [] }
    pipeline = Flowline.define(name: "chain") do |p|
      p.step(:rows) { [0, 1, 2] }
      p.step(:first, each: :rows, on_item_error: :collect) { |row| state[:bad].include?(row) ? raise("no") : row }
      p.step(:second, each: :first) { |row| (state[:log] << (row.is_a?(Integer) ? row : :error)) && row }
    end
    pipeline.run
    expect(state[:log]).to eq([0, :error, 2])
    state[:log].clear
    state[:bad] = []
    expect(pipeline.run(resume: true).outputs[:second]).to eq([0, 1, 2])
    expect(state[:log]).to eq([1])
  end
end
