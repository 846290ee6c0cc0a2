# frozen_string_literal: true

RSpec.describe "A process that forks while its threads record" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  def pipeline(name, size = 1)
    Flowline.define(name: name) do |p|
      p.step(:a) { "a" * size }
      p.step(:b, depends_on: :a, &:size)
    end
  end

  it "has children that end and can use the store themselves", executor: :in_process do
    statuses = elsewhere do
      pipeline("child").run # Loads what is loaded when it is needed: a child should not be forked in the middle of that.
      done = false
      threads = Array.new(4) { |n| Thread.new { pipeline("t#{n}", n.zero? ? 300_000 : 1).run until done } }
      pids = Array.new(80) { |n| fork { exit!(n.even? || pipeline("child").run.success? ? 0 : 1) } }
      pids.map { |pid| Process.wait2(pid).last.exitstatus }.tap do
        done = true
        threads.each(&:value)
      end
    end
    expect(statuses).to eq([0] * 80)
    expect(sql("PRAGMA integrity_check")).to eq([["ok"]])
    expect(Flowline::Store.at(root).runs(nil, 1000).map(&:status).uniq).to eq(["succeeded"])
  end

  {
    "executor: :process": [{ executor: :process, max_processes: 4 }, {}, 100],
    "isolate: :process": [{ executor: :parallel, max_threads: 4 }, { isolate: :process }, 60]
  }.each do |what, (options, settings, count)|
    it "runs many other named pipelines in its steps, under #{what}" do
      outputs = elsewhere do
        inner = pipeline("inner")
        outer = Flowline.define(name: "outer") do |p|
          count.times { |n| p.step(:"s#{n}", **settings) { inner.run(executor: :sequential).success? ? n : raise("inner") } }
        end
        outer.run!(**options).outputs.values
      end
      expect(outputs).to eq([*0...count])
      expect(sql("PRAGMA integrity_check")).to eq([["ok"]])
    end
  end
end
