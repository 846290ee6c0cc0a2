# frozen_string_literal: true

require "fileutils"
require "tmpdir"

RSpec.describe "flowline resume" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  around do |example|
    Dir.mktmpdir { |folder| Dir.chdir(folder) { example.run } }
  end

  def write(name, pipeline, more = "")
    File.write(name, <<~RUBY)
      Flowline.define(name: "#{pipeline}") do
        param :date, type: :date, default: "2024-01-09"
        param :token, secret: true
        step(:fetch) { |date:| date.to_s }
        step(:load, depends_on: :fetch) { |day| File.exist?("#{Dir.pwd}/broken") ? raise("down") : puts(day) }
        #{more}
      end
    RUBY
    File.expand_path(name)
  end

  # @return [String] the id of the run
  def failed(file, *arguments)
    File.write("broken", "")
    flowline("run", file, *arguments)
    File.delete("broken")
    Flowline::Store.existing(root).runs(nil, 1).first.run_id
  end

  it "resumes the latest run of the file that can be resumed, with its params" do
    file = write("import.rb", "import")
    id = failed(file, "--param", "date=2024-01-05")
    flowline("run", file, "--param", "date=2024-01-06")
    status, _, err = flowline("resume", file)
    expect([status, err]).to match([0, /^resuming run #{id} of .* \(date: 2024-01-05\): 1 step restored\n.*✓ fetch +restored/m])
  end

  it "resumes the run with an id, or with params, and no other" do
    file = write("import.rb", "import")
    first = failed(file, "--param", "date=2024-01-05")
    second = failed(file, "--param", "date=2024-01-06")
    third = failed(file, "--param", "date=2024-01-07", "--param", "token=hunter2")
    expect(flowline("resume", file, second)[2]).to include("resuming run #{second} ")
    expect(flowline("resume", file, "--param", "date=2024-01-05")[2]).to include("resuming run #{first} ")
    expect(flowline("resume", file, "--param", "token=hunter2")[2]).to include("resuming run #{third} ")
    expect(flowline("resume", file, second)).to match([1, "", /\Aflowline: run #{second} cannot be resumed: run \S+ has resumed it, and succeeded\n/])
    expect(flowline("resume", file, "--param", "date=soon")).to match([2, "", /date/])
  end

  it "selects a run by some of its params, and adopts the others" do
    File.write("two.rb", <<~RUBY)
      Flowline.define(name: "two") do
        param :date, type: :date, required: true
        param :limit, type: :integer, default: 1
        step(:fetch) { |date:, limit:| [date, limit] }
        step(:load, depends_on: :fetch) { |_| raise "down" if File.exist?("#{Dir.pwd}/broken") }
      end
    RUBY
    id = failed(File.expand_path("two.rb"), "--param", "date=2024-01-05", "--param", "limit=15")
    expect(flowline("resume", "two.rb", "--param", "date=2024-01-06")).to match(
      [0, "", /nothing to resume: no run with the same params is recorded; run #{id} \(date: 2024-01-05, limit: 15\) failed and can be resumed/]
    )
    expect(flowline("resume", "two.rb", "--param", "limit=15")[2]).to match(/^resuming run #{id} of .* \(date: 2024-01-05, limit: 15\): 1 step/)
  end

  it "starts no new run if there is nothing to resume, says why, and exits with 0" do
    file = write("import.rb", "import")
    expect(flowline("resume", file)).to eq([0, "", "resume: nothing to resume: there is no store (looked in #{root})\n"])
    expect(flowline("resume")).to eq([0, "", "resume: nothing to resume: there is no store (looked in #{root})\n"])
    expect(Dir.exist?(root)).to be(false)
    flowline("run", file)
    expect(flowline("resume", file)).to match([0, "", /\Aresume: nothing to resume: run \S+ succeeded \(looked in #{root}\)\n/])
    expect(flowline("resume")).to match([0, "", /nothing to resume: no run in it failed/])
    expect(flowline("resume", write("other.rb", "other"))).to match([0, "", /no run of other is recorded/])
    id = failed(file, "--param", "date=2024-01-05")
    expect(flowline("resume", file, "--param", "date=2024-01-04")).to match([0, "", /run #{id} \(date: 2024-01-05\) failed|run \S+/])
    expect(Flowline::Store.existing(root).runs.size).to eq(2)
  end

  it "says nothing with --quiet if there is nothing to resume, so that cron sends no mail" do
    file = write("import.rb", "import")
    expect([flowline("resume", "--quiet"), flowline("resume", file, "--quiet"), flowline("resume", file, "--progress", "none")]).to all(eq([0, "", ""]))
    id = "20260101T000000-01234567"
    expect(flowline("resume", id, "--quiet")).to eq([0, "", "resume: nothing to resume: there is no store (looked in #{root})\n"])
  end

  it "takes the file of the latest run that can be resumed, of any pipeline, in any directory" do
    import = write("import.rb", "import")
    failed(write("export.rb", "export"))
    id = failed(import, "--param", "date=2024-01-05")
    flowline("run", write("fine.rb", "fine"))
    FileUtils.mkdir("below")
    said = Dir.chdir("below") { flowline("resume") }
    expect(said).to match([0, "", /Pipeline: import\nresuming run #{id} /])
    expect(flowline("resume")[2]).to match(/Pipeline: export/)
    gone = failed(import)
    File.rename("import.rb", "moved.rb")
    expect(flowline("resume")).to match([2, "", /import.rb, which defines import, is no file any more; name its file/])
    expect(flowline("resume", "moved.rb", gone).first).to eq(0)
  end

  it "exits with 75 while the run is alive" do
    file = write("import.rb", "import")
    gate = Gate.new
    holder = child { Flowline.define(name: "import") { |d| d.param(:date, default: 1) && d.step(:a) { gate.pass } }.run && nil }
    gate.wait
    expect(flowline("resume", file)).to match([75, "", /run \S+ of import \(date: 1\) is alive in process #{holder.pid}/])
    gate.release
    holder.value
  end

  it "refuses what it cannot use" do
    file = write("import.rb", "import")
    expect(flowline("resume", file, "b.rb")).to match([2, "", /one run of one file at a time; b.rb is one too many/])
    expect(flowline("resume", file, "--from", "load")).to match([2, "", /--from/])
    File.write("nameless.rb", "Flowline.define { step(:a) { 1 } }")
    expect(flowline("resume", "nameless.rb")).to match([2, "", /runs of a pipeline without a name: are not recorded/])
    expect(flowline("help")[1]).to include("  resume ")
  end

  it "can be interrupted while it waits for another run" do
    file = write("import.rb", "import", 'File.write("loaded", "")')
    gate = Gate.new
    holder = child { Flowline.define(name: "import") { |d| d.step(:a) { gate.pass } }.run && nil }
    gate.wait
    log = "#{Dir.pwd}/log"
    pid = Process.spawn(*Processes::FLOWLINE, "run", file, "--exclusive", "--exclusive-wait=60", err: log)
    eventually { File.exist?("loaded") }
    sleep(1)
    Process.kill(:INT, pid)
    expect(Process.wait2(pid).last.exitstatus).to eq(130), File.read(log)
    expect(File.read(log)).to match(/\Aflowline: waits up to 60s for run \S+ in process \d+\nflowline: stopped by SIGINT\n\z/)
    gate.release
    holder.value
  end
end
