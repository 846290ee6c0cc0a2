# frozen_string_literal: true

require "open3"
require "rbconfig"

RSpec.describe "A pipeline run from several threads at once" do
  it "returns separate results to 8 threads with 50 runs each" do
    pipeline = Flowline.define do
      param :n, type: :integer
      before_step { |step, _| Thread.pass if step.name == :b }
      step(:a) { |ctx| Array.new(10) { ctx[:n] } }
      step(:b, depends_on: :a, when: ->(ctx) { ctx[:n].even? }) { |a| Thread.pass || a.sum }
      step(:c, depends_on: :b, run_if: :always) { |b, ctx| ctx[:n] % 5 == 4 ? raise("five") : [ctx[:n], b] }
    end
    results = Array.new(8) { |t| Thread.new { Array.new(50) { |i| [(t * 50) + i, pipeline.run(n: (t * 50) + i)] } } }.flat_map(&:value)
    expect(results.map { |_, result| result.run_id }.uniq.size).to eq(400)
    results.each do |n, result|
      b = n.even? ? n * 10 : nil
      expect(result.outputs).to eq({ a: [n] * 10, b: b, c: [n, b] }.reject { |name, _| (name == :b && n.odd?) || (name == :c && n % 5 == 4) })
      expect(outcomes(result)[:c]).to eq(n % 5 == 4 ? :failed : :succeeded)
    end
  end

  it "can share a reporter" do
    lock = Mutex.new
    seen = Hash.new(0)
    reporter = ->(event) { lock.synchronize { seen[event.context.run_id] += 1 } }
    pipeline = Flowline.define { step(:a) { 1 } }
    Array.new(4) { Thread.new { 10.times { pipeline.run(reporter: reporter) } } }.each(&:join)
    expect([seen.size, seen.values.uniq]).to eq([40, [4]])
  end

  it "is interrupted in one thread only", executor: :in_process do
    reached = Queue.new
    go_on = Queue.new
    pipeline = Flowline.define do
      step(:a) { (reached << 1) && go_on.pop }
    end
    other = Thread.new { pipeline.run }
    reached.pop
    disturb(pipeline, reached, &:kill)
    go_on << :done
    expect(other.value.outputs).to eq(a: :done)
  end

  %i[sequential parallel process].each do |executor|
    it "runs its clean-up when the program ends during a run: #{executor}" do
      program = <<~RUBY
        reached, reach = IO.pipe
        pipeline = Flowline.define do
          step(:a) { reach.syswrite("x") && sleep }
          step(:clean, depends_on: :a, run_if: :always) { |_| reach && STDOUT.syswrite("cleaned") }
        end
        Thread.new { pipeline.run(executor: :#{executor}) }
        reached.read(1)
      RUBY
      command = [RbConfig.ruby, *$LOAD_PATH.map { |path| "-I#{path}" }, "-rflowline", "-e", program]
      expect(Open3.capture2e(*command)).to match(["cleaned", be_success])
    end
  end

  describe "with a fork between runs", executor: :in_process do
    # @return [Object] the value of the block, called in a child
    def in_child
      reader, writer = IO.pipe
      pid = fork do
        reader.close
        writer.write(Marshal.dump(yield))
      ensure
        writer.close
        exit!(0)
      end
      writer.close
      Marshal.load(reader.read)
    ensure
      reader.close
      Process.wait(pid) if pid
    end

    let(:pipeline) do
      Flowline.define do
        step(:a) { Process.pid }
        step(:b, depends_on: :a) { |a| [a, Process.pid] }
      end
    end

    it "runs in the child as in the parent, with other run ids" do
      parent = pipeline.run
      child, id = in_child { pipeline.run.then { |result| [result[:b].output, result.run_id] } }
      expect(child.uniq.size).to eq(1)
      expect(child.first).not_to eq(Process.pid)
      expect(parent.run_id).not_to eq(id)
      expect(pipeline.run[:b].output).to eq([Process.pid, Process.pid])
    end

    it "may fork in a step, and run on in the child" do
      forking = Flowline.define do
        step(:a) { |ctx| ctx[:fork].call }
        step(:b, depends_on: :a) { |a| [a, Process.pid] }
      end
      result = forking.run(context: { fork: -> { in_child { pipeline.run[:b].output.uniq.size } } })
      expect(result[:b].output).to eq([1, Process.pid])
    end
  end
end
