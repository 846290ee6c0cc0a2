# frozen_string_literal: true

require_relative "../contracts/executor"

# The least an executor can be.
class Plainest
  class Pool < Flowline::Executor::Pool
    def submit(attempt) = perform(attempt)
  end

  def open_pool(inbox, _section) = Pool.new(inbox)
end

# Calls each attempt in a thread of its own.
class ThreadEach
  class Pool < Flowline::Executor::Pool
    def capacity = 3

    def submit(attempt)
      Thread.new { deliver(attempt) { perform(attempt) } }.report_on_exception = false
      nil
    end
  end

  def open_pool(inbox, _section) = Pool.new(inbox)
end

# Takes up to ten attempts at once, and begins with what it took last.
class Greedy
  class Pool < Flowline::Executor::Pool
    def initialize(inbox)
      super
      @taken = []
      @worker = Thread.new { work }
    end

    def capacity = 10

    def submit(attempt)
      @taken << attempt
      @worker.wakeup
      nil
    end

    def shutdown = @worker.kill

    private

    def work
      loop do
        attempt = @taken.pop
        attempt ? deliver(attempt) { perform(attempt) } : sleep(0.001)
      end
    end
  end

  def open_pool(inbox, _section) = Pool.new(inbox)
end

RSpec.describe Flowline::Executor do
  describe Flowline::Executor::Sequential, executor: :sequential do
    it_behaves_like("an executor") { let(:executor) { :sequential } }

    it "calls every step in the caller's thread and fiber" do
      result = run do
        step(:a) { [Thread.current, Fiber.current] }
        step(:b, depends_on: :a) { |_| [Thread.current, Fiber.current] }
      end
      expect(result.outputs.values.uniq).to eq([[Thread.current, Fiber.current]])
    end

    it "runs a graph without a pipeline" do
      inner = Flowline.define { step(:one) { 1 } }
      pipeline = Flowline.define do
        step(:inner, inner)
        step(:b, depends_on: :inner) { |one| one + 1 }
      end
      expect(described_class.new(pipeline.dag).run[:b].output).to eq(2)
      expect { described_class.new.run }.to raise_error(ArgumentError, /graph/)
    end

    it "suspends and resumes with its fiber" do
      pipeline = Flowline.define do
        step(:a) { Fiber.yield(:half) }
        step(:b, depends_on: :a) { |a| a }
      end
      fiber = Fiber.new { pipeline.run[:b].output }
      expect([fiber.resume, fiber.resume(:whole)]).to eq(%i[half whole])
    end
  end

  describe "a custom executor" do
    describe(Plainest) { it_behaves_like("an executor") { let(:executor) { Plainest.new } } }
    describe(ThreadEach) { it_behaves_like("an executor") { let(:executor) { ThreadEach.new } } }
    describe(Greedy) { it_behaves_like("an executor") { let(:executor) { Greedy.new } } }

    it "may be given as a class, and in define" do
      expect(run(executor: Plainest) { step(:a) { 1 } }).to be_success
      expect(run(define: { executor: ThreadEach }) { step(:a) { Thread.current } }[:a].output).not_to equal(Thread.current)
    end

    it "ends the run in good order when the executor raises" do
      broken = Object.new
      def broken.open_pool(*)
        raise IOError, "no workers"
      end
      result = nil
      pipeline = Flowline.define do
        step(:a) { 1 }
        step(:clean, run_if: :always) { 1 }
        after_run { |ended| result = ended }
      end
      expect { pipeline.run(executor: broken) }.to raise_error(IOError)
      expect(outcomes(result)).to eq(a: %i[cancelled interrupted], clean: %i[cancelled interrupted])
    end
  end

  it "suggests known executors for an unknown one" do
    expect { run(executor: :sequentil) { step(:a) { 1 } } }.to raise_error(Flowline::ParamError, /did you mean sequential\?/)
    expect { run(executor: 3) { step(:a) { 1 } } }.to raise_error(Flowline::ParamError, /one of sequential/)
  end
end
