# frozen_string_literal: true

require "open3"
require "tmpdir"
require "flowline/cli"

RSpec.describe "the options of the command line" do
  around { |example| Dir.mktmpdir { |dir| Dir.chdir(dir) { example.run } } }

  # Status, standard output and standard error of a command.
  def flowline(*argv)
    Processes.flowline(*argv)
  end

  # The same of a command as a process of its own.
  def flowline_process(*argv, **options)
    out, err, status = Open3.capture3(*Processes::FLOWLINE, *argv, **options)
    [status.exitstatus, out, err]
  end

  def write(name, text)
    FileUtils.mkdir_p(File.dirname(name))
    File.write(name, text)
    name
  end

  let(:import) { write("import.rb", 'Flowline.define(name: "import") { param :date; step(:fetch) { |date:| puts date } }') }

  {
    %w[--max-threads 0] => "run: --max-threads 0 is not a whole number from 1 up",
    %w[--max-processes -1 --executor sequential] => "run: --max-processes -1 is not a whole number from 1 up",
    %w[--exclusive --exclusive-wait soon] => "run: --exclusive-wait soon is not a number of seconds",
    %w[--executor threads] => 'unknown executor "threads"; known are sequential, parallel, process',
    %w[--only fetch,,fetch] => '--only: there is no step ""; there are fetch'
  }.each do |arguments, message|
    it "refuse #{arguments.join(" ")} in words of the command line" do
      status, out, err = flowline("run", import, "--param", "date=today", *arguments)
      expect([status, out]).to eq([2, ""])
      expect(err).to start_with("flowline: #{message}")
    end
  end

  it "say of a working directory that was removed what is wrong" do
    import
    file = File.expand_path("import.rb")
    Dir.mkdir("gone")
    script = 'Dir.chdir("gone"); Dir.rmdir(File.expand_path(".")); exec(*ARGV)'
    _, err, status = Open3.capture3(RbConfig.ruby, "-e", script, *Processes::FLOWLINE, "run", file)
    expect([status.exitstatus, err]).to eq([1, "flowline: the working directory was removed; change to another one\n"])
  end

  describe "in full" do
    {
      "a short option that it does not have" => [%w[-r], "-r needs a value"],
      "the start of an option" => [%w[--res], "unknown option --res"],
      "the start of an option, with one dash" => [%w[-resume], "--require esume"],
      "a negated option" => [%w[--no-json], "unknown option --no-json; did you mean --json?"],
      "several short options in one" => [%w[-hv], "unknown option -hv"],
      "a number as an option" => [%w[-1], "unknown option -1"]
    }.each do |what, (arguments, message)|
      it "refuses #{what}, and runs nothing" do
        status, out, err = flowline("run", import, *arguments)
        expect([status, out]).to eq([2, ""])
        expect(err).to include(message).and(satisfy { |text| !text.include?("Pipeline:") })
      end
    end

    it "accepts values after a space, after =, and values that look like options" do
      expect(flowline_process("run", import, "--param=date=-1")[1]).to eq("-1\n")
      expect(flowline_process("run", import, "--param", "date=--resume")[1]).to eq("--resume\n")
      expect(flowline_process("run", "--", import)[0]).to eq(0)
    end

    it "shows control characters in arguments instead of obeying them" do
      expect(flowline("r\e[31mun").last).to include('r\e[31mun').and(satisfy { |text| !text.include?("\e") })
    end
  end

  describe "with a neighbour" do
    it "names the param that an unknown option is probably meant as" do
      expect(flowline("run", import, "--date", "2024-01-01").last).to start_with("flowline: run: unknown option --date; write the param as --param date=2024-01-01;")
      expect(flowline("run", import, "--date=x").last).to include("write the param as --param date=x")
      expect(flowline("plan", import, "--dte", "x").last).to include("did you mean --param date=x?")
      expect(flowline("run", import, "--dry").last).to include("unknown option --dry;")
    end

    it "names the command for a file, and for an option before the command" do
      expect(flowline(import)).to eq([2, "", "flowline: unknown command import.rb; to run the pipeline in it: flowline run import.rb\n"])
      expect(flowline("--json", "run", import).last).to include("the command comes first, as in: flowline run FILE --json")
    end

    it "names the file of an argument without .rb" do
      import
      expect(flowline("run", "import")).to eq([2, "", "flowline: no such file: import; did you mean import.rb?\n"])
    end
  end

  describe "--require" do
    it "loads files and libraries before the pipeline file, in order" do
      write("lib/settings.rb", "$settings = [:settings]")
      write("lib/more.rb", "$settings << :more")
      file = write("app.rb", "Flowline.define(name: $settings.join) { step(:a) { puts defined?(Set), $settings.inspect } }")
      expect(flowline_process("run", file, "-r", "lib/settings", "--require", "./lib/more.rb", "-rset")[0..1]).to eq([0, "constant\n[:settings, :more]\n"])
    end

    it "counts only the pipelines of the file, even if the application has loaded it already" do
      write("other.rb", 'require "flowline"; Flowline.define(name: "other") { step(:x) { 1 } }; require_relative "jobs"')
      file = write("jobs.rb", 'class Jobs < Flowline::Pipeline; param(:day, default: 1); step(:a) { |day:| puts "day " + day.to_s }; end')
      expect(flowline_process("run", file, "-r", "other.rb")[0..1]).to eq([0, "day 1\n"])
      expect(flowline_process("validate", file, "-r", "other.rb")[1]).to start_with("Jobs: 1 step, valid\n")
    end

    it "counts no pipeline that another one of the application includes or nests, also if a class is loaded twice" do
      write("nightly.rb", 'require "flowline"; require_relative "jobs"; Flowline.define { step :day, Part }; class Whole < Flowline::Pipeline; include Jobs; end')
      file = write("jobs.rb", <<~RUBY)
        Part = Flowline.define { step(:p) { 1 } }
        class Jobs < Flowline::Pipeline
          param :day, default: 1
          step(:a) { |day:| puts day }
        end
        Main = Flowline.define { step(:m) { 1 } }
      RUBY
      expect(flowline_process("validate", file, "-r", "nightly.rb")[1]).to eq("Main: 1 step, valid\n")
      write("loading.rb", 'require "flowline"; load "jobs.rb"; Object.send(:remove_const, :Part); Object.send(:remove_const, :Main)')
      expect(flowline_process("run", file, "-r", "./loading.rb", "--pipeline", "Jobs")[0..1]).to eq([0, "1\n"])
    end

    it "reports what cannot be loaded with the user's line" do
      expect(flowline("run", import, "-r", "nothing")).to eq([2, "", "flowline: --require nothing: there is no such file or library\n"])
      write("bad.rb", "\nraise 'no settings'")
      expect(flowline("run", import, "-r", "bad.rb").last).to eq("flowline: --require bad.rb: bad.rb:2: no settings (RuntimeError)\n")
    end
  end

  describe "in a Rails application" do
    before do
      write("config/application.rb", "")
      write("config/environment.rb", "puts 'environment'")
      write("app/pipelines/job.rb", 'Flowline.define(name: "job") { step(:a) { puts "ran" } }')
    end

    it "loads the application around the file, from any directory" do
      expect(flowline_process("run", "app/pipelines/job.rb")[0..1]).to eq([0, "environment\nran\n"])
      expect(flowline_process("run", File.expand_path("app/pipelines/job.rb"), chdir: "/")[1]).to eq("environment\nran\n")
    end

    it "loads the application in the working directory for a file elsewhere" do
      Dir.mktmpdir do |elsewhere|
        file = write("#{elsewhere}/job.rb", File.read("app/pipelines/job.rb"))
        expect(flowline_process("run", file)[1]).to eq("environment\nran\n")
      end
    end

    it "does not load it with --no-rails, or where there is only a config/environment.rb" do
      expect(flowline_process("run", "app/pipelines/job.rb", "--no-rails")[1]).to eq("ran\n")
      File.delete("config/application.rb")
      expect(flowline_process("run", "app/pipelines/job.rb")[1]).to eq("ran\n")
    end

    it "reports an application that cannot be loaded, and how to run without it" do
      write("config/environment.rb", "\nraise 'no database'")
      expect(flowline_process("run", "app/pipelines/job.rb").last)
        .to eq("flowline: the Rails application of app/pipelines/job.rb cannot be loaded (--no-rails runs without it): config/environment.rb:2: no database (RuntimeError)\n")
    end
  end

  describe "--color" do
    it "colours always or never, whatever the output is" do
      expect(flowline("run", import, "--color", "always").last).to include("\e[32m✓\e[0m")
      expect(flowline("run", import, "--color", "never").last).not_to include("\e")
      expect(flowline("run", import, "--color", "nevr")).to eq([2, "", "flowline: run: --color is one of auto, always, never, not nevr; did you mean never?\n"])
    end
  end

  describe "--json" do
    it "keeps the output of steps and of their children out of the events" do
      file = write("prints.rb", 'Flowline.define { step(:a) { puts "step"; system("echo child"); 1 } }')
      status, out, err = flowline_process("run", file, "--json")
      expect(status).to eq(0)
      expect(out.lines).to all(start_with('{"event":'))
      expect(err).to eq("step\nchild\n")
    end

    it "names its own options in warnings" do
      Dir.mktmpdir do |folder|
        File.write("#{folder}/wide.rb", "Flowline.define { step(:list) { [1] }; step(:map, each: :list, concurrency: 50) { |n| n } }")
        said = ->(*options) { Processes.flowline("run", "#{folder}/wide.rb", *options).last }
        expect(said["--executor", "parallel", "--max-threads", "4"]).to include("less than concurrency: 50 of step map; raise --max-threads to 50")
        expect(said["--executor", "sequential"]).to include("use --executor parallel --max-threads 50")
      end
    end

    it "exits with 1 when the events cannot be written, but not when their reader stops", if: File.exist?("/dev/full") do
      _, err, status = Open3.capture3("#{Processes::FLOWLINE.join(" ")} run #{import} --json --param date=1 > /dev/full")
      expect([status.exitstatus, err]).to match([1, /^flowline: the events cannot be written: No space left/])
      out, status = Open3.capture2("bash", "-c", "set -o pipefail; #{Processes::FLOWLINE.join(" ")} run #{import} --json --param date=1 2>/dev/null | head -1")
      expect([out.lines.size, status.exitstatus]).to eq([1, 0])
    end
  end

  it "reports output that cannot be written in one line and exits with 1", if: File.exist?("/dev/full") do
    _, err, status = Open3.capture3("#{Processes::FLOWLINE.join(" ")} help > /dev/full")
    expect([status.exitstatus, err]).to match([1, /\Aflowline: the output cannot be written: No space left on device.*\n\z/])
  end

  it "refuses an argument that is not valid in its encoding, in one line" do
    [["show", "\xFF"], ["why", "\xFF"], ["history", "--text", "\xFF"], ["run", "\xFF.rb"], ["\xFF"]].each do |arguments|
      _, err, status = Open3.capture3({ "LC_ALL" => "C.UTF-8" }, *Processes::FLOWLINE, *arguments)
      expect([status.exitstatus, err]).to match([2, /\Aflowline: an argument is not valid UTF-8: "\\xFF.*"\n\z/])
    end
  end

  it "runs with standard input closed" do
    _, err, status = Open3.capture3("#{Processes::FLOWLINE.join(" ")} run #{import} <&-")
    expect([status.exitstatus, err]).to match([0, /✓ fetch/])
  end
end
