# frozen_string_literal: true

require "json"
require "open3"
require "rbconfig"
require "shellwords"
require "tmpdir"
require "flowline/cli"

RSpec.describe "the command line" do
  around { |example| Dir.mktmpdir { |dir| Dir.chdir(dir) { example.run } } }

  # Status, standard output and standard error of a command.
  def flowline(*argv)
    Processes.flowline(*argv)
  end

  def write(name, text)
    File.write(name, text)
    name
  end

  # Ruby's own warnings about files that are broken on purpose are not ours.
  def quietly
    verbose = $VERBOSE
    $VERBOSE = nil
    yield
  ensure
    $VERBOSE = verbose
  end

  # The command that the failure block of a run names.
  def resume_command(*argv)
    flowline("run", *argv)[2][/^  Resume with: (.*)$/, 1]
  end

  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  let(:import) { write("import.rb", <<~RUBY) }
    Flowline.define(name: "import") do
      param :date, type: :date, required: true
      param :token, secret: true
      step(:fetch) { |ctx| [ctx[:date], ctx[:date]] }
      step(:load, depends_on: :fetch) { |rows| File.exist?("broken") ? raise("not yet") : rows.size }
    end
  RUBY

  describe "the command to resume with" do
    let(:day) { ["--param", "date=2024-01-31"] }

    before { write("broken", "") }

    around do |example|
      before = ENV.fetch("FLOWLINE_ROOT", nil)
      example.run
    ensure
      ENV["FLOWLINE_ROOT"] = before
    end

    it "names the file, the run, the store, options that are not recorded, and secrets without their values" do
      ENV.delete("FLOWLINE_ROOT")
      here = Dir.pwd
      id = ->(root = "#{here}/.flowline") { Flowline::Store.at(root).latest("import").run_id }
      expect(resume_command(import, *day)).to eq("flowline resume #{here}/import.rb #{id[]} --root #{here}/.flowline")
      expect(resume_command(import, *day, "--param", "token=hunter2"))
        .to eq("flowline resume #{here}/import.rb #{id[]} --root #{here}/.flowline --param token=…")
      expect(resume_command(import, *day, "--executor", "parallel", "--max-threads", "2", "--pipeline", "import"))
        .to eq("flowline resume #{here}/import.rb #{id[]} --pipeline import --executor parallel --max-threads 2 --root #{here}/.flowline")
    end

    it "works from any directory and takes that very run, wherever the store is" do
      here = Dir.pwd
      [[".flowline", []], ["the store", []], ["other", ["--root", "other"]]].each do |name, options|
        options.empty? && name != ".flowline" ? ENV["FLOWLINE_ROOT"] = "./#{name}" : ENV.delete("FLOWLINE_ROOT")
        Flowline.config.root = nil
        write("broken", "")
        command = resume_command(import, *day, *options)
        expect(command).to end_with(" --root #{here}/#{name.sub(" ", "\\ ")}")
        resume_command(import, "--param", "date=2024-02-29", *options)
        File.delete("broken")
        ENV.delete("FLOWLINE_ROOT")
        said = Dir.mktmpdir { |other| Dir.chdir(other) { flowline(*Shellwords.split(command).drop(1))[2] } }
        expect(said).to match(/^resuming run .* \(date: 2024-01-31\): 1 step restored\n.*✓ fetch +restored/m)
      end
    ensure
      Flowline.config.root = nil
    end

    it "is missing without a store, and without a name" do
      Flowline.config.store = false
      expect(flowline("run", import, *day)[2]).to include("not yet").and(satisfy { |err| !err.match?(/resume/i) })
      Flowline.config.store = true
      file = write("unnamed.rb", "Flowline.define { step(:a) { raise 'no' } }")
      expect(flowline("run", file)[2]).to include("RuntimeError: no").and(satisfy { |err| !err.match?(/resume/i) })
    ensure
      Flowline.config.store = true
    end
  end

  describe "run" do
    it "runs the pipeline, progress on standard error, and exits with 0" do
      status, out, err = flowline("run", import, "--param", "date=2024-01-31")
      expect([status, out]).to eq([0, ""])
      expect(err).to match(%r{\APipeline: import\n━+\n✓ fetch +\d+\.\d\ds +2 records\n✓ load +\d+\.\d\ds\n━+\nElapsed: \d+\.\d\ds \| Steps: 2/2\n\z})
    end

    it "exits with 1 when a step fails, and shows the user's own line" do
      write("broken", "")
      status, _, err = flowline("run", import, "--param", "date=2024-01-31")
      expect(status).to eq(1)
      expect(err).to include("✗ step load failed: RuntimeError: not yet (import.rb:5)", "step(:load, depends_on: :fetch)")
    end

    it "prints only failures with --quiet" do
      expect(flowline("run", import, "--param", "date=2024-01-31", "--quiet")).to eq([0, "", ""])
      write("broken", "")
      _, _, err = flowline("run", import, "--param", "date=2024-01-31", "--quiet")
      expect(err.lines.size).to be_between(3, 12)
      expect(err).not_to include("✓")
    end

    it "prints params without secrets and the user's part of the backtrace with --verbose" do
      write("broken", "")
      _, _, err = flowline("run", import, "--param", "date=2024-01-31", "--param", "token=s3cret", "--verbose")
      expect(err).to include("date: 2024-01-31").and match(/^    .*import\.rb:5:in /)
      expect(err).not_to include("s3cret")
    end

    it "writes events as one JSON object a line to standard output with --json" do
      status, out, err = flowline("run", import, "--param", "date=2024-01-31", "--json")
      events = out.lines.map { |line| JSON.parse(line) }
      expect([status, err]).to eq([0, ""])
      expect(events.map { |event| event["event"] }).to eq(%w[run_started step_started step_finished step_started step_finished run_finished])
      expect(events.last).to include("status" => "succeeded", "pipeline" => "import")
    end

    it "lists all bad params at once, and how to give one" do
      status, out, err = flowline("run", import, "--param", "dat=1")
      expect([status, out]).to eq([2, ""])
      expect(err).to include("unknown param dat; did you mean date?", "param date is required", "--param NAME=VALUE")
      expect(flowline("run", import, "--param", "date=soon").last).to eq(
        "flowline: param date must be a date such as 2024-01-31, not \"soon\"; params are given as --param NAME=VALUE\n"
      )
    end

    it "refuses a param without a value or given twice" do
      expect(flowline("run", import, "--param", "date")).to eq([2, "", "flowline: run: --param date has no value; write --param date=VALUE\n"])
      expect(flowline("run", import, "--param", "date=1", "--param", "date=2").last).to eq("flowline: run: --param date is given twice\n")
    end

    it "accepts executors by name" do
      expect(flowline("run", import, "--param", "date=2024-01-31", "--executor", "sequential").first).to eq(0)
      expect(flowline("run", import, "--param", "date=2024-01-31", "--executor", "sequental")).to match(
        [2, "", a_string_including("unknown executor \"sequental\"; did you mean sequential?")]
      )
    end
  end

  describe "validate" do
    it "checks pipelines without running them" do
      file = write("two.rb", "A = Flowline.define { step(:a) { raise } }\nFlowline.define(name: 'b') { step(:x) { raise }; step(:y) { 1 } }\n")
      expect(flowline("validate", file)).to eq([0, "A: 1 step, valid\nb: 2 steps, valid\n", ""])
    ensure
      Object.send(:remove_const, :A)
    end

    it "shows the params of a pipeline" do
      file = write("params.rb", <<~RUBY)
        Flowline.define(name: "p", description: "Loads a day") do
          param :date, type: :date, required: true, description: "the day to load"
          param :n, type: :integer, default: 3, in: 1..9
          param :mode, in: %w[a b], default: "a"
          param :token, secret: true, default: "hush"
          param :x, default: -> { 3 }
          step(:a) { 1 }
        end
      RUBY
      expect(flowline("validate", file)).to eq([0, <<~TEXT, ""])
        p: 1 step, valid
          Loads a day
          --param date=…  date, required, the day to load
          --param n=…  integer, default 3, in 1..9
          --param mode=…  default a, one of a b
          --param token=…  secret
          --param x=…  default from a block
      TEXT
    end

    it "lists all mistakes with the user's lines" do
      file = write("bad.rb", "Flowline.define do\n  step(:a, depends_on: :b) { 1 }\n  step(:b, depends_on: :a) { 1 }\n  step(:c, depends_on: :aa) { 1 }\nend\n")
      status, out, err = flowline("validate", file)
      expect([status, out]).to eq([2, ""])
      expect(err).to include("a → b → a", "(bad.rb:2)", "did you mean a? (bad.rb:4)")
    end
  end

  describe "visualize" do
    it "draws to standard output in each format" do
      expect(flowline("visualize", import, "--format=mermaid")).to eq([0, "graph TD\n  fetch --> load\n", ""])
      expect(flowline("visualize", import, "--format", "dot")[1]).to include("digraph")
      expect(flowline("visualize", import)[1]).to include("│ fetch │", "│ load │")
      expect(flowline("visualize", import, "--format=svg", "--link=https://example.com/{line}")[1]).to include("<svg ", 'href="https://example.com/')
      expect(flowline("visualize", import, "--format=html")[1]).to include("<!doctype html>", "<svg ", ">load</text>")
      expect(JSON.parse(flowline("visualize", import, "--format=json")[1])["steps"].map { |step| step["name"] }).to eq(%w[fetch load])
    end

    it "refuses an unknown format" do
      expect(flowline("visualize", import, "--format=png")).to eq([2, "", "flowline: visualize: unknown format png; known are ascii, mermaid, dot, svg, html, json\n"])
    end
  end

  describe "the pipelines of a file" do
    it "are those not included or nested by others, without empty base classes, named by constants" do
      file = write("many.rb", <<~RUBY)
        module Jobs
          Common = Flowline.define { step(:clean) { 1 } }
          Import = Flowline.define { include Common }
          class Job < Flowline::Pipeline
          end
          class Base < Job
            step(:base) { 1 }
          end
          class Weekly < Base
            step(:weekly) { 2 }
          end
        end
        Flowline.define(name: "third") { step(:a) { 1 } }
      RUBY
      fresh = lambda do |*argv|
        Object.send(:remove_const, :Jobs) if Object.const_defined?(:Jobs)
        flowline(*argv)
      end
      expect(fresh.call("validate", file)[1]).to eq("Jobs::Import: 1 step, valid\nJobs::Base: 1 step, valid\nJobs::Weekly: 2 steps, valid\nthird: 1 step, valid\n")
      expect(fresh.call("run", file)).to eq(
        [2, "", "flowline: many.rb has 4 pipelines: Jobs::Import, Jobs::Base, Jobs::Weekly, third; choose one with --pipeline NAME\n"]
      )
      expect(fresh.call("run", file, "--pipeline", "thrid").last).to include("did you mean third?")
      expect(fresh.call("run", file, "--pipeline", "Jobs::Weekly")).to match([0, "", %r{Pipeline: Jobs::Weekly.*Steps: 2/2}m])
    ensure
      Object.send(:remove_const, :Jobs)
    end

    {
      "a missing file" => [nil, "no such file: file.rb"],
      "a file without a pipeline" => ["puts if false", "file.rb defines no pipeline; call Flowline.define in it"],
      "a syntax error" => ["x = 1\nstep(:a {", /\Afile\.rb:2: .*syntax error/],
      "an exception" => ["\n\nnope(1)", /\Afile\.rb:3: undefined method `?'?nope' .*\(NoMethodError\)\z/],
      "a missing library" => ["require 'no_such_library'", /\Afile\.rb:1: cannot load such file -- no_such_library \(LoadError\)\z/],
      "a bad option" => ["Flowline.define do\n  step(:a, depend_on: :b) { 1 }\nend", /step a: unknown option depend_on:; did you mean depends_on\? \(file\.rb:2\)/],
      "an unknown word" => ["Flowline.define do\n  stepp(:a) { 1 }\nend", /stepp is not a word of a definition; did you mean step\? \(file\.rb:2\)/],
      "a name used twice" => ["2.times { Flowline.define(name: 'x') { step(:a) { 1 } } }", "file.rb has two pipelines named x; rename one"],
      "a bad param" => ["\nFlowline.define { step(:a) { 1 } }.run(x: 1)", /\Afile\.rb:2: unknown param x; .*\(Flowline::ParamError\)\z/],
      "an exit" => ["exit", /\Afile\.rb:1: the file calls exit while it loads/]
    }.each do |what, (text, message)|
      it "reports #{what} in one line with the user's line" do
        write("file.rb", text) if text
        status, out, err = quietly { flowline("validate", "file.rb") }
        expect([status, out, err.lines.size]).to eq([2, "", 1])
        expect(err.delete_prefix("flowline: ").chomp).to match(message)
      end
    end
  end

  describe "a file that loads another one with a mistake" do
    { "an exception" => ["\n\ndef help = nope(1)\nhelp", %r{\Alib/helper\.rb:3: undefined method `?'?nope' .*\(NoMethodError\); loaded from file\.rb:2\z}],
      "a syntax error" => ["x = 1\nstep(:a {", %r{\Alib/helper\.rb:2: .*syntax error.*; loaded from file\.rb:2\z}],
      "a missing library" => ["require 'no_such_library'", %r{\Alib/helper\.rb:1: cannot load such file -- no_such_library \(LoadError\); loaded from file\.rb:2\z}],
      "a bad option" => ["Flowline.define do\n  step(:a, depend_on: :b) { 1 }\nend", %r{step a: unknown option depend_on:; did you mean depends_on\? \(lib/helper\.rb:2\)\z}],
      "an endless recursion" => ["\ndef endless = endless\nendless", %r{\Alib/helper\.rb:2: stack level too deep \(SystemStackError\)}],
      "an error from a library" => ["require 'json'\nJSON.parse('{')", %r{\Alib/helper\.rb:2: .*\(JSON::ParserError\); loaded from file\.rb:2\z}] }.each do |what, (text, message)|
      it "names the line of #{what} and the line that loads it" do
        Dir.mkdir("lib")
        write("lib/helper.rb", text)
        write("file.rb", "# A comment.\nrequire_relative 'lib/helper'\n")
        status, out, err = quietly { flowline("validate", "file.rb") }
        expect([status, out, err.lines.size]).to eq([2, "", 1])
        expect(err.delete_prefix("flowline: ").chomp).to match(message)
      end
    end
  end

  describe "the exit status" do
    let(:failing) { write("failing.rb", "Flowline.define(name: 'failing') { step(:a) { raise 'no' } }") }

    it "is 1 from status if the last run failed, and 0 once it succeeded" do
      flowline("run", failing)
      expect([flowline("status").first, flowline("status", "--json").first, flowline("history").first]).to eq([1, 1, 0])
      expect(flowline("run", write("failing.rb", "Flowline.define(name: 'failing') { step(:a) { 1 } }"))[0]).to eq(0)
      expect(flowline("status").first).to eq(0)
    end

    it "is 75 when another process has the run to resume" do
      write("slow.rb", <<~RUBY)
        Flowline.define(name: "slow") { step(:a) { File.write("began", "") && sleep } }
      RUBY
      holder = child { flowline("run", "slow.rb") }
      eventually { File.exist?("began") }
      expect(flowline("run", "slow.rb", "--resume")).to match([75, "", /\Aflowline: run \S+ of slow is alive in process #{holder.pid} since .+; wait for it, .*or stop that process\n\z/])
    end

    it "is 1 where a store or cache was named that does not exist, and 2 for a pipeline" do
      flowline("run", import, "--param", "date=2024-01-31")
      %w[status history].each do |command|
        expect(flowline(command, "--root", "elsewhere")).to eq([1, "", "flowline: #{command}: there is no store at #{File.expand_path("elsewhere")}; check --root\n"])
        expect(flowline(command, "--root", "elsewhere", "--json")).to eq([1, "[]\n", "flowline: #{command}: there is no store at #{File.expand_path("elsewhere")}; check --root\n"])
        expect(flowline(command, "--pipeline", "imprt")).to eq([2, "", "flowline: #{command}: no run of pipeline imprt in #{root}; did you mean import?\n"])
      end
      FileUtils.rm_rf(root)
      %w[status history].each { |command| expect(flowline(command)).to eq([1, "", "flowline: #{command}: there is no store at #{root}; --root or FLOWLINE_ROOT names another one\n"]) }
      expect(flowline("cache", "--dir", "elsewhere")).to eq([1, "", "flowline: cache: there is no cache at elsewhere\n"])
      expect(flowline("cache")).to eq([0, "", "cache: nothing in #{root}/cache\n"])
      expect(Dir.exist?("elsewhere")).to be(false)
    end
  end

  it "leaves standard output without methods of its own" do
    script = 'require "flowline/cli"; Flowline::CLI.start(["run", "p.rb", "--quiet"]); print $stdout.singleton_methods.inspect'
    Dir.mktmpdir do |folder|
      File.write("#{folder}/p.rb", "Flowline.define { step(:a) { print $stdout.singleton_methods.inspect } }")
      said = IO.popen([RbConfig.ruby, "-I#{Processes::LIB}", "-e", script], chdir: folder, &:read)
      expect(said).to eq("[:write][]")
    end
  end

  it "runs to its end when the reader of its output goes away" do
    write("many.rb", <<~RUBY)
      Flowline.define(name: "many") { step(:print) { 50_000.times { |n| puts n } && system("echo more", exception: true) && File.write("ended", "") } }
    RUBY
    said = IO.popen(["bash", "-c", "#{Processes::FLOWLINE.shelljoin} run many.rb 2>err | head -1; echo ${PIPESTATUS[0]}"], &:read)
    expect([said, File.exist?("ended"), File.read("err")]).to match(["0\n0\n", true, /✓ print/])
  end

  it "links pictures that are written to a file to the sources, and refuses unknown placeholders" do
    FileUtils.mkdir_p("docs/images")
    expect(flowline("visualize", import, "--format=svg", "-o", "docs/images/import.svg")).to eq([0, "", ""])
    expect(File.read("docs/images/import.svg")).to include("../../import.rb#L")
    expect(flowline("visualize", import, "--format=svg", "--link={pathh}")).to eq([2, "", "flowline: visualize: --link has no {pathh}; did you mean path?\n"])
  end

  it "runs from the beginning with a message when --resume finds no store" do
    status, _, err = flowline("run", import, "--param", "date=2024-01-31", "--resume")
    expect([status, err.lines[1]]).to eq([0, "nothing to resume: there is no store (looked in #{root}); starts from the beginning\n"])
  end

  it "warns that --resume has no effect on a pipeline without a name" do
    file = write("unnamed.rb", "Flowline.define { step(:a) { 1 } }")
    expect(flowline("run", file, "--resume")[2]).to start_with("flowline: --resume has no effect: the pipeline has no name:, so its runs are not recorded; add name: to Flowline.define\n")
  end

  it "gives advice for the command line and not for Ruby" do
    expect(flowline("run", import, "--param", "date=2024-01-31", "--from", "lod").last).to eq("flowline: --from: there is no step lod; did you mean load?\n")
    expect(flowline("run", import, "--param", "date=2024-01-31", "--only", "tag:x").last).to eq("flowline: --only: no step has the tag x\n")
    expect(flowline("run", import, "--param", "date=2024-01-31", "--executor", "parallel", "--max-threads", "0").last)
      .to eq("flowline: run: --max-threads 0 is not a whole number from 1 up\n")
    expect(flowline("run", import, "--param", "date=2024-01-31", "--only", "load").last)
      .to eq("flowline: no recorded output of fetch of import; run the whole pipeline, with Flowline.define(keep_checkpoint: true) to keep outputs after a success\n")
  end

  it "reports what was recorded when the disk is full, and how to resume", if: Process.uid.zero?, executor: :in_process do
    mount = Dir.mktmpdir
    skip "cannot mount" unless system("mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", mount, err: File::NULL)
    file = write("full.rb", "Flowline.define(name: 'full') { 60.times { |n| step(:\"s\#{n}\", depends_on: n.zero? ? [] : :\"s\#{n - 1}\") { |*| Random.new(n).bytes(20_000) } } }")
    status, _, err = flowline("run", file, "--root", "#{mount}/store")
    recorded = Flowline::Checkpoint.latest("full", root: "#{mount}/store").step_names
    expect(status).to eq(1)
    expect(err.lines.last).to eq("flowline: store #{mount}/store: the disk is full; #{recorded.size} of 60 steps are recorded (s0, s1, s2, s3, s4 and #{recorded.size - 5} more), the others are not; " \
                                 "make room, then resume with: flowline resume #{Dir.pwd}/full.rb --root #{mount}/store\n")
  ensure
    Flowline.config.root = nil
    system("umount", "-l", mount, err: File::NULL)
  end

  it "exits with 1 when a step calls exit or abort, unless the whole run has succeeded" do
    ["exit", "exit 0", "exit 3", "abort"].each do |call|
      write("exits.rb", "Flowline.define { step(:a) { #{call} }; step(:b, depends_on: :a) { 1 } }")
      expect(flowline("run", "exits.rb")).to match([1, "", /SystemExit while a ran/])
    end
    write("hook.rb", "Flowline.define { after_run { exit 4 }; step(:a) { 1 } }")
    expect(flowline("run", "hook.rb").first).to eq(4)
  end

  it "reports an exception of the user's own that ends the run in one line, without secrets and library frames" do
    write("odd.rb", <<~RUBY)
      class OddEx < Exception; end
      Flowline.define do
        param :s, secret: true, type: :string
        step(:a) { |s:| raise OddEx, "boom \#{s}" }
      end
    RUBY
    [[], ["--json"], ["--quiet"], ["--executor", "parallel"], ["--executor", "process"]].each do |options|
      status, out, err = flowline("run", "odd.rb", "--param", "s=topsecret99", *options)
      expect([status, err.lines.last]).to eq([1, "flowline: the run was ended by OddEx: boom [secret] (odd.rb:4)\n"])
      expect(out + err).not_to match(%r{topsecret99|lib/flowline/})
    end
  end

  it "reports a LoadError of a step as its failure" do
    write("lacks.rb", "Flowline.define { step(:a) { require 'no_such_library' } }")
    expect(flowline("run", "lacks.rb")).to match([1, "", /✗ step a failed: LoadError: .*no_such_library \(lacks\.rb:1\)/])
  end

  it "prints help and the version" do
    expect(flowline("version")).to eq([0, "flowline #{Flowline::VERSION}\n", ""])
    expect(flowline("help")).to match([0, /run .*validate .*visualize .*help .*version/m, ""])
    Flowline::CLI::Commands::NAMES.each do |command|
      expect(flowline(command, "--help")).to match([0, /Usage: flowline #{command} .*--help.*Example: flowline #{command}\b/m, ""])
      expect(flowline("help", command)[1]).to eq(flowline(command, "--help")[1])
    end
  end

  it "keeps the names of variables in the help, and names a default only where there is one" do
    expect(flowline("trace", "--help")[1]).to include("Send the trace of a past run to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names.")
    expect(flowline("visualize", "--help")[1]).to include("svg, html, json; default ascii")
    expect(flowline("history", "--help")[1]).to match(/--status WHEN .*crashed$/)
  end

  it "refuses wrong usage in one line and exits with 2" do
    expect(flowline("rnu")).to eq([2, "", "flowline: unknown command rnu; did you mean run?\n"])
    expect(flowline("run")).to eq([2, "", "flowline: run: name the file with the pipeline, as in: #{Flowline::CLI::Commands::Run::EXAMPLE}\n"])
    expect(flowline("run", import, "more.rb").last).to eq("flowline: run: one file at a time; more.rb is one too many\n")
    expect(flowline("run", import, "--executor", "sequential", "--max-threads", "2").last).to include("flowline: --max-threads has no effect: it is for --executor parallel, and this run has sequential\n")
    expect(flowline("run", import, "limit=3").last).to end_with("limit=3 is one too many; write a param as --param limit=3\n")
    expect(flowline("run", import, "--prams", "x=1").last).to eq("flowline: run: unknown option --prams; did you mean --param?; flowline run --help lists the options\n")
    expect(flowline("run", import, "--res").last).to start_with("flowline: run: unknown option --res") # None is abbreviated.
    expect(flowline("run", import, "--param").last).to eq("flowline: run: --param needs a value; flowline run --help lists the options\n")
    expect(flowline("run", import, "--quiet=yes").last).to eq("flowline: run: --quiet takes no value; flowline run --help lists the options\n")
    expect(flowline("run", import, "--max-threads", "many").last).to eq("flowline: run: --max-threads many is not a whole number from 1 up\n")
    expect(flowline("run", ".").last).to eq("flowline: . is a directory; name the file with the pipeline\n")
    expect(flowline).to match([2, "", /\Aflowline: no command given\n.*Usage:/m])
  end

  describe "as a process" do
    let(:command) { Processes::FLOWLINE }

    it "finishes what runs on the first Ctrl-C or SIGTERM, and ends with 130 or 143" do
      write("slow.rb", <<~RUBY)
        Flowline.define do
          step(:slow) { puts "started"; $stdout.flush; $stdin.gets; puts "finished" }
          step(:more, depends_on: :slow) { puts "must not run" }
          step(:clean_up, depends_on: %i[slow more], run_if: :always) { puts "cleaned" }
        end
      RUBY
      { INT: 130, TERM: 143 }.each do |signal, expected|
        Open3.popen3(*command, "run", "slow.rb") do |input, out, err, process|
          expect(out.gets).to eq("started\n")
          Process.kill(signal, process.pid)
          nil until err.gets.include?("finishing running steps") # So it has been cancelled.
          input.puts
          expect([process.value.exitstatus, out.read]).to eq([expected, "finished\ncleaned\n"])
          expect(err.read).to include("✓ slow", "flowline: stopped by SIG#{signal}")
        end
      end
    end

    it "stops running steps on the second signal, and still runs steps that run always" do
      write("slow.rb", <<~RUBY)
        Flowline.define do
          step(:slow) { puts "started"; $stdout.flush; sleep }
          step(:clean_up, depends_on: :slow, run_if: :always) { puts "cleaned" }
        end
      RUBY
      { INT: 130, TERM: 143 }.each do |signal, expected|
        Open3.popen3(*command, "run", "slow.rb") do |_, out, err, process|
          expect(out.gets).to eq("started\n")
          Process.kill(signal, process.pid)
          nil until err.gets.include?("finishing running steps")
          Process.kill(signal, process.pid)
          expect([process.value.exitstatus, out.read]).to eq([expected, "cleaned\n"])
          expect(err.read).to include("⏸ slow", "flowline: stopped by SIG#{signal}")
        end
      end
    end

    it "exits with 0 when the reader of its output closes the pipe" do
      output, status = Open3.capture2e("bash", "-c", "set -o pipefail; #{command.join(" ")} help | true")
      expect([output, status.exitstatus]).to eq(["", 0])
    end
  end
end
