# frozen_string_literal: true

require "timeout"

# The ways to leave a step other than by returning. The behaviour of every executor on exceptions that are not
# StandardErrors is in the executors' contract; here is what holds in the caller's thread.
RSpec.describe "Interruption", executor: :sequential do
  it "records what stopped the run" do
    error = nil
    pipeline = Flowline.define do
      on_failure { |failure| error = failure }
      step(:a) { exit 7 }
    end
    expect { pipeline.run }.to raise_error(SystemExit)
    expect(error).to have_attributes(cause: be_a(SystemExit), message: /interrupted: SystemExit/)
  end

  let(:log) { [] }

  # A pipeline whose second of three steps does what the block says, and that has something to clean up.
  def interrupted_by(&body)
    Flowline.define do |p|
      log_hooks(p, log)
      p.after_run { |result| log << [:result, result] }
      p.step(:before) { :kept }
      p.step(:during, depends_on: :before) { |_| body.call }
      p.step(:after, depends_on: :during) { |_| raise "must not be called" }
      p.step(:clean, depends_on: :after, run_if: :always) { log << [:cleaned] }
    end
  end

  def result
    log.assoc(:result).last
  end

  # Checks that the run ended in good order.
  def expect_good_order
    expect(outcomes(result)).to eq(before: :succeeded, during: %i[cancelled interrupted], after: %i[cancelled interrupted], clean: :succeeded)
    expect(result).to have_attributes(status: :cancelled, outputs: include(before: :kept),
                                      error: be_a(Flowline::CancelledError).and(have_attributes(reason: :interrupted)))
    expect(log.map(&:first).grep(/\A(before_run|on_success|on_failure|after_run|cleaned)\z/)).to eq(%i[before_run cleaned on_failure after_run])
  end

  it "by throw unwinds to the catch outside" do
    expect(catch(:out) { interrupted_by { throw :out, 3 }.run && :not_thrown }).to eq(3)
    expect_good_order
  end

  it "by return unwinds the method that defined the step" do
    def leave
      interrupted_by(&proc { return :left }).run
      :not_left
    end
    expect(leave).to eq(:left)
    expect_good_order
  end

  it "does not treat StopIteration as an interruption, not even in a loop" do
    expect(loop { break run { |p| p.step(:a) { raise StopIteration } }.failed_step }).to eq(:a)
  end

  it "by a return, break or throw without a target is a failure that suggests next" do
    def orphan
      proc { return 1 }
    end
    returning = orphan
    [run { |p| p.step(:a, &returning) }, run { |p| p.step(:a) { break 1 } }, run { |p| p.step(:a) { throw :nobody } }].each do |failed|
      expect(failed[:a]).to have_attributes(status: :failed, error: Flowline::StepError)
      expect(failed.error.message).to include("use `next`")
    end
  end

  it "does not treat next or a lambda's return as an interruption" do
    expect(run { |p| p.step(:a) { next 1 } }.outputs).to eq(a: 1)
    expect(run { |p| p.step(:a, -> { return 2 }) }.outputs).to eq(a: 2)
  end

  it "by the death of the thread ends the run in good order" do
    reached = Queue.new
    pipeline = interrupted_by { (reached << 1) && Queue.new.pop }
    thread = disturb(pipeline, reached, &:kill)
    expect(thread.status).to be(false)
    expect_good_order
  end

  it "by a step that kills its own thread ends the run in good order" do
    pipeline = interrupted_by { Thread.current.kill }
    thread = Thread.new { pipeline.run }
    expect(thread.value).to be_nil
    expect_good_order
  end

  it "by Thread#raise ends the run in good order" do
    reached = Queue.new
    own = Class.new(Exception)
    pipeline = interrupted_by { (reached << 1) && Queue.new.pop }
    thread = disturb(pipeline, reached) { |t| t.raise(own, "from outside") }
    expect { thread.value }.to raise_error(own, "from outside")
    expect_good_order
  end

  it "by Thread#raise of a StandardError fails the running step" do
    reached = Queue.new
    pipeline = interrupted_by { (reached << 1) && Queue.new.pop }
    thread = disturb(pipeline, reached) { |t| t.raise(IOError, "from outside") }
    expect(thread.value[:during].error.original).to be_an(IOError)
  end

  it "by Timeout around the run ends it in good order" do
    pipeline = interrupted_by { Queue.new.pop }
    expect { Timeout.timeout(0.02) { pipeline.run } }.to raise_error(Timeout::Error)
    expect_good_order
  end

  it "by a signal ends the run in good order" do
    reader, writer = IO.pipe
    pid = fork do
      reader.close
      trap(:INT, "DEFAULT")
      interrupted_by { Process.kill(:INT, Process.pid) && Queue.new.pop }.run
    rescue Interrupt
      writer.write(Marshal.dump([outcomes(result), result.status]))
    ensure
      writer.close
      exit!(0)
    end
    writer.close
    Process.wait(pid)
    expect(Marshal.load(reader.read)).to eq([{ before: :succeeded, during: %i[cancelled interrupted], after: %i[cancelled interrupted],
                                               clean: :succeeded }, :cancelled])
  ensure
    reader.close
  end

  describe "outside of steps" do
    # The hooks and conditions of a run of which one is interrupted.
    def interrupt_in(place)
      pipeline = Flowline.define do |p|
        p.public_send(place) { raise Interrupt, place.to_s }
        p.after_run { |ended| log << ended }
        p.step(:a) { 1 }
        p.step(:b, depends_on: :a) { |_| 1 }
        p.step(:skip, when: ->(_) { false }) { 1 }
        p.step(:clean, run_if: :always, depends_on: :b) { 1 }
      end
      expect { pipeline.run }.to raise_error(Interrupt, place.to_s)
      log.first
    end

    { before_run: { a: %i[cancelled interrupted], b: %i[cancelled interrupted], skip: %i[cancelled interrupted], clean: :succeeded },
      after_step: { a: :succeeded, b: %i[cancelled interrupted], skip: %i[cancelled interrupted] },
      on_step_success: { a: :succeeded, b: %i[cancelled interrupted], skip: %i[cancelled interrupted] } }.each do |place, expected|
      it "ends the run in good order: #{place}" do
        expect(outcomes(interrupt_in(place))).to include(expected)
        expect(log).to match([have_attributes(status: :cancelled, error: Flowline::CancelledError)])
      end
    end

    it "ends the run in good order: a condition" do
      pipeline = Flowline.define do |p|
        p.after_run { |ended| log << outcomes(ended) }
        p.step(:a, when: ->(_) { raise Interrupt }) { 1 }
      end
      expect { pipeline.run }.to raise_error(Interrupt)
      expect(log).to eq([{ a: %i[cancelled interrupted] }])
    end

    it "makes the run cancelled even when every step has succeeded" do
      pipeline = Flowline.define do |p|
        p.after_step { raise Interrupt }
        p.on_failure { |error| log << error }
        p.after_run { |ended| log << ended.status }
        p.step(:a) { 1 }
      end
      expect { pipeline.run }.to raise_error(Interrupt)
      expect(log).to match([Flowline::CancelledError, :cancelled])
    end
  end

  it "after a failure leaves the failure as the run's error" do
    pipeline = Flowline.define do |p|
      p.on_failure { |error| log << error }
      p.after_run { |ended| log << ended.status }
      p.step(:bad) { raise "bad" }
      p.step(:clean, depends_on: :bad, run_if: :always) { raise Interrupt }
    end
    expect { pipeline.run }.to raise_error(Interrupt)
    expect(log).to match([be_a(Flowline::StepError).and(have_attributes(step_name: :bad)), :failed])
  end

  it "raises the first exception when a clean-up fails as well" do
    results = []
    pipeline = Flowline.define do |p|
      p.after_run { |ended| results << ended }
      p.step(:a) { raise Interrupt, "first" }
      p.step(:clean, depends_on: :a, run_if: :always) { raise "clean" }
      p.step(:more, depends_on: :clean, run_if: :always) { 1 }
    end
    expect { pipeline.run }.to raise_error(Interrupt, "first")
    expect(outcomes(results.first)).to eq(a: %i[cancelled interrupted], clean: :failed, more: :succeeded)
  end

  it "of a nested run ends the inner run first, then the outer one" do
    order = []
    inner = Flowline.define do |p|
      p.after_run { order << :inner }
      p.step(:i) { raise Interrupt }
    end
    outer = Flowline.define do |p|
      p.after_run { |ended| order << outcomes(ended) }
      p.step(:o) { inner.run }
    end
    expect { outer.run }.to raise_error(Interrupt)
    expect(order).to eq([:inner, { o: %i[cancelled interrupted] }])
  end

  it "leaves the pipeline reusable" do
    pipeline = interrupted_by { raise Interrupt }
    2.times { expect { pipeline.run }.to raise_error(Interrupt) }
    expect(log.count([:cleaned])).to eq(2)
  end

  describe "by the end of the program, while the run goes on in another thread" do
    %i[sequential parallel process].each do |executor|
      { "start" => "pipeline.start", "a thread of the program" => "Thread.new { pipeline.run }" }.each do |how, begins|
        it "runs all steps that run always, by #{how} under #{executor}" do
          out, status = ruby(<<~RUBY)
            $stdout.sync = true
            reached = Queue.new
            pipeline = Flowline.define(executor: :#{executor}, timeout: 60) do
              step(:stop) { sleep }
              step(:quick) { 1 }
              step(:rows, depends_on: :stop, run_if: :always) { [1, 2, 3] }
              step(:each_row, each: :rows, run_if: :always) { |row| $stdout.write("row \#{row}\\n") }
              step(:again, depends_on: :stop, run_if: :always, retries: 1) { $stdout.write("again\\n") && raise("down") }
              step(:other, depends_on: :stop, run_if: :always, timeout: 20) { $stdout.write("other\\n") }
              after_step { |step| reached << true if step.name == :quick }
              after_run { |result| $stdout.write("\#{result.status}\\n") }
            end
            #{begins}
            #{executor == :sequential ? "sleep 0.2" : "reached.pop"}
          RUBY
          expect([out.lines(chomp: true).sort, status.exitstatus]).to eq([["again", "again", "cancelled", "other", "row 1", "row 2", "row 3"], 0])
        end
      end
    end
  end
end
