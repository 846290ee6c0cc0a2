# frozen_string_literal: true

require "tmpdir"
require "flowline/cli"

RSpec.describe "A run on the command line" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  def flowline(*argv)
    Processes.flowline(*argv)
  end

  def run(name)
    Flowline.define(name: name) do |p|
      p.step(:"of_#{name}") { |ctx| ctx.log.info("line of #{name}") }
    end.run.run_id
  end

  let!(:import) { run("import") }
  let!(:export) { run("export") }

  # The commands about one run, with what they say of which run.
  {
    %w[show] => ->(run, name) { /\A#{name} .* #{run}\n/ }, %w[watch] => ->(run, name) { /\A#{name} .* #{run}\n/ },
    %w[report] => ->(run, _) { /run <code>#{run}/ }, %w[trace --json] => ->(run, _) { /"#{run}"/ },
    %w[logs] => ->(_, name) { /line of #{name}\n/ }
  }.each do |command, said|
    describe "of flowline #{command.first}" do
      it "is named by its id, the beginning and the end of its id, and its pipeline" do
        words = [import, import[0..-3], import[/\h+\z/], *("import" unless command == %w[watch])]
        words.each { |word| expect([word, flowline(command.first, word, *command.drop(1))]).to match([word, [0, said[import, "import"], ""]]) }
      end

      next if command == %w[watch] # Without an id it follows a run that goes on.

      it "is the latest without a name" do
        expect(flowline(*command)[1]).to match(said[export, "export"])
        expect(flowline(*command, "--pipeline", "import")[1]).to match(said[import, "import"])
      end

      it "is not found under a part that several ids have, or another word" do
        expect(flowline(command.first, import[0, 8])).to match([1, "", /\Aflowline: #{command.first}: #{import[0, 8]} is a part of 2 ids: #{export} of export, #{import} of import\n\z/])
        expect(flowline(command.first, "imprt")).to match([1, "", / run imprt\b.*\n\z/])
        expect(flowline(command.first, "imprt", "other")[0]).not_to eq(0)
      end
    end
  end

  it "of flowline why is named in the same way, and else the latest that has the step" do
    expect(flowline("why", "of_import")[1]).to include("in run #{import} of import\n")
    expect(flowline("why", "of_import", import[0..-2])[1]).to include("in run #{import} of import\n")
    expect(flowline("why", "of_import", "import")[1]).to include("in run #{import} of import\n")
    expect(flowline("why", "of_import", "export")).to match([1, "", /no step of_import in run #{export} of export/])
  end

  it "of flowline logs is the latest run of a pipeline, with a step" do
    expect(flowline("logs", "import", "of_import")[1]).to end_with("line of import\n")
    expect(flowline("logs", "of_export")[1]).to end_with("line of export\n")
  end

  it "of a store that is not there is looked for in vain, in the same words by every command" do
    expected = "there is no store at #{root}-no; check --root\n"
    %w[status history stats state show watch cancel logs report trace why].each do |command|
      arguments = command == "why" ? %w[step] : []
      expect(flowline(command, *arguments, "--root", "#{root}-no")).to eq([1, "", "flowline: #{command}: #{expected}"])
    end
  end

  it "that excludes another one is named while that waits for it" do
    Dir.mktmpdir do |folder|
      path = "#{folder}/long.rb"
      File.write(path, "Flowline.define(name: 'long') { param :n, default: '1'; step(:a) { File.write('#{folder}/on', ''); sleep } }")
      going_on = Processes::Child.new { Processes.flowline("run", path) }
      sleep(0.01) until File.exist?("#{folder}/on") || going_on.ended?
      run = Flowline::History.runs(pipeline: "long").first
      status, _, err = flowline("run", path, "--exclusive", "--exclusive-wait=0.1")
      expect([status, err.lines.first]).to eq([75, "flowline: waits up to 0.1s for run #{run.run_id} (n: 1) in process #{run.pid}\n"])
    ensure
      going_on&.kill
    end
  end

  it "is reported to a file, and not on a terminal" do
    require "pty"
    PTY.open do |terminal, tty|
      err = StringIO.new
      expect(Flowline::CLI.start(["report"], out: tty, err: err)).to eq(2)
      expect(err.string).to eq("flowline: report: write the page to a file, with -o FILE or > FILE\n")
    ensure
      terminal.close
    end
  end

  it "is not in the history with options that leave none, which are named" do
    expect(flowline("history", "--status", "running", "--param", "date=1999-01-01")).to eq(
      [0, "", "history: no run with --status running and --param date=1999-01-01 in #{root}\n"]
    )
    expect(flowline("history", "import", "--text", "zzz")[2]).to eq("history: no run with --pipeline import and --text zzz in #{root}\n")
  end
end
