# frozen_string_literal: true

RSpec.describe Flowline::Event do
  def events(pipeline, **options)
    seen = []
    begin
      pipeline.run(reporter: ->(event) { seen << event }, **options)
    rescue Interrupt
      nil
    end
    seen
  end

  def names(events)
    events.map { |event| [event.name, event.step&.name].compact }
  end

  let(:mixed) do
    Flowline.define(name: "mixed") do
      step(:ok) { 1 }
      step(:skip, depends_on: :ok, when: ->(_) { false }) { |_| 1 }
      step(:under, depends_on: :skip) { |_| 1 }
      step(:bad, depends_on: :under, run_if: :always) { |_| raise "x" }
    end
  end

  it "notifies of a run from its start to its end" do
    expect(names(events(mixed))).to eq([[:run_started], %i[step_started ok], %i[step_finished ok], %i[step_finished skip], %i[step_finished under],
                                        %i[step_started bad], %i[step_finished bad], [:run_finished]])
  end

  it "has a name, a time, the context, the step and its result" do
    all = events(mixed)
    expect(all).to all(be_frozen.and(have_attributes(time: be_a(Time), steps: mixed.steps, context: all.first.context)))
    expect(all.first.context.pipeline_name).to eq("mixed")
    expect(all.map(&:time)).to eq(all.map(&:time).sort)
    expect(all.map { |event| event.result&.status }).to eq([nil, nil, :succeeded, :skipped, :skipped, nil, :failed, :failed])
    expect(all[3].result).to have_attributes(name: :skip, reason: :condition)
    expect(all[2].step).to equal(mixed.steps.first)
  end

  it "arrives in the order of its time, whichever thread runs the step" do
    pipeline = Flowline.define { 50.times { |i| step(:"s#{i}") { i } } }
    told = []
    slow = ->(event) { (told << event.time) && sleep(0.0005) } # Others have something to tell meanwhile.
    pipeline.run(executor: :parallel, max_threads: 8, reporter: slow)
    expect(told).to eq(told.sort)
  end

  it "notifies of an interrupted run to its end" do
    pipeline = Flowline.define do
      step(:a) { raise Interrupt }
      step(:b, depends_on: :a) { |_| 1 }
      step(:clean, depends_on: :b, run_if: :always) { |_| 1 }
    end
    seen = events(pipeline)
    expect(names(seen)).to contain_exactly([:run_started], %i[step_started a], %i[step_finished a], %i[step_finished b],
                                           %i[step_started clean], %i[step_finished clean], [:run_finished])
    expect([seen.first.name, seen.last.name, seen.last.result.status]).to eq(%i[run_started run_finished cancelled])
  end

  it "notifies reporters of a run or step that a hook refused" do
    pipeline = Flowline.define do
      before_run { raise "no" }
      step(:a) { 1 }
    end
    expect(names(events(pipeline))).to eq([[:run_started], %i[step_finished a], [:run_finished]])
    pipeline = Flowline.define do
      before_step { raise "no" }
      step(:a) { 1 }
    end
    expect(names(events(pipeline)).last(2)).to eq([%i[step_finished a], [:run_finished]])
  end

  it "is not created without observers" do
    allow(described_class).to receive(:new).and_call_original
    Flowline.define { step(:ok) { 1 } }.run
    expect(described_class).not_to have_received(:new)
    mixed.run(reporter: ->(_) {})
    expect(described_class).to have_received(:new).at_least(:once)
  end
end
