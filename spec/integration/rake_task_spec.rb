# frozen_string_literal: true

require "open3"
require "rbconfig"
require "tmpdir"

# Real rake, in processes of its own.
RSpec.describe "Flowline::RakeTask" do
  around do |example|
    Dir.mktmpdir { |folder| Dir.chdir(folder) { example.run } }
  end

  let(:lib) { File.expand_path("../../lib", __dir__) }

  def pipeline(body = "")
    File.write("import.rb", <<~RUBY)
      require "flowline"
      ImportPipeline = Flowline.define(name: "import", description: "Imports a day") do
        param :date, type: :date, required: true
        param :limit, type: :integer, default: 5
        step(:fetch) { |date:, limit:| puts "fetch \#{date} \#{limit}"; date }
        step(:load, depends_on: :fetch) { |_| File.exist?("broken") ? raise(IOError, "down") : puts("load") }
        #{body}
      end
    RUBY
  end

  def rakefile(text)
    File.write("Rakefile", "require \"flowline/rake_task\"\n#{text}")
  end

  def command(*arguments)
    [RbConfig.ruby, "-w", "-I#{lib}", Gem.bin_path("rake", "rake"), *arguments]
  end

  # @return [Array(Integer, String, String)] the exit status, and what was printed
  def rake(*arguments, **env)
    out, err, status = Open3.capture3({ "NO_COLOR" => "1", "FLOWLINE_ROOT" => "#{Dir.pwd}/store", **Processes.coverage, **env.transform_keys(&:to_s) }, *command(*arguments))
    [status.exitstatus, out, err]
  end

  it "takes what the task depends on together with its name" do
    pipeline
    rakefile(<<~RUBY)
      task(:download) { puts "download" }
      Flowline::RakeTask.new({ import: %i[download] }, "import.rb", limit: 3)
      Flowline::RakeTask.new({ "nightly" => :download }, "import.rb", limit: 4)
    RUBY
    expect(rake("import[2024-01-31]")[0, 2]).to eq([0, "download\nfetch 2024-01-31 3\nload\n"])
    expect(rake("nightly[2024-01-31]")[0, 2]).to eq([0, "download\nfetch 2024-01-31 4\nload\n"])
    expect(rake("import:plan[2024-01-31]")[1]).not_to include("download")
  end

  context "with the name of a constant" do
    before do
      pipeline
      rakefile(<<~RUBY)
        require "#{Dir.pwd}/import" unless ENV["LAZY"]
        Flowline::RakeTask.new(:import, "ImportPipeline")
        task(:download) { puts "download" }
        task import: :download
        task(:report, [:date] => :import) { puts "report" }
      RUBY
    end

    it "runs the pipeline with arguments in the order of its params, after what the task depends on" do
      expect(rake("import[2024-01-31,7]")).to match([0, "download\nfetch 2024-01-31 7\nload\n", /✓ fetch.*✓ load/m])
    end

    it "takes params by name, from the brackets and from the command line of rake, but not from the environment" do
      expect(rake("import[limit=9]", "DATE=2024-02-01", limit: "8")[1]).to include("fetch 2024-02-01 9")
      expect(rake("import", "date=2024-02-02", limit: "8")[1]).to include("fetch 2024-02-02 5")
    end

    it "gets arguments of a task that depends on it, by name" do
      expect(rake("report[2024-03-01]")).to match([0, "download\nfetch 2024-03-01 5\nload\nreport\n", /✓ load/])
    end

    it "gets surplus arguments of a task that depends on it for the params that have no value yet" do
      expect(rake("report[2024-03-01,8]")).to match([0, "download\nfetch 2024-03-01 8\nload\nreport\n", /✓ load/])
      rakefile("Flowline::RakeTask.new(:import, 'import.rb')\ntask(:report, [:date] => :import)") # Its params are not known yet.
      expect(rake("report[2024-03-01,8]")[1]).to include("fetch 2024-03-01 8")
    end

    it "prints what is wrong with params in a line, and ends with status 2" do
      expect(rake("import")).to match([2, "download\n", /\Aimport: param date is required\n\z/])
      expect(rake("import[2024-01-31,1,2]")).to match([2, "download\n", /\Aimport: 3 arguments are too many; the params are date, limit\n\z/])
      expect(rake("import[dtae=2024-01-31]")).to match([2, "download\n", /\Aimport: there is no param dtae; did you mean date\?\n\z/])
      expect(rake("import[2024-01-31,limit=1,limit=2]")).to match([2, "download\n", /\Aimport: param limit is given twice\n\z/])
    end

    it "prints why a run failed once, without frames of libraries or the message of rake, and ends with status 1" do
      File.write("broken", "")
      status, _, err = rake("report[2024-01-31]")
      expect(status).to eq(1)
      expect(err.scan("IOError: down").size).to eq(1)
      expect(err).to include("import.rb:6").and include("Resume with: rake \"import:resume[")
      expect(err).not_to match(%r{rake aborted|lib/flowline|lib/rake})
    end

    it "prints the backtrace through the user's code with --trace" do
      File.write("broken", "")
      status, _, err = rake("import[2024-01-31]", "--trace")
      expect([status, err]).to match([1, /\*\* Execute import$.*IOError: down.*^    \S*import\.rb:6:in `block.*$/m])
      expect(err).not_to match(%r{lib/flowline/})
    end

    it "resumes the latest run that failed, or the one with an id, and starts no new one" do
      File.write("broken", "")
      rake("import[2024-01-31]")
      id = rake("import[2024-02-01]").last[/resume\[(\S+)\]/, 1]
      File.delete("broken")
      expect(rake("import:resume[2024-01-31]")).to match([0, "download\nload\n", /resuming run .*date: 2024-01-31.*✓ fetch +restored/m])
      expect(rake("import:resume[#{id}]")).to match([0, "download\nload\n", /resuming run #{id} .*date: 2024-02-01/m])
      expect(rake("import:resume")).to match([0, "", /\Aimport: nothing to resume: run \S+ succeeded \(looked in .*store\)\n\z/])
    end

    it "shows the plan without running anything" do
      status, out, err = rake("import:plan[2024-01-31]")
      expect([status, err]).to eq([0, ""])
      expect(out).to match(/\APlan: import\n  fetch +run.*\n  load +run/)
      expect(File.exist?("store")).to be(false)
    end

    it "shows the last run, started by rake, and ends with status 1 if it failed" do
      File.write("broken", "")
      rake("import[2024-01-31]")
      expect(rake("import:status")).to match([1, /\Aimport +failed .*by rake, date: 2024-01-31.*✗ load/m, ""])
    end

    it "loads neither the library nor the pipeline for other tasks, and executes nothing with -n" do
      listed = "require 'flowline/rake_task'; at_exit { warn $LOADED_FEATURES.grep(%r{lib/flowline\\.rb|\\.so\\z|import}).grep(/flowline|import/).size }"
      File.write("Rakefile", "#{listed}\nFlowline::RakeTask.new(:import, 'ImportPipeline')\ntask(:other)")
      expect(rake("other")).to eq([0, "", "0\n"])
      status, out, err = rake("-n", "import")
      expect([status, out, err]).to match([0, "", /Execute \(dry run\) import\n0\n\z/])
    end

    it "names a constant that is missing" do
      rakefile("Flowline::RakeTask.new(:import, 'ImportPipelin')")
      expect(rake("import")).to match([2, "", /\Aimport: there is no constant ImportPipelin; require its file .*\n\z/])
    end
  end

  it "takes a pipeline, and shows its params and its description in the list of tasks" do
    pipeline
    rakefile("require './import'\nnamespace(:etl) { Flowline::RakeTask.new(:import, ImportPipeline, limit: 2) }")
    status, out, err = rake("-T")
    expect([status, err]).to eq([0, ""])
    expect(out.lines.map { |line| line.split("  #").first.split.last }).to eq(
      %w[etl:import[date,limit] etl:import:plan[date,limit] etl:import:resume[date,limit] etl:import:status]
    )
    expect(out).to include("Run the pipeline import: Imports a day")
    expect(rake("etl:import[2024-01-31]")[1]).to include("fetch 2024-01-31 2")
    expect(rake("etl:import[2024-01-31,3]")[1]).to include("fetch 2024-01-31 3")
  end

  it "takes a file, a lambda and a block, and the description that stands above it" do
    pipeline
    rakefile(<<~RUBY)
      desc "My words"
      Flowline::RakeTask.new(:file, "import.rb")
      Flowline::RakeTask.new(:lambda, -> { require "./import"; ImportPipeline })
      Flowline::RakeTask.new(:block) { nil }
    RUBY
    expect(rake("-T", "file$")[1]).to match(/rake file +# My words/)
    expect(rake("file[2024-01-31]")[1]).to include("fetch 2024-01-31")
    expect(rake("lambda[2024-01-31]")[1]).to include("fetch 2024-01-31")
    expect(rake("block")).to match([2, "", /\Ablock: NilClass is no pipeline\n\z/])
  end

  it "runs the task environment before the pipeline is loaded" do
    pipeline
    rakefile("task(:environment) { puts 'boot'; require './import' }\nFlowline::RakeTask.new(:import, 'ImportPipeline')")
    expect(rake("import:plan[2024-01-31]")[1]).to match(/\Aboot\nPlan: import/)
  end

  it "replaces the lines of the run by a reporter, and prints a failure all the same" do
    pipeline
    File.write("broken", "")
    rakefile("require './import'\nFlowline::RakeTask.new(:import, ImportPipeline, reporter: ->(event) { puts event.name })")
    status, out, err = rake("import[2024-01-31]")
    expect([status, out]).to match([1, /\Arun_started\n.*run_finished\n\z/m])
    expect(err).to match(/\A\s*✗ step load/)
    expect(rake("-q", "import[2024-01-31]").last).to match(/\A\s*✗ step load/)
  end

  it "runs in several threads of a multitask" do
    rakefile(<<~RUBY)
      require "flowline"
      %w[a b].each { |name| Flowline::RakeTask.new(name, Flowline.define { step(:one) { name == "b" ? raise("no") : puts(name) } }) }
      multitask both: %w[a b]
    RUBY
    status, out, err = rake("both")
    expect([status, out]).to eq([1, "a\n"])
    expect(err.scan("RuntimeError: no").size).to eq(1)
  end

  it "finishes the running step on Ctrl-C, and ends with status 130" do
    pipeline("step(:slow, depends_on: :load) { |_| puts 'slow'; $stdin.gets }\n  step(:last, depends_on: :slow) { puts 'last' }")
    rakefile("Flowline::RakeTask.new(:import, 'import.rb')")
    Open3.popen3({ "FLOWLINE_ROOT" => "#{Dir.pwd}/store" }, *command("import[2024-01-31]")) do |stdin, out, err, thread|
      line = out.gets until line&.include?("slow")
      Process.kill(:INT, thread.pid)
      said = err.gets until said&.include?("finishing running steps")
      stdin.close
      expect(out.read).to eq("")
      expect(err.read).to include("import: stopped by SIGINT")
      expect(thread.value.exitstatus).to eq(130)
    end
  end

  it "refuses a task without a pipeline, or with two" do
    require "flowline/rake_task"
    expect { Flowline::RakeTask.new(:a) }.to raise_error(ArgumentError, /give a pipeline or a block/)
    expect { Flowline::RakeTask.new(:a, "A") { nil } }.to raise_error(ArgumentError, /give a pipeline or a block/)
  end
end

RSpec.describe "Flowline::RakeTask in a Rails application", :rails do
  let(:app) do
    rails_app("app/pipelines/import_pipeline.rb" => <<~PIPELINE, "lib/tasks/import.rake" => <<~RAKE)
      class ImportPipeline < Flowline::Pipeline
        param :date, type: :date, required: true
        step(:fetch) { |date:| File.exist?("down") ? raise(IOError, "down") : puts("\#{Rails.env} \#{date}") }
      end
    PIPELINE
      require "flowline/rake_task"
      task(:prepare) { puts "prepare" }
      Flowline::RakeTask.new(:import, "ImportPipeline")
      task import: :prepare
    RAKE
  end

  it "loads the application before the pipeline, and is a command of bin/rails" do
    expect(app.run("bin/rails", "import", "date=2024-01-31").output!).to match(/^prepare\n(.*\n)*development 2024-01-31\n/)
    expect(app.run("bin/rails", "import:plan[2024-01-31]").output!).to include("fetch  run")
    File.write(app.path("down"), "")
    outcome = app.run("bin/rails", "import[2024-02-01]")
    expect(outcome.status.exitstatus).to eq(1)
    expect(outcome.output).to match(%r{IOError: down \(app/pipelines/import_pipeline.rb:3\)(.*\n)*  Resume with: rails "import:resume\[})
    expect(outcome.output.scan("IOError: down").size).to eq(1)
    File.delete(app.path("down"))
    expect(app.run("bin/rails", "import:resume").output!).to match(/resuming run(.*\n)*development 2024-02-01/)
  end
end
