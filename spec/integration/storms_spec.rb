# frozen_string_literal: true

# Interruptions, forks and collections at moments that nobody chose. What is drawn comes from the seed that rspec prints.
RSpec.describe "A parallel run under random disturbances" do
  # An interruption of ours.
  class Gust < Exception # rubocop:disable Lint/ConstantDefinitionInBlock
  end

  let(:seed) { RSpec.configuration.seed }
  let(:random) { Random.new(seed) }
  let(:store) { Flowline::Store.existing(ENV.fetch("FLOWLINE_ROOT")) }

  def workers
    Thread.list.select { |thread| thread.name.to_s.start_with?("flowline worker", "flowline run", "flowline items") }
  end

  # A pipeline that is a while on its way, in calls, locks, and the store.
  def pipeline(name = "storm")
    Flowline.define(name: name, on_error: :continue) do
      after_step { Thread.pass }
      step(:root) { 1 }
      12.times { |i| step(:"a#{i}", depends_on: :root, retries: 1) { |one| 3.times { Thread.pass } && (one + i) } }
      12.times { |i| step(:"b#{i}", depends_on: [:"a#{i}", :"a#{(i + 5) % 12}"], timeout: 5) { |a, b| Thread.pass || (a + b) } }
      step(:join, depends_on: Array.new(12) { |i| :"b#{i}" }) { |all| all.values.sum }
      step(:clean, depends_on: :join, run_if: :always) { |_| :cleaned }
    end
  end

  # Where those stand who are left.
  def standing(*others)
    [*others, *workers].map { |thread| [thread.inspect, *thread.backtrace].join("\n  ") }.join("\n")
  end

  # Ends within a time that is long for it, whatever happens to it.
  def expect_end(thread, what)
    raise "seed #{seed}: #{what}: the run goes on and on:\n#{standing(thread)}" unless thread.join(20)
  rescue Gust, IOError
    nil
  end

  def expect_calm(what, known = nil)
    workers.each { |thread| thread.join(5) }
    expect(workers).to be_empty, "seed #{seed}: #{what}: left behind: #{workers.map(&:name)}"
    left = known.nil? ? [] : store.runs("storm", 200).select { |run| run[:status] == "running" }
    expect(left).to be_empty, "seed #{seed}: #{what}: in history for ever: #{left}"
  end

  # Runs it in a thread, and lets the block blow at some moments.
  def weather(storm, what, gusts)
    thread = Thread.new { storm.run(executor: :parallel, max_threads: 4) }
    thread.report_on_exception = false
    gusts.times do
      random.rand(200).times { Thread.pass }
      yield thread
    end
    expect_end(thread, what)
    expect_calm(what, store)
  end

  { kill: ->(thread) { thread.kill }, raise: ->(thread) { thread.raise(Gust, "gust") },
    "raise of a StandardError": ->(thread) { thread.raise(IOError, "gust") } }.each do |how, blow|
    it "always ends, and is recorded as ended, when its caller is hit by Thread##{how}" do
      storm = pipeline
      storm.run # What is made once is there.
      25.times do |round|
        weather(storm, "round #{round} of #{how}", random.rand(1..3)) { |thread| blow.call(thread) }
      end
      expect(storm.run(executor: :parallel)[:join].output).to eq(24 + (2 * (0..11).sum))
    end

    it "always ends, and is recorded as ended, when its workers are hit by Thread##{how}" do
      storm = pipeline
      storm.run
      25.times do |round|
        weather(storm, "round #{round} of #{how}", random.rand(1..4)) { workers.sample(random: random)&.then(&blow) }
      end
      expect(storm.run(executor: :parallel)[:join].output).to eq(24 + (2 * (0..11).sum))
    end
  end

  it "ends as cancelled or succeeded, in history as well, when cancelled at random" do
    storm = pipeline
    40.times do |round|
      run = storm.start(executor: :parallel, max_threads: 4)
      random.rand(300).times { Thread.pass }
      random.rand(1..3).times { run.cancel(now: random.rand(2).zero?) }
      result = run.wait(20) or raise "seed #{seed}: round #{round}: the run goes on and on:\n#{standing}"
      expect([result.status, store.runs("storm", 1).first[:status].to_sym].uniq).to match([:cancelled]).or(match([:succeeded])), "seed #{seed}: round #{round}"
    end
    expect_calm("cancellations", store)
  end

  it "continues, like each child, when its steps fork" do
    pids = Queue.new
    forking = Flowline.define(name: "forks") do
      8.times do |i|
        step(:"s#{i}") do
          pid = fork { exit!(Flowline.define { step(:a) { i } }.run(executor: :parallel)[:a].output) }
          Process.wait2(pid).last.exitstatus
        end
      end
      step(:exits) { Process.wait2(fork { exit(3) }).last.exitstatus }
    end
    outside = Thread.new { 10.times { pids << fork { exit!(7) } } }
    result = forking.run(executor: :parallel, max_threads: 4)
    outside.join
    expect(Array.new(10) { Process.wait2(pids.pop).last.exitstatus }).to eq([7] * 10)
    expect(result.outputs).to eq((0...8).to_h { |i| [:"s#{i}", i] }.merge(exits: 3))
    expect_calm("forks")
  end

  it "is isolated from concurrent runs of other pipelines in one store" do
    threads = Array.new(6) do |t|
      mine = pipeline("storm#{t}")
      Thread.new { Array.new(4) { mine.run(executor: t.even? ? :parallel : :sequential, max_threads: 3) } }
    end
    results = threads.flat_map(&:value)
    expect(results.map { |result| [result.status, result[:join].output] }.uniq).to eq([[:succeeded, 156]])
    6.times { |t| expect(store.runs("storm#{t}", 10).map { |run| run[:status] }).to eq(["succeeded"] * 4) }
    expect(Flowline::Checkpoint.list).to be_empty
  end

  describe "of the garbage collector", :gc do
    let(:small) do
      Flowline.define do
        step(:root) { %w[a b] }
        3.times { |i| step(:"s#{i}", depends_on: :root) { |rows| rows.map { |row| "#{row}#{i}" } } }
        step(:bad, depends_on: :s0, optional: true) { |_| raise "no" }
        step(:join, depends_on: %i[s0 s1 s2]) { |s0, s1, s2| s0 + s1 + s2 }
      end
    end

    it "returns the same outputs under GC stress" do
      2.times { small.run(executor: :parallel, max_threads: 3) }
      GC.stress = 0x01
      result = small.run(executor: :parallel, max_threads: 3)
      GC.stress = false
      expect(result[:join].output).to eq(%w[a0 b0 a1 b1 a2 b2])
      expect(outcomes(result)[:bad]).to eq(:failed)
    ensure
      GC.stress = false
    end

    it "returns the same outputs when objects are compacted between its steps" do
      skip "this Ruby does not compact" unless GC.respond_to?(:compact)
      reporter = ->(event) { GC.compact if event.name == :step_finished }
      begin
        GC.compact
      rescue NotImplementedError
        skip "this Ruby does not compact"
      end
      expect(small.run(executor: :parallel, max_threads: 3, reporter: reporter)[:join].output).to eq(%w[a0 b0 a1 b1 a2 b2])
    end
  end
end
