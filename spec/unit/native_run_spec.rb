# frozen_string_literal: true

# The state machine of a run, as Ruby sees it. Its decisions are tested in Rust, in virtual time.
RSpec.describe "Flowline::Native::Run" do
  native = Flowline.const_get(:Native)

  # Steps are numbered in the order of the Hash.
  def graph(steps, rules: [0] * steps.size)
    graph, problems = Flowline.const_get(:Native)::Graph.build(steps.keys, steps.values, rules)
    expect(problems).to be_empty
    graph
  end

  let(:chain) { graph({ fetch: [], clean: [:fetch], save: [:clean] }) }
  let(:run) { native::Run.new(chain, true) }

  def seen(run, steps)
    { status: run.status, ended: run.ended, running: run.running, failures: run.failures, ready: run.ready?,
      steps: (0...steps).map { |id| run.step(id).first(3) + [run.state(id)] } }
  end

  describe "#uncalled" do
    it "groups the steps that ended without an attempt by outcome and reason" do
      run.next
      expect(run.uncalled).to be_empty
      run.report(0, :failed, nil)
      expect(run.uncalled).to eq([[:cancelled, :upstream_failed, [1, 2]]])
    end

    it "has a group of the steps that a cache had" do
      run.preset([], [0, 1], [])
      expect(run.uncalled).to contain_exactly([:cached, nil, [0, 1]])
    end

    it "has a group for each outcome" do
      run.preset([0], [], [2])
      run.next
      run.report(1, :succeeded, nil)
      expect(run.uncalled).to contain_exactly([:restored, nil, [0]], [:skipped, :not_selected, [2]])
    end
  end

  describe "symbols" do
    it "refuses an unknown outcome and names the known ones" do
      run.next
      expect { run.report(0, :succeded, nil) }
        .to raise_error(ArgumentError, /a step cannot be reported as :succeded; known: :succeeded, :cached, .*:skipped with :condition/)
      expect(run.running).to eq([0])
    end

    it "refuses an outcome with a reason that only the core decides" do
      run.next
      expect { run.report(0, :cancelled, :upstream_failed) }.to raise_error(ArgumentError, /:cancelled with :upstream_failed; known/)
      expect { run.report(0, :skipped, nil) }.to raise_error(ArgumentError, /reported as :skipped; known/)
    end

    it "refuses an unknown stop status and suggests the nearest known one" do
      expect { run.stop(:time_out, false) }
        .to raise_error(ArgumentError, "unknown stop status :time_out; did you mean :timed_out? known: :failed, :cancelled, :timed_out")
      expect(run.stopped?).to be(false)
    end

    it "refuses an unknown report on an item" do
      run.next
      run.open(0, 1, nil)
      run.supply(0, 1)
      run.next
      expect { run.item(0, run.take(0), :finished, true, nil) }
        .to raise_error(ArgumentError, "unknown item report :finished; known: :done, :restored, :failed, :retry, :withdrawn")
    end

    it "refuses an unknown retry strategy instead of retrying at once" do
      expect { native.retry_wait(:exponental, 1.0, 60.0, 0.0, 3, 0.5) }
        .to raise_error(ArgumentError, "unknown retry strategy :exponental; did you mean :exponential? known: :immediate, :linear, :exponential")
      waits = %i[immediate linear exponential].map { |strategy| native.retry_wait(strategy, 1.0, 60.0, 0.0, 3, 0.5) }
      expect(waits).to eq([0.0, 1.0, 4.0])
    end

    it "refuses an unknown rule of a step" do
      expect { native::Graph.build([:fetch], [[]], [3]) }
        .to raise_error(ArgumentError, "unknown rule 3; known: 0, 1 or 2, plus 4 if the step is optional, plus 8 if it outlasts a stop")
      expect { native::Graph.build([:fetch], [[]], [16]) }.to raise_error(ArgumentError, /unknown rule 16/)
    end
  end

  describe "calls that do not fit the state of the run" do
    it "raises an error of Flowline that names the step" do
      expect { run.report(0, :succeeded, nil) }.to raise_error(Flowline::Error, "step 0 is not running")
      expect { run.begin(7) }.to raise_error(Flowline::Error, "the run has no step 7")
      run.next
      expect { run.expect([1.0]) }.to raise_error(Flowline::Error, "the run has begun already")
      expect { run.share([1], []) }.to raise_error(Flowline::Error, "the run has begun already")
    end

    it "raises an error of Flowline for a pool that does not exist" do
      expect { run.share([1], [[0, [[1, 1]], nil, nil]]) }.to raise_error(Flowline::Error, "the run has no pool 1")
    end
  end

  it "returns the steps that ended without a report once" do
    run.next
    run.report(0, :failed, nil)
    expect([run.drain_ended, run.drain_ended]).to eq([[1, 2], []])
    other = native::Run.new(chain, true)
    other.preset([0], [], [])
    expect([other.drain_ended, other.drain_ended]).to eq([[0], []])
  end

  describe "a journal" do
    it "is empty unless it is switched on" do
      run.next
      expect(run.take_events).to eq("")
      expect { run.journal! }.to raise_error(Flowline::Error, "the run has begun already")
    end

    it "is bytes that are returned once" do
      run.journal!
      run.journal!
      header = run.take_events
      expect(header).to start_with("FLOWRUN".b).and have_attributes(encoding: Encoding::BINARY, bytesize: 49)
      expect(run.take_events).to eq("")
      run.next
      expect(run.take_events).not_to be_empty
    end

    it "rebuilds the run at any point, which decides as the original does from there on" do
      steps = { fetch: [], pages: [:fetch], count: [:fetch], report: %i[pages count], notify: [:report] }
      built = graph(steps, rules: [0, 0, 4, 1, 2])
      script = [
        ->(r) { r.share([1], [[1, [[0, 1]], nil, nil], [2, [[0, 1]], 5, 0.01]]) }, ->(r) { r.expect([1.0, nil, 3.0, nil, 2.0]) },
        ->(r) { r.limit(1_000.0) }, :next.to_proc, ->(r) { r.begin(0) }, ->(r) { r.succeed(0) }, :next.to_proc,
        ->(r) { r.retry(2, 0.0) }, :next.to_proc, ->(r) { r.report(2, :failed, nil) }, :next.to_proc, ->(r) { r.open(1, 2, 3) },
        ->(r) { r.supply(1, 2) }, :next.to_proc, ->(r) { r.take(1) }, ->(r) { r.item(1, 0, :retry, true, 0.0) }, :next.to_proc,
        ->(r) { r.take(1) }, ->(r) { r.item(1, 0, :done, true, nil) }, ->(r) { r.exhaust(1) }, ->(r) { r.stop(:cancelled, false) },
        :next.to_proc, ->(r) { r.report(4, :succeeded, nil) }, :next.to_proc
      ]
      (0..script.size).each do |cut|
        original = native::Run.new(built, true)
        original.journal!
        script.first(cut).each { |call| call.call(original) }
        copy = native::Run.replay(built, original.take_events)
        script.drop(cut).each { |call| expect([cut, call.call(copy).class]).to eq([cut, call.call(original).class]) }
        expect([cut, seen(copy, 5)]).to eq([cut, seen(original, 5)])
      end
    end

    it "continues in the replayed run, whose clock continues from the last event" do
      run.journal!
      id = run.next
      sleep(0.01)
      run.begin(id)
      journal = run.take_events
      copy = native::Run.replay(chain, journal)
      expect(copy.elapsed).to be_between(0.01, run.elapsed)
      copy.succeed(id)
      again = native::Run.replay(chain, journal + copy.take_events)
      expect(seen(again, 3)).to eq(seen(copy, 3))
      expect(again.step(0)).to eq(copy.step(0))
    end

    it "is refused with another graph" do
      run.journal!
      other = graph({ fetch: [], clean: [:fetch], store: [:clean] })
      expect { native::Run.replay(other, run.take_events) }.to raise_error(Flowline::Error, /journal is of a run of another graph/)
    end

    it "is refused when it is damaged, cut short or something else" do
      run.journal!
      run.next
      journal = run.take_events
      damaged = journal.dup.tap { |bytes| bytes.setbyte(-9, bytes.getbyte(-9) ^ 1) }
      expect { native::Run.replay(chain, damaged) }.to raise_error(Flowline::Error, "the journal is damaged at byte 49")
      expect { native::Run.replay(chain, journal[0...-1]) }.to raise_error(Flowline::Error, /ends in the middle of what starts at byte 49/)
      expect { native::Run.replay(chain, "{}") }.to raise_error(Flowline::Error, "these bytes are no journal of a run")
      expect { native::Run.replay(chain, nil) }.to raise_error(TypeError)
    end
  end
end
