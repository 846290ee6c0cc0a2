# frozen_string_literal: true

require "flowline/cli"
require "json"

# The values that a pipeline has between its runs.
RSpec.describe "State" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }
  let(:store) { Flowline::Store.at(root) }

  def values(name = "marked")
    store.state(name).to_h { |value| [value.key, value.shown] }
  end

  # A pipeline whose step :mark counts its calls in the state.
  def counting(broken = [], name: "marked", **options)
    Flowline.define(name: name) do |p|
      p.step(:mark, **options) { |ctx| ctx.state[:count] = ctx.state.fetch(:count, 0) + 1 }
      p.step(:load, depends_on: :mark) { |count| broken.empty? ? count : raise("down") }
    end
  end

  %i[sequential parallel process].each do |executor|
    context "with executor: #{executor.inspect}" do
      it "is committed by a run that succeeds" do
        pipeline = counting
        expect(Array.new(3) { pipeline.run(executor: executor).outputs[:load] }).to eq([1, 2, 3])
        expect(values).to eq("count" => "3")
      end

      it "is not changed by a run that fails" do
        pipeline = counting(broken = [])
        pipeline.run(executor: executor)
        broken << 1
        pipeline.run(executor: executor)
        expect(values).to eq("count" => "1")
        broken.clear
        expect(pipeline.run(executor: executor).outputs[:mark]).to eq(2)
      end

      it "is committed with the writes of restored steps when a run is resumed" do
        pipeline = counting(broken = [1])
        pipeline.run(executor: executor)
        broken.clear
        expect(pipeline.run(resume: true, executor: executor)[:mark].status).to eq(:restored)
        expect(values).to eq("count" => "1")
      end

      it "has nothing of an attempt that failed" do
        calls = "#{root}-calls"
        Flowline.define(name: "marked") do |p|
          p.step(:a, retries: 1) do |ctx|
            ctx.state[:first] = 1 unless File.exist?(calls)
            File.write(calls, "x", mode: "a")
            File.size(calls) < 2 ? raise("again") : ctx.state[:second] = 2
          end
          p.step(:b, optional: true) { |ctx| (ctx.state[:optional] = 1) && raise("down") }
        end.run(executor: executor)
        expect(values).to eq("second" => "2")
      ensure
        File.delete(calls)
      end

      it "has what the items of a step write" do
        Flowline.define(name: "marked") do |p|
          p.step(:items) { [1, 2, 3] }
          p.step(:each, each: :items) { |n, ctx| ctx.state["item_#{n}"] = n * n }
          p.step(:sum, depends_on: :each) { |_, ctx| ctx.state.to_h.values.sum }
        end.run(executor: executor).then { |result| expect(result.outputs[:sum]).to eq(14) }
        expect(values).to eq("item_1" => "1", "item_2" => "4", "item_3" => "9")
      end
    end
  end

  it "survives a killed process with the completion of the step that wrote it" do
    reader, writer = IO.pipe
    patient = [1]
    pipeline = Flowline.define(name: "marked") do |p|
      p.step(:mark) { |ctx| ctx.state[:count] = 7 }
      p.step(:load, depends_on: :mark) { |_| patient.empty? ? 1 : writer.write("x") && sleep }
    end
    pid = fork { pipeline.run }
    reader.read(1)
    Process.kill(:KILL, pid)
    Process.wait(pid)
    expect(values).to eq({})
    patient.clear
    expect(pipeline.run(resume: true)[:mark].status).to eq(:restored)
    expect(values).to eq("count" => "7")
  end

  it "is like a Hash for the steps of a run" do
    seen = []
    Flowline.define(name: "marked") do |p|
      p.step(:write) do |ctx|
        ctx.state[:a] = { list: [1] }
        ctx.state["b"] = nil
        ctx.state[:c] = 1
      end
      p.step(:read, depends_on: :write) do |_, ctx|
        state = ctx.state
        seen << state[:a] << state["a"].frozen? << state.key?(:b) << state.key?(:x) << state[:x] << state.fetch(:x, 5) << state.fetch(:x) { |key| key }
        seen << state.delete(:c) << state.key?(:c) << state.to_h << state.inspect
        state.fetch(:aa)
      end
    end.run.then { |result| expect(result.error.message).to include("KeyError: the state has no aa; did you mean a?") }
    expect(seen).to eq([{ list: [1] }, true, true, false, nil, 5, :x, 1, false, { a: { list: [1] }, b: nil }, "#<Flowline::State a, b>"])
  end

  it "has copies: values that were changed later are not" do
    pipeline = Flowline.define(name: "marked") do |p|
      p.step(:a) do |ctx|
        list = [1]
        ctx.state[:list] = list
        list << 2
        ctx.state[:list] << 3
      end
    end
    expect(pipeline.run.error.message).to include("FrozenError")
  end

  it "refuses values that cannot be serialised, are too large or hold a secret, and writers that are no steps" do
    errors = lambda do |&write|
      pipeline = Flowline.define(name: "marked") do |p|
        p.param :token, secret: true, default: "hunter2-secret"
        p.step(:a) { |ctx| write.call(ctx) }
      end
      pipeline.run.error.message
    end
    expect(errors.call { |ctx| ctx.state[:x] = -> {} }).to match(/state x: the value cannot be serialised: no _dump_data is defined for class Proc; write plain data/)
    claims_all = Object.new.tap { |object| object.instance_eval { def respond_to?(*) = true } }
    expect(errors.call { |ctx| ctx.state[:x] = [claims_all] }).to match(/state x: the value cannot be serialised: undefined method .marshal_dump.*; write plain data/)
    expect(errors.call { |ctx| ctx.state[:x] = "x" * 300_000 }).to match(/state x: the value takes 3000\d\d bytes, and 262144 are possible/)
    expect(errors.call { |ctx| ctx.state["at_#{ctx[:token]}"] = 1 }).to match(/state: a key holds the value of a secret param; use a digest of it/)
    expect(errors.call { |ctx| ctx.state[:x] = "a #{ctx[:token]}" }).to match(/state x: the value holds the value of a secret param/)
    hooked = Flowline.define(name: "marked") do |p|
      p.before_run { |ctx| ctx.state[:x] = 1 }
      p.step(:a) { 1 }
    end
    expect(hooked.run.error.message).to include("ctx.state can be changed only through the ctx that the block of a step takes")
    expect(values).to eq({})
  end

  it "is read by hooks and conditions" do
    seen = []
    counting.run
    Flowline.define(name: "marked") do |p|
      p.before_run { |ctx| seen << ctx.state[:count] }
      p.step(:a, when: ->(ctx) { seen << ctx.state[:count] }) { 1 }
      p.after_run { |_, ctx| seen << ctx.state[:count] }
    end.run
    expect(seen).to eq([1, 1, 1])
  end

  it "stays in the memory of the process for a pipeline without a name" do
    pipeline = counting(broken = [1], name: nil)
    pipeline.run
    broken.clear
    expect([pipeline.run(resume: true), pipeline.run, pipeline.run].map { |result| result.outputs[:mark] }).to eq([1, 2, 3])
    expect(store.state).to eq([])
  end

  [nil, "marked"].each do |name|
    context "of a pipeline #{name ? "with" : "without"} a name" do
      # @return [Array(Flowline::Pipeline, Array)] steps a and b write; b fails unless the Array is empty
      def two(name)
        broken = [1]
        pipeline = Flowline.define(name: name) do |p|
          p.param :day, default: 1
          p.step(:a) { |ctx| ctx.state[:until] = ctx[:day] }
          p.step(:b) { broken.empty? || raise("down") }
          p.step(:c) { |ctx| (ctx.state[:c] = 1) && ctx.state.to_h }
          p.step(:read, depends_on: :c) { |_, ctx| ctx.state.to_h }
        end
        [pipeline, broken]
      end

      it "keeps what a step has written that the run leaves out, until a run restores it" do
        pipeline, broken = two(name)
        pipeline.run
        expect(pipeline.run(only: %i[c read])).to be_success
        expect(store.state.map(&:key)).to eq(%w[c]) if name
        broken.clear
        expect(pipeline.run(resume: true)).to be_success
        expect(store.state.map(&:key)).to eq(%w[c until]) if name
        expect(pipeline.run(day: 2).outputs[:read].keys).to contain_exactly(:until, :c)
      end

      it "keeps a later value that another run has committed, and warns, when an older one is restored" do
        pipeline, broken = two(name)
        pipeline.run(day: 5)
        broken.clear
        pipeline.run(day: 6)
        result = pipeline.run(day: 5, resume: true)
        expect(result).to be_success
        expect(result.outputs[:read][:until]).to eq(6)
        expect(result.warnings.join).to match(/state until stays as (it is|run \S+ has committed it): it has changed since the restored step a wrote it; from: /)
        expect(store.state.to_h { |value| [value.key, value.shown] }).to include("until" => "6") if name
      end
    end
  end

  it "has the value of the last run, even if the clock was set back while it ran" do
    behind = 0
    allow(Time).to(receive(:now).and_wrap_original { |now, **options| now.call(**options) - behind })
    pipeline = Flowline.define(name: "marked") { |p| p.param(:day) && p.step(:a) { |ctx| (behind = ctx[:day] * 3600) && ctx.state[:until] = ctx[:day] } }
    results = [0, 1].map { |day| pipeline.run(day: day) }
    expect([results.map(&:success?), results.flat_map(&:warnings), store.state.map(&:shown)]).to eq([[true, true], [], %w[1]])
  end

  it "does not commit what a step has written that is gone from the pipeline" do
    counting([1]).run
    result = Flowline.define(name: "marked") { |p| p.step(:check) { |ctx| ctx.state.to_h } }.run(resume: true)
    expect([result.outputs[:check], store.state]).to eq([{}, []])
  end

  %i[sequential parallel process].each do |executor|
    it "is read by a step with cache: each time, since its output is not cached, with executor: #{executor.inspect}" do
      pipeline = Flowline.define(name: "reads", cache: Flowline::Cache::File.new("#{root}-cache")) do |p|
        p.step(:next) { |ctx| ctx.state[:n] = ctx.state.fetch(:n, 0) + 1 }
        p.step(:show, depends_on: :next, cache: { key: -> { 1 } }) { |_, ctx| ctx.state[:n] }
      end
      results = Array.new(2) { pipeline.run(executor: executor) }
      expect(results.map { |result| result[:show].output }).to eq([1, 2])
      expect(results.map { |result| result.warnings.grep(/the output of step show is not cached: the step reads ctx.state, which is no part of its key/).size }).to eq([1, 1])
    end

    it "is written by a step with cache: each time, since its output is not cached, with executor: #{executor.inspect}" do
      calls = "#{root}.calls"
      pipeline = Flowline.define(name: "marked") do |p|
        p.step(:list, cache: true) { File.write(calls, "l", mode: "a") && [1, 2] }
        p.step(:mark, depends_on: :list, each: :list, cache: true) { |item, ctx| File.write(calls, "m", mode: "a") && ctx.state["i#{item}"] = item }
      end
      results = Array.new(2) { pipeline.run(executor: executor) }
      expect(results.map { |result| result.warnings.grep(/the output of step mark is not cached: the step writes into ctx.state/).size }).to eq([1, 1])
      expect([results.last[:list].status, File.read(calls).chars.tally]).to eq([:cached, { "l" => 1, "m" => 4 }])
      expect(values).to eq("i1" => "1", "i2" => "2")
    end
  end

  it "refuses a key that is neither a Symbol nor a String" do
    errors = [nil, 1, [1]].map do |key|
      [->(state) { state[key] = 1 }, ->(state) { state[key] }, ->(state) { state.fetch(key, 1) }].map do |call|
        Flowline.define(name: "marked") { |p| p.step(:a) { |ctx| call.call(ctx.state) } }.run.error.message[/a key of ctx[^(]*(?= \()/]
      end.uniq
    end
    expect(errors).to eq(["nil", "a value of class Integer", "a value of class Array"].map { |what| ["a key of ctx.state is a Symbol or a String, not #{what}"] })
    expect(store.state).to eq([])
  end

  it "costs nothing if it is not used" do
    context = nil
    Flowline.define(name: "marked") { |p| p.step(:a) { |ctx| context = ctx } }.run
    expect(context.ledger).to be_nil
  end

  describe "flowline state" do
    it "shows times and dates, and writes values of the same class only" do
      require "date"
      at = Time.utc(2026, 1, 5, 6, 7, 8)
      Flowline.define(name: "marked") do |p|
        p.step(:mark) { |ctx| { until: at, day: Date.new(2026, 1, 5), last_id: 7, word: "x" }.each { |key, value| ctx.state[key] = value } }
      end.run
      expect(values).to eq("until" => "2026-01-05 06:07:08 UTC", "day" => "2026-01-05", "last_id" => "7", "word" => '"x"')
      status, _, err = Processes.flowline("state", "marked", "--set", "until=2026-01-06T00:00:00Z", "--set", "day=2026-01-06", "--set", "word=12")
      expect([status, err]).to eq([0, ""])
      expect(store.state("marked").to_h { |value| [value.key.to_sym, Marshal.load(value.value)] })
        .to eq(until: Time.utc(2026, 1, 6), day: Date.new(2026, 1, 6), last_id: 7, word: "12")
      { "last_id=abc" => "last_id is Integer, and abc is no Integer", "until=soon" => "until is Time, and soon is no Time" }.each do |pair, words|
        expect(Processes.flowline("state", "marked", "--set", pair)).to eq([2, "", "flowline: state: #{words}; to change its kind: --delete #{pair[/\w+/]} first\n"])
      end
    end

    it "asks whether a new value was meant as one that is there" do
      counting.run
      expect(Processes.flowline("state", "marked", "--set", "cuont=3")[2]).to eq("state: cuont is new; did you mean count?\n")
    end

    it "shows values without loading them, and changes them" do
      counting.run
      expect(Processes.flowline("state")).to match([0, /\Amarked  count = 1  \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\)\n\z/, ""])
      expect(Processes.flowline("state", "marked", "--set", "count=41", "--set", "until=2024-01-31", "--set", 'more={"a":[1]}')[1].lines.size).to eq(3)
      expect(counting.run.outputs[:mark]).to eq(42)
      status, out, = Processes.flowline("state", "marked", "--delete", "more", "--json")
      expect([status, JSON.parse(out).map { |row| row.values_at("pipeline", "name", "value") }]).to eq([0, [%w[marked count 42], ["marked", "until", '"2024-01-31"']]])
    end

    it "says what does not exist" do
      expect(Processes.flowline("state")).to eq([1, "", "flowline: state: there is no store at #{root}; --root or FLOWLINE_ROOT names another one\n"])
      counting.run
      expect(Processes.flowline("state", "markd")).to eq([2, "", "flowline: state: pipeline markd has no state in #{root}; did you mean marked?\n"])
      expect(Processes.flowline("state", "markd", "--set", "a=1")).to eq([2, "", "flowline: state: pipeline markd has no state in #{root}; did you mean marked?\n"])
      expect(Processes.flowline("state")[1].lines.size).to eq(1)
      expect(Processes.flowline("state", "marked", "--delete", "cont")).to eq([1, "", "flowline: state: marked has no cont; did you mean count?\n"])
      expect(Processes.flowline("state", "--set", "a=1")).to match([2, "", /name the pipeline whose state to change/])
      expect(Processes.flowline("state", "marked", "--set", "a")).to match([2, "", /--set a has no value/])
    end
  end
end
