# frozen_string_literal: true

require "flowline/cli"
require "open3"
require "rbconfig"
require "sqlite3"
require "stringio"

RSpec.describe "The store" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }
  let(:log) { [] }

  def pipeline(name: "stored", size: 1, broken: [1])
    log = self.log
    Flowline.define(name: name) do |p|
      p.step(:a) { [log << :a, "x" * size].last }
      p.step(:b, depends_on: :a) { |a| broken.empty? ? a.size : raise("down") }
    end
  end

  def ruby(script, **env)
    Open3.capture2e(env.transform_keys(&:to_s), RbConfig.ruby, "-I#{File.expand_path("../../lib", __dir__)}", "-rflowline", "-e", script)
  end

  def database
    "#{root}/flowline.db"
  end

  it "is where FLOWLINE_ROOT, the configuration or the working directory say, when the run starts" do
    Dir.mktmpdir do |folder|
      script = "Flowline.define(name: 'p') { step(:a) { Dir.mkdir('in'); Dir.chdir('in') }; step(:b, depends_on: :a) { |_| 1 } }.run!"
      Dir.chdir(folder) { ruby(script, FLOWLINE_ROOT: nil) }
      expect(Dir.children(folder)).to contain_exactly(".flowline", "in")
      expect(Dir.children("#{folder}/in")).to be_empty
      ruby("Flowline.configure { |c| c.root = '#{folder}/mine' }; Flowline.define(name: 'p') { step(:a) { 1 } }.run!", FLOWLINE_ROOT: "#{folder}/env")
      expect(Dir.children(folder)).to include("mine").and(satisfy { |names| !names.include?("env") })
    end
  end

  it "opens or stays closed when the thread that opens it first is interrupted", executor: :in_process do
    statuses = Array.new(8) do |n|
      ruby(<<~RUBY, FLOWLINE_ROOT: "#{root}.#{n}").last.exitstatus
        p = Flowline.define(name: "first") { |d| d.step(:a) { 1 } }.tap(&:validate!)
        thread = Thread.new { Thread.current.report_on_exception = false; p.run }
        sleep(0.001 * #{n + 1})
        thread.raise(IOError, "from outside")
        begin thread.join; rescue IOError; end
        exit(p.run.success? ? 0 : 1)
      RUBY
    end
    expect(statuses).to eq([0] * 8)
  end

  it "is off with FLOWLINE_STORE=off: nothing is written, and resuming works in memory", executor: :in_process do
    before = ENV.fetch("FLOWLINE_STORE", nil)
    settings = %w[no FALSE 0 on].map { |word| (ENV["FLOWLINE_STORE"] = word) && Flowline::Configuration.new.store }
    ENV["FLOWLINE_STORE"] = before
    expect(settings).to eq([false, false, false, true])
    _, status = ruby(<<~RUBY, FLOWLINE_STORE: "off", FLOWLINE_ROOT: root)
      broken = [1]
      ran = []
      p = Flowline.define(name: "off") { |d| d.step(:a) { ran << 1 }; d.step(:b, depends_on: :a) { |_| broken.pop && raise("x") } }
      p.run
      exit(p.run(resume: true).success? && ran.size == 1 && !File.exist?("#{root}") ? 0 : 1)
    RUBY
    expect(status.exitstatus).to eq(0)
  end

  it "is not created for pipelines without a name, nor by loading or reading" do
    Flowline.define { |p| p.step(:a) { 1 } }.run
    Flowline::Checkpoint.list
    expect(File.exist?(root)).to be(false)
  end

  describe "when it is damaged" do
    it "raises an error with the ways out before anything runs" do
      pipeline.run
      Dir.glob("#{database}*").each { |file| File.delete(file) }
      File.binwrite(database, "not a database " * 500)
      log.clear
      [{}, { resume: true }, { from: :b }, { dry_run: true, resume: true }].each do |options|
        expect { pipeline.run(**options) }.to raise_error(Flowline::StoreError, /#{root}.* is damaged .*move it away.*FLOWLINE_STORE=off/m) do |error|
          expect(error.path).to eq(File.realpath(root))
        end
      end
      expect(log).to be_empty
      File.rename(root, "#{root}.damaged")
      expect(pipeline.run[:a].status).to eq(:succeeded)
    end

    it "raises an error during a run, and acknowledges only recorded steps" do
      script = <<~RUBY
        p = Flowline.define(name: "middle") do |d|
          200.times { |n| d.step(:"s\#{n}", depends_on: n.zero? ? [] : :"s\#{n - 1}") { |*| "y" * 3000 } }
          d.step(:last, depends_on: :s199) { |_| raise "down" }
        end
        p.run(resume: ARGV.first == "resume")
      RUBY
      ruby(script, FLOWLINE_ROOT: root)
      size = File.size(database)
      File.open(database, "r+b") { |file| file.seek(size / 2) && file.write("\xFF".b * [20_000, size / 2].min) }
      out, status = ruby("ARGV << 'resume'\n#{script}", FLOWLINE_ROOT: root)
      expect(status.success? || out.include?("is damaged")).to be(true), out
      expect(out).not_to match(/segfault|BUG|NoMethodError/i)
    end

    it "reruns a step whose small output was changed, with a reason" do
      broken = [1]
      p = pipeline(broken: broken)
      script = "Flowline.define(name: 'stored') { step(:a) { 'needle-in-the-store' }; step(:b, depends_on: :a) { |_| raise 'x' } }.run"
      ruby(script, FLOWLINE_ROOT: root)
      SQLite3::Database.new(database).tap { |db| db.execute("PRAGMA wal_checkpoint(TRUNCATE)") }.close
      bytes = File.binread(database)
      File.binwrite(database, bytes.gsub("needle-in", "noodle-in"))
      expect(p.run(dry_run: true, resume: true)[:a].reason).to match(/code.* changed/).or match(/gone or damaged/)
      same = "puts Flowline.define(name: 'stored') { step(:a) { 'needle-in-the-store' }; step(:b, depends_on: :a) { |_| raise 'x' } }.run(dry_run: true, resume: true)[:a].to_h"
      expect(ruby(same, FLOWLINE_ROOT: root).first).to match(/run.*its recorded output is gone or damaged/)
    end

    it "reruns a step whose large output is missing, truncated or empty" do
      [->(blob) { File.delete(blob) }, ->(blob) { File.truncate(blob, 1000) }, ->(blob) { File.truncate(blob, 0) }, ->(blob) { File.delete(blob) && Dir.mkdir(blob) }].each do |damage|
        broken = [1]
        p = pipeline(size: 400_000, broken: broken)
        p.run
        damage.call(Dir.glob("#{root}/flowline.blobs/*").first)
        expect(p.run(dry_run: true, resume: true)[:a].reason).to eq("its recorded output is gone or damaged")
        expect { Flowline::Checkpoint.latest("stored").output(:a) }.to raise_error(Flowline::CheckpointError, /a of stored/)
        broken.clear
        Dir.glob("#{root}/flowline.blobs/*").each { |blob| Dir.rmdir(blob) if File.directory?(blob) }
        expect(outcomes(p.run(resume: true))).to eq(a: :succeeded, b: :succeeded)
      end
    end
  end

  describe "an odd directory" do
    def run_in(root, code = "Flowline.define(name: 'n') { step(:a) { 1 } }.run")
      ruby("begin; #{code}; puts 'done'; rescue Exception => e; puts e.class, e.message; end", FLOWLINE_ROOT: root).first
    end

    it "is refused in words of the store if it is in the home of an unknown user, and so it is for a cache and a reader" do
      ["Flowline.define(name: 'n') { step(:a) { 1 } }.run", "Flowline::Cache::File.new", "Flowline::Checkpoint.latest('n')", "Flowline::History.runs"].each do |code|
        expect(run_in("~nosuchuser/x", code)).to match(%r{\AFlowline::StoreError\nstore ~nosuchuser/x: its directory cannot be found \(.*nosuchuser.*\); choose another one})
      end
      expect(ruby("require 'flowline/cli'; exit Flowline::CLI.start(%w[status])", FLOWLINE_ROOT: "~nosuchuser/x"))
        .to match(array_including(/its directory cannot be found/))
    end

    it "works if its path is no UTF-8" do
      odd = "#{root}-\xff\xfe"
      code = "p Flowline.define(name: 'n') { step(:a) { 1 } }.tap(&:run).run(resume: true, dry_run: true).to_s.valid_encoding?"
      expect(run_in(odd, code)).to match(/\Atrue\ndone/)
    end

    it "is refused with its length if SQLite allows no path as long" do
      expect(run_in("#{root}/#{"long/" * 120}x")).to match(/\AFlowline::StoreError\nstore .* has a path of \d+ bytes, and 500 are possible; choose another directory/)
      expect(Dir.exist?("#{root}/long")).to be(false)
    end

    it "need not be the working directory, which may be gone" do
      away = "require 'tmpdir'; Dir.chdir(Dir.mktmpdir); Dir.rmdir(Dir.pwd); p Flowline.define(name: 'n') { step(:a) { 1 } }.run.status"
      expect(run_in(root, away)).to match(/\A:succeeded/)
      expect(run_in("relative", away))
        .to match(/\AFlowline::StoreError\nstore relative: its directory cannot be found \(.*getcwd\)/)
    end
  end

  it "refuses a newer format and a database of another program without changing them" do
    other = "#{root}-newer"
    ruby("Flowline.define(name: 'n') { step(:a) { 1 } }.run", FLOWLINE_ROOT: other)
    File.open("#{other}/flowline.db", "r+b") { |file| file.seek(60) && file.write([99].pack("N")) } # The format's number in SQLite's header.
    before = File.binread("#{other}/flowline.db")
    out, = ruby("Flowline.define(name: 'n') { step(:a) { 1 } }.run", FLOWLINE_ROOT: other)
    expect(out).to match(/has format 99, written by a newer Flowline; .*update Flowline/)
    File.open("#{other}/flowline.db", "r+b") { |file| file.seek(68) && file.write([1234].pack("N")) }
    out, = ruby("Flowline.define(name: 'n') { step(:a) { 1 } }.run", FLOWLINE_ROOT: other)
    expect(out).to match(/is a database of another program/)
    expect(File.binread("#{other}/flowline.db").bytesize).to eq(before.bytesize)
  end

  it "raises an error when it is read-only", if: Process.uid.zero? do
    Dir.mktmpdir do |folder|
      FileUtils.chmod(0o755, folder)
      FileUtils.mkdir("#{folder}/store", mode: 0o755)
      log = File.open("#{folder}/log", "w")
      pid = fork do
        $stderr.reopen(log)
        Process::UID.change_privilege(65_534)
        Flowline.configure { |config| config.root = "#{folder}/store" }
        pipeline(broken: []).run
        exit!(0)
      rescue Flowline::StoreError => e
        log.write(e.message)
        log.flush
        exit!(7)
      end
      expect(Process.wait2(pid).last.exitstatus).to eq(7)
      expect(File.read("#{folder}/log")).to match(/cannot be written .*check its permissions.*FLOWLINE_STORE=off/)
    end
  end

  it "creates parent directories" do
    Flowline.config.root = "#{root}/x/y"
    expect(pipeline.run[:a].status).to eq(:succeeded)
    expect([File.stat("#{root}/x/y").mode & 0o777, File.read("#{root}/x/y/.gitignore")]).to eq([0o700, "*\n"])
    File.write("#{root}/file", "")
    Flowline.config.root = "#{root}/file/y"
    expect { pipeline.run }.to raise_error(Flowline::StoreError, /cannot be written \(.*check its permissions/)
  ensure
    Flowline.config.root = nil
  end

  it "is accessible to its owner only, also in an existing directory", executor: :in_process do
    modes = -> { Dir.glob(["#{database}*", "#{root}/flowline.lock"]).map { |file| File.stat(file).mode & 0o777 }.uniq }
    Dir.mkdir(root, 0o755)
    ruby(script = "Flowline.define(name: 'p') { step(:a) { 1 }; step(:b, depends_on: :a) { |_| exit!(1) } }.run", FLOWLINE_ROOT: root)
    expect(Dir.glob("#{database}-*")).not_to be_empty
    expect(modes.call).to eq([0o600])
    Dir.glob(["#{database}*", "#{root}/flowline.lock"]).each { |file| File.chmod(0o644, file) }
    ruby(script, FLOWLINE_ROOT: root)
    expect(modes.call).to eq([0o600])
  end

  it "refuses a directory that others can write to" do
    Dir.mkdir(root)
    File.chmod(0o777, root)
    expect { pipeline.run }.to raise_error(Flowline::StoreError, /store #{root}: can be written by others, who could run code as you; chmod 700 it/)
    expect(Dir.children(root)).to be_empty
  end

  it "refuses a directory of another user", if: Process.uid.zero? do
    Dir.mkdir(root, 0o700)
    File.chown(65_534, 65_534, root)
    expect { pipeline.run }.to raise_error(Flowline::StoreError, /belongs to another user; choose another directory, or chown it/)
  end

  it "acknowledges only recorded steps on a full disk, and resumes once there is room", if: Process.uid.zero?, executor: :in_process do
    mount = Dir.mktmpdir
    skip "cannot mount" unless system("mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", mount, err: File::NULL)
    Flowline.config.root = "#{mount}/store"
    log = self.log
    p = Flowline.define(name: "full") do |d|
      60.times { |n| d.step(:"s#{n}", depends_on: n.zero? ? [] : :"s#{n - 1}") { |*| [log << :"s#{n}", Random.new(n).bytes(20_000)].last } }
    end
    expect { p.run }.to raise_error(Flowline::StoreError, /the disk is full; nothing was recorded/)
    started = log.dup
    recorded = Flowline::Checkpoint.latest("full").step_names
    expect(recorded).to match_array(started[0...-1]) # Whatever a dependent was started of is there.
    expect(Flowline::Checkpoint.latest("full").status).to eq(:crashed)
    expect(system("mount", "-o", "remount,size=20m", mount)).to be(true)
    log.clear
    expect(p.run(resume: true)).to be_success
    expect(log & recorded).to be_empty
  ensure
    Flowline.config.root = nil
    system("umount", "-l", mount, err: File::NULL)
  end

  it "is created again when removed between runs, and fails the run when removed during one" do
    p = pipeline(broken: [])
    p.run
    FileUtils.rm_rf(root)
    expect(p.run).to be_success
    expect(Flowline::Store.at(root).runs("stored", 5).size).to eq(1)
    removing = Flowline.define(name: "removing") do |d|
      d.step(:a) { FileUtils.rm_rf(ENV.fetch("FLOWLINE_ROOT")) }
      d.step(:b, depends_on: :a) { |_| "x" * 500_000 }
    end
    begin
      removing.run
    rescue Flowline::StoreError => e
      expect(e.message).to include(root)
    end
    expect(p.run).to be_success
    expect(Flowline::Store.at(root).runs("stored", 5).size).to eq(1)
  end

  it "shows no runs of a removed store to a process that resumes" do
    p = pipeline
    p.run
    FileUtils.rm_rf(root)
    expect(p.run(resume: true)[:a].status).to eq(:succeeded)
  end

  it "is used by threads at the same time" do
    results = Array.new(6) { |n| Thread.new { Array.new(5) { pipeline(name: "t#{n}", size: 300_000, broken: []).run.status } } }.flat_map(&:value)
    expect(results).to eq([:succeeded] * 30)
    expect(Dir.glob("#{root}/flowline.blobs/*")).to be_empty
  end

  it "is reopened by a forked child, without its parent's locks" do
    broken = [1]
    p = pipeline(broken: broken)
    p.run
    pid = fork { exit!(Flowline::Store.at(root).runs("stored").map(&:status) == ["failed"] && p.run(name_for_nobody: 1) ? 0 : 1) rescue exit!(7) } # rubocop:disable Style/RescueModifier
    expect(Process.wait2(pid).last.exitstatus).to eq(7) # An unknown param: it came as far as that.
    broken.clear
    expect(p.run(resume: true)[:a].status).to eq(:restored)
  end
end
