# frozen_string_literal: true

require "flowline/cli"
require "stringio"

RSpec.describe "A resumed run" do
  let(:log) { [] }
  let(:state) { { broken: true } }
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  def ran
    log.dup.tap { log.clear }
  end

  def mend
    state[:broken] = false
    log.clear
  end

  # Two steps; the second fails while the state is broken.
  def pipeline(name: "identity", **settings, &more)
    log = self.log
    state = self.state
    Flowline.define(name: name, **settings) do |p|
      p.param :day, type: :integer, default: 1
      p.param :note, type: :any, default: nil
      p.param :token, type: :any, secret: true
      p.step(:a) { |day:| [log << :a, day].last }
      p.step(:b, depends_on: :a) { |a| state[:broken] ? raise("down") : a }
      more&.call(p)
    end
  end

  def bytes
    Dir.glob("#{root}/**/*", File::FNM_DOTMATCH).select { |file| File.file?(file) }.sum("".b) { |file| File.binread(file) }
  end

  ["identity", nil].each do |name|
    context name ? "in the store" : "in memory" do
      let(:p) { pipeline(name: name) }

      { "another param" => [{ day: 1 }, { day: 2 }], "another input" => [{ input: [1] }, { input: [2] }], "no input" => [{ input: nil }, { day: 1 }],
        "another context" => [{ context: { x: 1 } }, { context: { y: 1 } }], "1.0 for 1" => [{ context: { x: 1 } }, { context: { x: 1.0 } }] }.each do |what, (one, other)|
        it "does not restore a run with #{what}" do
          p.run(**one)
          mend
          expect(p.run(**other, resume: true)[:a].status).to eq(:succeeded)
        end
      end

      it "restores the run with equal params, however they are written" do
        p.run(day: "3", context: { x: [1], "y" => :z }, input: nil)
        mend
        expect(p.run(params: { "day" => 3 }, context: { y: :z, x: [1] }, input: nil, resume: true)[:a].status).to eq(:restored)
      end

      it "restores a run with another secret, which must be given again" do
        needs = Flowline.define(name: name) do |d|
          d.param :day, type: :integer, default: 1
          d.param :token, secret: true, required: true
          d.step(:a) { |day:| [log << :a, day].last }
          d.step(:b, depends_on: :a) { |a| state[:broken] ? raise("down") : a }
        end
        needs.run(day: 5, token: "first-secret")
        mend
        expect { needs.run(resume: true) }.to raise_error(Flowline::ParamError, /token/)
        result = needs.run(resume: true, token: "second-secret")
        expect([result[:a].status, result[:a].output]).to eq([:restored, 5])
      end

      it "does not restore a run whose params were changed in place", executor: :in_process do
        [{ input: [1] }, { context: { x: [1] } }, { note: [1] }].each do |given|
          state[:broken] = true
          p.run(**given)
          mend
          changed = Marshal.load(Marshal.dump(given))
          (changed[:input] || changed[:note] || changed.dig(:context, :x)) << 2
          expect(p.run(**changed, resume: true)[:a].status).to eq(:succeeded)
        end
        list = [1]
        own = Flowline.define(name: name && "own") do |d|
          d.step(:a) { |rows| rows.push(2).sum }
          d.step(:b, depends_on: :a) { |a| state[:broken] ? raise("down") : a }
        end
        state[:broken] = true
        own.run(input: list)
        mend
        expect(own.run(input: list, resume: true).outputs).to eq(a: 5, b: 5)
        state[:broken] = true
        own.run(input: [4])
        mend
        expect(own.run(input: [4], resume: true).outputs).to eq(a: 6, b: 6)
        expect(outcomes(own.run(input: [4], resume: true)).values).to all(eq(:succeeded))
      end

      it "calls no == of params" do
        stub_const("Unequal", Class.new { def ==(_other) = raise("no") })
        [->(x) { { input: x } }, ->(x) { { context: { x: x } } }, ->(x) { { note: x } }].each do |given|
          state[:broken] = true
          p.run(**given.call(Unequal.new))
          mend
          expect(p.run(**given.call(Unequal.new), resume: true)[:a].status).to eq(:restored)
        end
      end

      it "does not restore a run with another input or param that cannot be digested, but ignores such values in the context" do
        %i[input note].each do |what|
          state[:broken] = true
          p.run(what => -> { 1 })
          mend
          expect(p.run(what => -> { 2 }, resume: true)[:a].status).to eq(:succeeded)
        end
        state[:broken] = true
        p.run(context: { log: -> { 1 } })
        mend
        expect(p.run(context: { log: -> { 2 } }, resume: true)[:a].status).to eq(:restored)
      end

      it "has no outputs of a run with checkpoint: false" do
        p.run(checkpoint: false)
        mend
        expect(outcomes(p.run(resume: true))).to eq(a: :succeeded, b: :succeeded)
        state[:broken] = true
        some = Flowline.define(name: name && "some") do |d|
          d.step(:kept) { 1 }
          d.step(:left, checkpoint: false) { 2 }
          d.step(:last, depends_on: %i[kept left]) { |*| state[:broken] && raise("down") }
        end
        some.run
        mend
        expect(outcomes(some.run(resume: true))).to eq(kept: :restored, left: :succeeded, last: :succeeded)
      end

      it "restores the run although one with other params succeeded since" do
        p.run(day: 7)
        mend
        p.run(day: 8)
        expect(outcomes(p.run(day: 7, resume: true))).to eq(a: :restored, b: :succeeded)
      end

      it "reruns a run_if: :any step when another of its dependencies reruns" do
        any = Flowline.define(name: name, on_error: :continue) do |d|
          d.step(:shaky, optional: true) { state[:broken] ? raise("down") : 10 }
          d.step(:sound) { 1 }
          d.step(:sum, depends_on: %i[shaky sound], run_if: :any) { |shaky, sound| shaky.to_i + sound }
          d.step(:after, depends_on: :sum) { |sum| sum * 2 }
          d.step(:last, depends_on: :after) { |after| state[:broken] ? raise("down") : after }
        end
        any.run
        mend
        expect(any.run(resume: true).outputs).to eq(shaky: 10, sound: 1, sum: 11, after: 22, last: 22)
      end
    end
  end

  it "adopts params of every type" do
    types = Flowline.define(name: "types") do |d|
      d.param :date, type: :date, default: "2024-01-31"
      d.param :at, type: :time, default: nil
      d.param :money, type: :decimal, default: "0"
      d.param :list, type: :array, default: []
      d.step(:a) { |ctx| ctx.params }
      d.step(:b, depends_on: :a) { |a| state[:broken] ? raise("down") : a }
    end
    given = { date: "2023-02-28", at: "2024-01-01T10:00:00.5+02:00", money: "1.10", list: [1, nil] }
    first = types.run(**given)
    mend
    result = types.run(resume: true)
    expect([result[:a].status, result[:b].output]).to eq([:restored, first[:a].output])
  end

  it "takes no defaults in place of params that cannot be serialised" do
    p = pipeline
    p.run(day: 5, note: -> { 1 })
    mend
    expect { p.run(resume: true) }.to raise_error(Flowline::CheckpointError, /run \S+ cannot be resumed: its params are not recorded; give them/)
    expect(p.run(resume: true, day: 5)[:a].output).to eq(5)
  end

  it "restores outputs of the very same object without a store" do
    p = pipeline(name: nil)
    callable = -> { 1 }
    p.run(input: callable)
    mend
    expect(p.run(input: callable, resume: true)[:a].status).to eq(:restored)
  end

  it "leaves no byte of a secret in the store" do
    secret = "hunter2-hunter2"
    p = pipeline(on_error: :continue) do |d|
      d.step(:leak) { |token:| { deep: [token.to_s * 2] } }
      d.step(:raises, depends_on: :leak, optional: true) { |leak| raise "refused #{leak}" }
      d.after_run { raise "hook #{secret}" }
    end
    [{ token: secret }, { token: [secret] }, { token: { key: secret } }, { token: secret, note: "https://#{secret}@host" }].each do |params|
      p.run(**params)
      p.run(resume: true, **params)
    end
    expect(bytes).not_to be_empty
    expect(bytes).not_to include("hunter2")
    expect(Flowline::Store.at(root).runs("identity", 9).flat_map { |run| Flowline::Store.at(root).steps(run[:id]) }.filter_map { |step| step[:error] })
      .to include(/refused .*\[secret\]/)
    out = StringIO.new
    Flowline::CLI.start(%w[status --json], out: out, err: out)
    Flowline::CLI.start(%w[history], out: out, err: out)
    expect(out.string).not_to include("hunter2")
  end

  it "leaves no secret number in a recorded output" do
    p = Flowline.define(name: "numbers") do |d|
      d.param :pin, type: :integer, secret: true
      d.param :rate, type: :float, secret: true
      d.step(:pin) { |pin:| [pin] }
      d.step(:rate) { |rate:| { rate: rate } }
      d.step(:other) { 77 }
      d.step(:last, depends_on: %i[pin rate other]) { |*| raise "down" }
    end
    p.run(pin: 98_765_432, rate: 0.123456789)
    expect(Flowline::Checkpoint.latest("numbers").step_names).to eq([:other])
  end

  it "raises LockedError for a plan while the run is alive" do
    gate = Gate.new
    p = Flowline.define(name: "planned") { |d| d.step(:a) { gate.pass } }
    thread = Thread.new { p.run }
    gate.wait
    expect { p.run(dry_run: true, resume: true) }.to raise_error(Flowline::LockedError, /process #{Process.pid}/)
    expect(p.run(dry_run: true)[:a].action).to eq(:run)
    gate.release
    expect(thread.value).to be_success
  end

  it "restores steps with names of any characters" do
    names = [:"a\0b", :"é", :"e\u0301", :"", :"a'b\"", :"日本"]
    p = Flowline.define(name: "n\0ame\u202e") do |d|
      names.each { |name| d.step(name) { [log << name, name].last } }
      d.step(:last, depends_on: names) { |**| state[:broken] && raise("down") }
    end
    p.run
    expect(Flowline::Checkpoint.latest("n\0ame\u202e").step_names).to match_array(names)
    mend
    expect(p.run(resume: true).outputs).to include(names.to_h { |name| [name, name] })
    expect(ran).to be_empty
  end

  it "takes no defaults in place of params that cannot be read" do
    stub_const("Odd", Struct.new(:x) { def marshal_dump = 1 and def marshal_load(_) = raise("unreadable") })
    p = pipeline
    p.run(note: Odd.new(1), day: 3)
    mend
    expect { p.run(resume: true) }.to raise_error(Flowline::CheckpointError, /its params cannot be read; give them/)
  end

  it "restores nil, false and empty outputs" do
    p = Flowline.define(name: "nothing") do |d|
      { nil: nil, false: false, text: "", list: [], hash: {} }.each { |step, value| d.step(step) { [log << step, value].last } }
      d.step(:last, depends_on: %i[nil false text list hash]) { |*given| state[:broken] ? raise("down") : given }
    end
    p.run
    mend
    expect(p.run(resume: true)[:last].output).to eq([nil, false, "", [], {}])
    expect(ran).to be_empty
    expect(Flowline::Checkpoint.list).to be_empty
  end

  it "reruns a step whose output cannot be serialised, however it refuses", executor: :in_process do
    loud = Class.new { def marshal_dump = raise(IOError, "not this one") }
    stub_const("Loud", loud)
    deep = []
    20_000.times { deep = [deep] }
    values = { proc: -> {}, io: $stdin, thread: Thread.current, anonymous: Class.new.new, loud: loud.new, deep: deep, default: Hash.new { 1 } }
    p = Flowline.define(name: "odd") do |d|
      values.each { |step, value| d.step(step) { [log << step, value].last } }
      d.step(:last, depends_on: values.keys) { |*given| state[:broken] ? raise("down") : given.size }
    end
    expect(p.run.warnings.map { |warning| warning[/step (\w+) is not recorded, since it cannot be serialised/, 1]&.to_sym }).to include(*values.keys - [:deep])
    mend
    expect(p.run(resume: true)[:last].output).to eq(values.size)
    expect(ran).to include(*values.keys - [:deep])
  end

  it "does not fail when an output raises no StandardError while it is serialised", executor: :in_process do
    stub_const("Hard", Class.new { def marshal_dump = raise(NotImplementedError, "not this one") })
    stub_const("Gone", Struct.new(:x))
    p = pipeline do |d|
      d.step(:hard) { [log << :hard, Hard.new].last }
      d.step(:gone) { Gone.new(1) }
      d.step(:end, depends_on: %i[hard gone]) { |*| state[:broken] && raise("down") }
    end
    result = p.run(note: Gone.new(2), on_error: :continue)
    expect([result.failed_steps, result.warnings]).to match([%i[b end], [/hard is not recorded, since it cannot be serialised: .*not this one/]])
    hide_const("Gone")
    Object.autoload(:Gone, "/nowhere/gone.rb")
    expect { p.run(resume: true) }.to raise_error(Flowline::CheckpointError, /its params cannot be read/)
    expect { Flowline::Checkpoint.latest("identity").output(:gone) }.to raise_error(Flowline::CheckpointError)
  ensure
    Object.send(:remove_const, :Gone) if Object.autoload?(:Gone)
  end

  it "reruns a step whose output has a class that cannot be loaded" do
    stub_const("Gone", Struct.new(:x))
    p = pipeline { |d| d.step(:gone) { log << :gone and defined?(Gone.new) ? Gone.new(1) : 2 } }
    p.run(on_error: :continue)
    hide_const("Gone")
    Object.autoload(:Gone, "/nowhere/gone.rb")
    mend
    expect(p.run(resume: true, dry_run: true)[:gone].reason).to match(/cannot be read: .*nowhere/)
    expect(p.run(resume: true)[:gone].status).to eq(:succeeded)
  ensure
    Object.send(:remove_const, :Gone) if Object.autoload?(:Gone)
  end

  describe "of a pipeline that has changed since" do
    # a -> b -> c -> last
    def chain(versions = {}, options = {})
      log = self.log
      state = self.state
      tag = versions[:a]
      Flowline.define(name: "chain") do |p|
        p.step(:a, version: tag, **options.fetch(:a, {})) { [log << :a, "a#{tag}"].last }
        p.step(:b, depends_on: :a, version: versions[:b]) { |a| [log << :b, state[:broken] == :b ? raise("down") : "#{a}b"].last }
        p.step(:c, depends_on: :b) { |b| [log << :c, "#{b}c"].last }
        p.step(:side) { log << :side }
        p.step(:last, depends_on: %i[c side]) { |c, _| state[:broken] ? raise("down") : c }
      end
    end

    it "reruns steps downstream of the change, over several runs" do
      chain.run
      state[:broken] = :b
      ran
      expect(outcomes(chain({ a: 2 }).run(resume: true))).to include(a: :succeeded, b: :failed, side: :restored)
      mend
      result = chain({ a: 2 }).run(resume: true)
      expect([outcomes(result), result[:last].output]).to eq([{ a: :restored, b: :succeeded, c: :succeeded, side: :restored, last: :succeeded }, "a2bc"])
    end

    it "reruns steps downstream of a changed step whose output was not recorded" do
      [{ a: { checkpoint: false } }].each do |options|
        state[:broken] = true
        chain({}, options).run
        mend
        result = chain({ a: 2 }, options).run(resume: true)
        expect(result[:last].output).to eq("a2bc")
      end
    end

    it "explains the rerun in the plan" do
      chain.run
      ran
      plan = chain({ b: 1 }).run(resume: true, dry_run: true)
      expect(plan.steps.to_h { |step| [step.name, step.action] }).to eq(a: :restore, b: :run, c: :run, side: :restore, last: :run)
      expect(plan[:a].reason).to match(/\Arecorded in run \h+T\h+-\h+\z/)
      expect([plan[:b].reason, plan[:c].reason, plan[:last].reason]).to eq(["its code, conditions, dependencies, captured values or version changed", "b runs again", nil])
    end

    it "compares captured values as of the run's start" do
      make = lambda do |factor|
        Flowline.define(name: "captured") do |p|
          p.step(:set) { factor = 99 }
          p.step(:times, depends_on: :set) { |_| [log << :times, factor].last }
          p.step(:last, depends_on: :times) { |_| state[:broken] && raise("down") }
        end
      end
      make.call(2).run
      mend
      expect(outcomes(make.call(2).run(resume: true))).to include(times: :restored)
      state[:broken] = true
      make.call(3).run
      mend
      expect(make.call(4).run(dry_run: true, resume: true)[:times].action).to eq(:run)
    end

    it "ignores captures that cannot be digested" do
      make = lambda do
        io = $stdin
        Flowline.define(name: "io") do |p|
          p.step(:a) { io.fileno }
          p.step(:b, depends_on: :a) { |_| state[:broken] && raise("down") }
        end
      end
      make.call.run
      mend
      expect(outcomes(make.call.run(resume: true))).to eq(a: :restored, b: :succeeded)
    end

    it "clears removed steps and runs new ones" do
      chain.run
      mend
      result = Flowline.define(name: "chain") do |p|
        p.step(:new) { 1 }
        p.step(:side) { log << :side }
      end.run(resume: true)
      expect(result[:new].status).to eq(:succeeded)
    end
  end

  it "is cleared by a fresh run of the same identity, not of another" do
    p = pipeline
    p.run(day: 1)
    p.run(day: 2)
    p.run(day: 1)
    expect(Flowline::Checkpoint.list.map { |checkpoint| checkpoint.output(:a) }).to eq([1, 2])
  end

  it "is not cleared while it is alive" do
    gate = Gate.new
    waiting = true
    p = Flowline.define(name: "live") do |d|
      d.step(:a) { 1 }
      d.step(:b, depends_on: :a) { |a| waiting ? gate.pass(a) : a }
    end
    thread = Thread.new { p.run(keep_checkpoint: true) }
    gate.wait
    waiting = false
    expect(p.run).to be_success
    expect(Flowline::Checkpoint.list.map(&:status)).to eq([:running])
    expect { Flowline::Checkpoint.latest("live").delete }.to raise_error(Flowline::LockedError, /process #{Process.pid}/)
    gate.release
    expect(thread.value[:b].output).to eq(1)
    expect(Flowline::Checkpoint.latest("live").output(:b)).to eq(1)
  end

  it "is given to one of two processes; the other changes nothing" do
    go = "#{root}.go"
    File.mkfifo(go)
    reader, writer = IO.pipe
    p = Flowline.define(name: "race") do |d|
      d.step(:a) { 1 }
      d.step(:b, depends_on: :a) { |a| state[:broken] ? raise("down") : writer.write(".") && File.read(go) && a }
    end
    p.run
    mend
    pids = Array.new(2) do
      fork do
        p.run!(resume: true)
        exit!(0)
      rescue Flowline::LockedError => e
        writer.write("L")
        exit!(e.pid == Process.pid ? 2 : 3)
      end
    end
    writer.close # So that a process that ends otherwise is noticed.
    seen = [reader.read(1), reader.read(1)]
    File.write(go, "x")
    expect(seen.sort).to eq([".", "L"])
    expect(pids.map { |pid| Process.wait2(pid).last.exitstatus }.sort).to eq([0, 3])
    expect(Flowline::Store.at(root).runs("race", 9).map { |run| run[:status] }).to eq(%w[succeeded failed])
  end

  it "releases its lock when it ends before it starts" do
    p = pipeline { |d| d.before_run { state[:refuse] && raise("not today") } }
    p.run
    state[:refuse] = true
    expect(p.run(resume: true).error).to be_a(Flowline::HookError)
    expect { p.run(resume: true, only: :zzz) }.to raise_error(Flowline::ParamError)
    allow(Flowline::Execution::Limits).to receive(:new).and_raise(Interrupt)
    expect { p.run(resume: true) }.to raise_error(Interrupt)
    RSpec::Mocks.space.proxy_for(Flowline::Execution::Limits).reset
    allow(Marshal).to receive(:load).and_raise(Interrupt)
    expect { p.run(resume: true, day: 1) }.to raise_error(Interrupt)
    RSpec::Mocks.space.proxy_for(Marshal).reset
    state[:refuse] = false
    mend
    expect(outcomes(p.run(resume: true))).to eq(a: :restored, b: :succeeded)
  end

  it "restores 2,000 steps quickly", executor: :in_process do
    p = Flowline.define(name: "long") do |d|
      d.step(:s0) { 0 }
      (1...2000).each { |n| d.step(:"s#{n}", depends_on: :"s#{n - 1}") { |m| n == 1999 && state[:broken] ? raise("down") : m + 1 } }
    end
    p.run
    mend
    result = p.run(resume: true)
    expect([result[:s1998].status, result[:s1999].output]).to eq([:restored, 1999])
  end

  it "restores outputs by reference without a name", executor: :in_process do
    object = Object.new
    p = Flowline.define do |d|
      d.step(:a) { [object, -> { 1 }] }
      d.step(:b, depends_on: :a) { |a| state[:broken] ? raise("down") : a }
    end
    expect(p.run.warnings).to be_empty
    mend
    expect(p.run(resume: true)[:b].output.first).to equal(object)
    expect(File.exist?(root)).to be(false)
  end
end
