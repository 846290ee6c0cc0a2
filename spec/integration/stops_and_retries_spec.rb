# frozen_string_literal: true

# A step that failed and would be called again, in a run that is stopped before that.
RSpec.describe "A step with retries left" do
  let(:log) { [] }

  # A pipeline whose step :flaky is defined by the block, with two steps after it.
  def pipeline(name: nil, &more)
    Flowline.define(name: name) do |p|
      p.on_step_failure { |step, error| log << [:failed, step.name, error.original&.message] }
      p.on_step_retry { |step| log << [:retried, step.name] }
      p.on_step_skip { |step, reason| log << [:skipped, step.name, reason] }
      more.call(p)
      p.step(:after, depends_on: :flaky) { |_| raise "must not be called" }
      p.step(:last, depends_on: :after) { |_| raise "must not be called" }
    end
  end

  # Checks that the step failed with its error, and that observers were notified of everything after it.
  def expect_failure(result, reason, retried: false)
    expect(result[:flaky]).to have_attributes(status: :failed, attempts: 1)
    expect(result[:flaky].error).to be_a(Flowline::StepError).and have_attributes(message: /flaky/)
    expect(log).to include([:failed, :flaky, "flaky"], [:skipped, :after, reason], [:skipped, :last, reason])
    expect(log.count([:retried, :flaky])).to eq(retried ? 1 : 0)
    expect(log.count([:failed, :flaky, "flaky"])).to eq(1)
  end

  %i[sequential parallel process].each do |executor|
    describe "under :#{executor}" do
      unless executor == :sequential
        it "has failed when another step stops the run while it is called" do
          gate = Gate.new
          result = pipeline do |p|
            p.after_step { |step| gate.release if step.name == :bad }
            p.step(:bad) { raise "bad" }
            p.step(:flaky, retries: 5, retry_delay: 600) { gate.pass || raise("flaky") }
          end.run(executor: executor, max_threads: 2, max_processes: 2)
          expect_failure(result, :run_failed)
          expect(result.failed_steps).to eq(%i[bad flaky])
        end
      end

      it "has failed when another step stops the run while it waits" do
        result = pipeline do |p|
          p.step(:flaky, retries: 5, retry_delay: 600) { raise "flaky" }
          p.step(:bad) { sleep(0.2) && raise("bad") }
        end.run(executor: executor)
        expect_failure(result, :run_failed, retried: true)
      end

      it "has failed when the run is cancelled while it waits" do
        reached = Queue.new
        run = pipeline do |p|
          p.on_step_retry { reached << true }
          p.step(:flaky, retries: 5, retry_delay: 600) { raise "flaky" }
        end.start(executor: executor)
        reached.pop
        result = run.cancel.wait(10)
        expect_failure(result, :interrupted, retried: true)
        expect(result).to have_attributes(status: :cancelled, error: Flowline::CancelledError)
      end

      it "has failed, and is not announced as retried, when the run is cancelled while it is called" do
        gate = Gate.new
        run = pipeline { |p| p.step(:flaky, retries: 5) { gate.pass || raise("flaky") } }.start(executor: executor)
        gate.wait
        run.cancel
        gate.release
        expect_failure(run.wait(10), :interrupted)
      end

      it "has failed when the run's time is up while it waits" do
        result = pipeline { |p| p.step(:flaky, retries: 5, retry_delay: 600) { raise "flaky" } }.run(executor: executor, timeout: 3)
        expect_failure(result, :run_timed_out, retried: true)
        expect(result).to have_attributes(status: :timed_out, error: have_attributes(class: Flowline::TimeoutError, scope: :run))
      end
    end
  end

  it "is recorded as failed, and runs when the run is resumed" do
    reached = Queue.new
    broken = true
    durable = pipeline(name: "retried") do |p|
      p.on_step_retry { reached << true }
      p.step(:flaky, retries: 5, retry_delay: 600) { broken ? raise("flaky") : 1 }
    end
    run = durable.start(executor: :sequential)
    reached.pop
    expect_failure(run.cancel.wait(10), :interrupted, retried: true)
    broken = false
    expect(durable.run(resume: true, executor: :sequential)[:flaky]).to have_attributes(status: :succeeded, attempts: 1, error: nil)
  end

  it "has no error when a later attempt succeeds, and causes a warning when it is optional", executor: :sequential do
    attempts = 0
    result = Flowline.define do |p|
      p.step(:flaky, retries: 1) { (attempts += 1) == 1 ? raise("flaky") : 2 }
      p.step(:soft, optional: true, retries: 1, retry_delay: 600) { raise "soft" }
      p.step(:bad) { raise "bad" }
    end.run
    expect(result[:flaky]).to have_attributes(status: :succeeded, attempts: 2, error: nil)
    expect(result[:soft]).to have_attributes(status: :failed)
    expect(result.warnings).to contain_exactly(/optional step soft failed/)
    expect(result.failed_steps).to eq([:bad])
  end

  it "fails its mapped step when its item fails after the run was stopped" do
    gate = Gate.new
    run = Flowline.define do |p|
      p.step(:rows) { [1, 2] }
      p.step(:each, each: :rows, concurrency: 1, retries: 3, retry_delay: 600) { gate.pass || raise("item") }
    end.start(executor: :parallel)
    gate.wait
    run.cancel
    gate.release
    expect(run.wait(10)[:each]).to have_attributes(status: :failed, error: be_a(Flowline::ItemError))
  end
end
