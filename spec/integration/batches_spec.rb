# frozen_string_literal: true

# Quick steps are handed to workers in batches; nothing else about them may differ.
RSpec.describe "Quick steps under :parallel", executor: :in_process do
  def many(count, **define, &body)
    Flowline.define(**define) { |p| count.times { |i| p.step(:"s#{i}") { body.call(i) } } }
  end

  def tally(result)
    result.steps.map { |step| [step.status, step.reason] }.tally
  end

  def parallel(pipeline, **options)
    pipeline.run(executor: :parallel, max_threads: 3, **options)
  end

  it "give their outputs, each called once" do
    calls = Array.new(3000, 0)
    result = parallel(many(3000) { |i| (calls[i] += 1) && i })
    expect(result.outputs.values).to eq((0...3000).to_a)
    expect(calls.uniq).to eq([1])
  end

  it "fail alone under on_error: :continue" do
    result = parallel(many(3000, on_error: :continue) { |i| i % 100 == 7 ? raise("no") : i })
    expect([result.failed_steps.size, result.outputs.size]).to eq([30, 2970])
  end

  it "are not called after a failure, and say why" do
    called = []
    result = parallel(many(3000) { |i| i == 1500 ? raise("no") : called << i })
    seen = tally(result)
    expect(seen.keys).to match_array([[:succeeded, nil], [:failed, nil], %i[cancelled run_failed]])
    expect(called.size).to eq(seen[[:succeeded, nil]])
  end

  it "start the moment their last dependency ends, whatever else is in the batch" do
    50.times do
      after = Queue.new
      result = Flowline.define do |p|
        p.step(:root) { 1 }
        p.step(:held, depends_on: :root) { |_| after.pop }
        p.step(:quick, depends_on: :root) { |_| 2 }
        p.step(:next, depends_on: :quick) { |_| (after << :released) && 3 }
      end.run(executor: :parallel, max_threads: 4)
      expect(result[:held].output).to eq(:released)
    end
  end

  it "do not wait for a slow one among them" do
    slow = Queue.new
    done = Queue.new
    pipeline = many(2000) { |i| i == 1000 ? slow.pop : done << i }
    thread = Thread.new { parallel(pipeline) }
    1999.times { done.pop }
    slow << :released
    expect(thread.value[:s1000].output).to eq(:released)
  end

  it "are recorded with the time that each of them took" do
    result = parallel(many(200, name: "timed") { |i| i == 100 ? sleep(0.1) : i })
    expect(result[:s100].duration).to be >= 0.1
    timings = Flowline::Store.existing(ENV.fetch("FLOWLINE_ROOT")).timings("timed")
    expect(timings.size).to eq(200)
    expect(timings.values.sort.last(2).first).to be < timings["s100"]
  end

  { cancel: {}, "cancel(now: true)" => { now: true } }.each do |how, options|
    it "are interrupted by #{how}" do
      reached = Queue.new
      run = many(30_000) { |i| i == 500 ? reached << true : i }.start(executor: :parallel, max_threads: 3)
      reached.pop
      run.cancel(**options)
      expect(tally(run.wait(10)).keys - [[:succeeded, nil], %i[cancelled interrupted]]).to be_empty
    end
  end

  it "end the run by exit, and by the death of their thread" do
    { -> { exit(3) } => SystemExit, -> { Thread.exit } => nil }.each do |leave, error|
      ended = nil
      pipeline = Flowline.define do |p|
        3000.times { |i| p.step(:"s#{i}") { i == 1500 ? leave.call : i } }
        p.step(:clean, depends_on: :s2999, run_if: :always) { |_| :cleaned }
        p.after_run { |result| ended = result }
      end
      thread = Thread.new { parallel(pipeline) }
      thread.report_on_exception = false
      error ? expect { thread.join }.to(raise_error(error)) : expect(thread.value).to(be_nil)
      expect(tally(ended).keys - [[:succeeded, nil], %i[cancelled interrupted]]).to be_empty
      expect(ended[:clean].output).to eq(:cleaned)
    end
  end
end
