# frozen_string_literal: true

RSpec.describe "What started a run" do
  def flowline(*argv)
    Processes.flowline(*argv)
  end

  let(:pipeline) { Flowline.define(name: "import") { step(:a) { 1 } } }

  def triggers(**query)
    Flowline::History.runs(**query).map(&:trigger)
  end

  it "is what Flowline.trigger says for the runs of its block, and afterwards what it was before" do
    result = Flowline.trigger(:schedule) do
      Flowline.trigger("kafka.orders") { pipeline.run }
      pipeline.run
    end
    pipeline.run
    expect(result).to be_success
    expect(triggers).to eq(%i[ruby schedule kafka.orders])
    expect([triggers(trigger: :schedule), triggers(trigger: "kafka.orders"), triggers(trigger: "kafka")]).to eq([[:schedule], [:"kafka.orders"], []])
  end

  it "is restored after a block that raises" do
    expect { Flowline.trigger(:schedule) { raise IOError } }.to raise_error(IOError)
    pipeline.run
    expect(triggers).to eq([:ruby])
  end

  it "is refused if it is no short word, or if there is no block" do
    ["", "two words", "job\n1", "é", "1st", "a" * 41, nil, 1, "\xFF"].each do |kind|
      expect { Flowline.trigger(kind) { raise "called" } }.to raise_error(ArgumentError, /a trigger is a short word such as schedule/)
    end
    expect { Flowline.trigger(:schedule) }.to raise_error(ArgumentError, "give the block that starts runs")
  end

  it "selects the runs of jobs by their kind, whatever their ids are" do
    Flowline::Recording::Trigger.with("job", job: "4711") { pipeline.run }
    Flowline.trigger(:jobless) { pipeline.run }
    expect(triggers(trigger: :job)).to eq([:job])
    expect(flowline("history", "--trigger", "job")[1]).to include("by job 4711").and(satisfy { |out| out.lines.size == 1 })
  end

  it "is what --trigger says on the command line, and cli without it" do
    file = File.join(Dir.mktmpdir, "import.rb")
    File.write(file, 'Flowline.define(name: "import") { step(:a) { 1 } }')
    expect([flowline("run", file, "--trigger", "schedule").first, flowline("run", file).first]).to eq([0, 0])
    expect(triggers).to eq(%i[cli schedule])
    expect(flowline("history", "--trigger", "schedule")[1]).to match(/by schedule$/)
    expect(flowline("run", file, "--trigger", "two words")).to match([2, "", /--trigger: a trigger is a short word such as schedule/])
  end
end
