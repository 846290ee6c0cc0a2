# frozen_string_literal: true

RSpec.describe Flowline::Executor::Timer do
  let(:timer) { described_class }

  # An interruption of somebody else's, which no `rescue => e` stops.
  let(:poke) { Class.new(Exception) }

  it "starts no thread before it is needed" do
    script = "require 'flowline'; Flowline.define { step(:a) { 1 } }.run!; print Thread.list.size"
    expect(IO.popen([RbConfig.ruby, "-Ilib", "-e", script], &:read)).to eq("1")
  end

  it "accepts any number of seconds" do
    [Float::INFINITY, 1e300, 10**30, 5r].each { |seconds| expect(timer.limit(seconds) { :done }).to eq([:done, :stopped]) }
    expect(timer.limit(1/50r) { sleep }).to eq([nil, :expired])
  end

  it "passes exceptions that end the program through" do
    expect { timer.limit(0.01) { begin; sleep; ensure; raise Interrupt; end } }.to raise_error(Interrupt)
    expect { timer.limit(0.01) { begin; sleep; ensure; exit; end } }.to raise_error(SystemExit)
  end

  it "attributes an interruption to the outer limit, even when both have expired" do
    inner = nil
    outer = timer.limit(0.01) do
      inner = timer.limit(0.01) { Thread.handle_interrupt(described_class::Expired => :never) { sleep 0.05 } }
      sleep
    end
    expect([outer, inner]).to eq([[nil, :expired], nil]).or eq([[nil, :expired], [nil, :expired]])
    expect { 100.times { Thread.pass } }.not_to raise_error
  end

  it "leaves no limit behind, however its block ends" do
    started = Queue.new
    seen = Queue.new
    thread = Thread.new do
      Thread.handle_interrupt(poke => :never) do
        started << true
        loop do
          Thread.handle_interrupt(poke => :immediate) { loop { timer.limit(0.0003) { 20.times { Thread.pass } } } }
        rescue poke
          seen << :poked
        end
      end
    end
    thread.report_on_exception = false
    started.pop
    300.times do
      thread.raise(poke)
      sleep 0.0003 # So that it hits wherever it may.
    end
    seen.pop
    thread.kill
    expect { thread.join }.not_to raise_error
  end

  it "does not depend on the wall clock" do
    allow(Time).to receive(:now).and_return(Time.at(0), Time.at(2**33), Time.at(5))
    expect(timer.limit(30) { :done }).to eq([:done, :stopped])
    expect(timer.limit(0.01) { sleep }).to eq([nil, :expired])
  end

  it "ends a thousand limits at once" do
    threads = Array.new(1000) { Thread.new { timer.limit(0.05) { sleep } } }
    expect(threads.map(&:value).uniq).to eq([[nil, :expired]])
  end

  it "does not apply limits of the parent in a forked child" do
    status = nil
    timer.limit(0.2) do
      pid = fork do
        timer.limit(5) { sleep 0.4 }
        exit!(7)
      rescue Exception # rubocop:disable Lint/RescueException
        exit!(1)
      end
      Thread.handle_interrupt(described_class::Expired => :never) { status = Process.wait2(pid).last.exitstatus }
    end
    expect(status).to eq(7)
  end
end
