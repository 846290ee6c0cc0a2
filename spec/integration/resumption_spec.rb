# frozen_string_literal: true

require "json"

# Which run `resume:` takes, and what the run says about it.
RSpec.describe "A run with resume:" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }
  let(:state) { { down: true } }
  let(:store) { Flowline::Store.existing(root) }

  def pipeline(name = "import", &more)
    Flowline.define(name: name) do |d|
      d.param :date, type: :date, default: "2024-01-09"
      d.param :token, secret: true
      d.step(:list) { [1, 2, 3] }
      d.step(:each, each: :list, depends_on: :list) { |n| state[:down] && n == 3 ? raise("down") : n }
      d.step(:load, depends_on: :each) { |all| all.sum }
      more&.call(d)
    end
  end

  def failed(**options)
    state[:down] = true
    result = pipeline.run(**options)
    state[:down] = false
    raise "it was to fail" if result.success?

    result
  end

  it "adopts the params of the latest run that can be resumed, whatever succeeded since with other params" do
    first = failed(date: "2024-01-05")
    pipeline.run(date: "2024-01-06")
    result = pipeline.run(resume: true)
    expect(result.resumed).to have_attributes(run_id: first.run_id, params: { date: Date.new(2024, 1, 5) })
    expect(outcomes(result)[:list]).to eq(:restored)
    expect(pipeline.run(resume: true).resumed).to have_attributes(run_id: nil, reason: /\Ano run with the same params/)
  end

  it "adopts the params of another run while the latest one is alive" do
    first = failed(date: "2024-01-05")
    gate = Gate.new
    waiting = pipeline { |d| d.step(:wait) { gate.pass } }
    thread = Thread.new { waiting.run(date: "2024-01-06") }
    gate.wait
    expect(pipeline.run(resume: true).resumed.run_id).to eq(first.run_id)
    expect { pipeline.run(resume: true) }.to raise_error(Flowline::LockedError, /date: 2024-01-06/)
    gate.release
    thread.join
  end

  it "adopts no params of a run with another input" do
    failed(date: "2024-01-05", input: 1)
    result = pipeline { |d| d.step(:day) { |input, date:| [input, date] } }.then { |p| p.run(resume: true, input: 2) }
    expect(result.resumed.reason).to match(/no run with the same params, input and context is recorded; run \S+ \(date: 2024-01-05\) failed and can be resumed/)
    expect(result[:day].output).to eq([2, Date.new(2024, 1, 9)])
  end

  it "needs secrets again, and keeps them out of what it says" do
    failed(date: "2024-01-05", token: "hunter2")
    result = pipeline.run(resume: true, token: "hunter2")
    expect(result.resumed.params).to eq(date: Date.new(2024, 1, 5))
    expect([result.resumed.to_s, result.to_json, Marshal.dump(result)]).not_to include(/hunter2/)
  end

  it "takes no default in place of a param that the run did not have" do
    failed(date: "2024-01-05")
    changed = pipeline { |d| d.param :limit, default: 3 }
    expect { changed.run(resume: true) }.to raise_error(Flowline::CheckpointError, /the pipeline's params have changed \(limit is new\); give them with resume: true/)
  end

  it "takes the run with that id" do
    first = failed(date: "2024-01-05")
    second = failed(date: "2024-01-06")
    expect(pipeline.run(resume: first.run_id).resumed).to have_attributes(run_id: first.run_id, params: { date: Date.new(2024, 1, 5) })
    expect(pipeline.run(resume: second.run_id, date: "2024-01-06").resumed.run_id).to eq(second.run_id)
  end

  it "refuses an id with the reason" do
    first = failed(date: "2024-01-05")
    id = first.run_id
    refusals = ->(run_id, **options) { pipeline.run(resume: run_id, **options) && nil rescue $!.message } # rubocop:disable Style/RescueModifier
    expect(refusals["#{id[0..-2]}?"]).to match(/cannot be resumed: there is no such run in #{root}; did you mean #{id}\?/)
    expect(refusals[id, date: "2024-01-06"]).to eq("run #{id} cannot be resumed: its params were others (date: 2024-01-05)")
    expect(refusals[id, input: 5]).to match(/its input: or context: was another one/)
    expect { pipeline("export").run(resume: id) }.to raise_error(Flowline::CheckpointError, /it is a run of import, not of export/)
    later = pipeline.run(resume: id)
    expect(refusals[id]).to match(/run #{later.run_id} has resumed it, and succeeded/)
    expect(refusals[later.run_id]).to match(/cannot be resumed: it succeeded/)
    replaced = failed(date: "2024-01-07")
    pipeline.run(date: "2024-01-07")
    expect(refusals[replaced.run_id]).to match(/has replaced it, with the same params/)
    gone = failed(date: "2024-01-08")
    Flowline::Checkpoint.latest("import").delete
    expect(refusals[gone.run_id]).to match(/its checkpoint is gone/)
    ENV["FLOWLINE_ROOT"] = "#{root}-other"
    expect(refusals[id]).to match(/there is no store at #{root}-other/)
    expect(Dir.exist?("#{root}-other")).to be(false)
  end

  it "refuses the id of a run that is alive as locked" do
    gate = Gate.new
    state[:down] = false
    waiting = pipeline { |d| d.step(:wait) { gate.pass } }
    thread = Thread.new { waiting.run(date: "2024-01-06") }
    gate.wait
    id = store.latest("import").run_id
    expect { pipeline.run(resume: id) }.to raise_error(Flowline::LockedError) { |error| expect(error.run_id).to eq(id) }
    gate.release
    thread.join
  end

  it "works with an id in a pipeline without a name, in the same process" do
    down = true
    nameless = Flowline.define { |d| d.step(:a) { 1 } && d.step(:b, depends_on: :a) { |_| down && raise("down") } }
    first = nameless.run
    down = false
    expect { nameless.run(resume: "other") }.to raise_error(Flowline::CheckpointError, /there is no such run in the memory of this process/)
    result = nameless.run(resume: first.run_id)
    expect([result[:a].status, result.resumed.run_id, result.resumed.store]).to eq([:restored, first.run_id, nil])
    expect { nameless.run(resume: first.run_id) }.to raise_error(Flowline::CheckpointError)
  end

  it "says which run, when, its params, and how many steps and items are restored" do
    first = failed(date: "2024-01-05")
    resumed = pipeline.run(resume: true).resumed
    expect(resumed).to have_attributes(run_id: first.run_id, steps: 1, items: 2, reason: nil, store: root, started_at: be_within(60).of(Time.now))
    expect(resumed.to_s).to match(/\Aresuming run #{first.run_id} of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(date: 2024-01-05\): 1 step and 2 items restored\z/)
    expect(Marshal.load(Marshal.dump(resumed)).to_h).to eq(resumed.to_h)
  end

  it "says why nothing is resumed, and which store was looked at" do
    said = ->(**options) { pipeline.run(resume: true, **options).resumed.to_s }
    state[:down] = false
    expect(said.call).to eq("nothing to resume: there is no store (looked in #{root}); starts from the beginning")
    expect(said.call(date: "2024-01-09")).to match(/\Anothing to resume: run \S+ succeeded \(looked in/)
    failed(date: "2024-01-05")
    expect(said.call(date: "2024-01-04"))
      .to match(/is recorded; run \S+ \(date: 2024-01-05\) failed and can be resumed \(looked in #{root}\); starts from the beginning\z/)
    expect(pipeline("other").run(resume: true).resumed.reason).to eq("no run of other is recorded")
    expect(pipeline.run(date: "2024-01-04").resumed).to be_nil
  end

  it "says so in every reporter, in the event and in the result after it was marshalled" do
    first = failed(date: "2024-01-05")
    events = []
    terminal = StringIO.new
    json = StringIO.new
    result = pipeline.run(resume: true, reporter: [Flowline::Reporter::Console.new(terminal), Flowline::Reporter::JSON.new(json), events.method(:<<)])
    expect(terminal.string.lines[1]).to start_with("resuming run #{first.run_id} of ")
    started = JSON.parse(json.string.lines.first)
    expect(started["resumed"]).to include("run_id" => first.run_id, "params" => { "date" => "2024-01-05" }, "steps" => 1, "items" => 2, "store" => root)
    expect(events.first.resumed.to_s).to eq(result.resumed.to_s)
    expect(JSON.parse(result.to_json)["resumed"]).to include("run_id" => first.run_id, "started_at" => match(/\A\d{4}-.*T/))
    expect(Marshal.load(Marshal.dump(result)).resumed.to_h).to eq(result.resumed.to_h)
    console = StringIO.new
    pipeline.run(resume: true, date: "2024-01-05", reporter: Flowline::Reporter::Console.new(console))
    expect(console.string.lines[1]).to match(/\Anothing to resume: run \S+ succeeded/)
  end

  it "is refused if another thread resumes the run whose params were adopted at the same time" do
    failed(date: "2024-01-05")
    p = pipeline
    allow(Flowline::Recording::Claim).to receive(:new).and_wrap_original do |original, *arguments|
      allow(Flowline::Recording::Claim).to receive(:new).and_call_original
      p.run(resume: true)
      original.call(*arguments)
    end
    expect { p.run(resume: true) }.to raise_error(Flowline::LockedError)
    expect(store.runs("import").map(&:status)).to eq(%w[succeeded failed])
  end

  it "says in its plan which run it would resume, with the params, as the run does" do
    run_id = failed(date: "2024-01-05").run_id
    plan = pipeline.run(resume: true, dry_run: true)
    expect(plan.resumed).to have_attributes(run_id: run_id, params: { date: Date.new(2024, 1, 5) }, steps: 1, items: 2, reason: nil)
    expect(plan.to_s).to match(/\APlan: import\nResuming run #{run_id} of .* \(date: 2024-01-05\): 1 step and 2 items restored\n/)
    expect(plan.to_h).to include(resumes: run_id, resumed: plan.resumed.to_h)
    expect(plan.resumed.to_h).to eq(pipeline.run(resume: true).resumed.to_h)
  end

  it "says in its plan why it would resume none, and nothing without resume:" do
    plan = pipeline.run(resume: true, dry_run: true)
    expect(plan.resumed).to have_attributes(run_id: nil, reason: "there is no store")
    expect(plan.to_s).to include("\nNothing to resume: there is no store (looked in #{File.expand_path(root)}); starts from the beginning\n")
    expect(pipeline.run(dry_run: true)).to have_attributes(resumed: nil, to_s: a_string_starting_with("Plan: import\n  "))
  end
end
