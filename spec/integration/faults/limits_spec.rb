# frozen_string_literal: true

RSpec.describe "A store within the limits of its system" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }
  let!(:came) { IO.pipe }
  let!(:goes) { IO.pipe }

  def pipeline(name = "limited")
    Flowline.define(name: name) do |p|
      p.step(:a) { 1 }
      p.step(:b, depends_on: :a) { |_| raise "down" }
    end
  end

  { ENOLCK: Errno::ENOLCK::Errno, EOPNOTSUPP: Errno::EOPNOTSUPP::Errno }.each do |name, number|
    it "says at once that its file system has no record locks (#{name})" do
      output, status = faulty_ruby(<<~RUBY, FLOWLINE_ROOT: root)
        Dir.mkdir(ENV["FLOWLINE_ROOT"], 0o700)
        strike[:fail, [:lock], File.realpath(ENV["FLOWLINE_ROOT"]), errno: #{number}]
        started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        begin
          Flowline.define(name: "p") { step(:a) { puts "called" } }.run
        rescue Flowline::StoreError => e
          puts e.kind, e.message, Process.clock_gettime(Process::CLOCK_MONOTONIC) - started < 5
        end
      RUBY
      expect(status).to be_success, output
      expect(output).to match(/\Ano_locks\nstore .* is on a file system without record locks \(#{name}\).*choose a directory on a local disk.*\ntrue\n\z/)
    end
  end

  describe "that another process holds for writing" do
    # @return [Array(Symbol, Float)] how the run ended, and after how many seconds
    def timed
      started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      [yield, Process.clock_gettime(Process::CLOCK_MONOTONIC) - started]
    rescue Flowline::StoreError => e
      [e.kind, Process.clock_gettime(Process::CLOCK_MONOTONIC) - started]
    end

    before { pipeline.run }

    it "makes a run with a time limit wait no longer than that, and a second more" do
      holding_store(root) do
        ended, seconds = elsewhere { timed { pipeline.run(timeout: 0.2).status } }
        expect(ended).to eq(:busy).or(eq(:timed_out))
        expect(seconds).to be_between(0.1, 5)
      end
      expect(pipeline.run(resume: true)[:a].status).to eq(:restored)
    end

    it "makes a run that resumes with a time limit wait no longer than that, and a second more" do
      holding_store(root) do
        [{ resume: true }, { from: :b }].each do |options|
          ended, = elsewhere(3) { timed { pipeline.run(timeout: 0.2, **options).status } }
          expect(ended).to eq(:busy).or(eq(:timed_out))
        end
      end
    end

    it "makes a run with a time limit wait no longer for its cache" do
      cache = Flowline::Cache::File.new("#{root}-cache")
      cache.set("there", 1)
      cached = Flowline.define(cache: cache) { |p| p.step(:a, cache: true) { 1 } }
      holding_store("#{root}-cache") do
        result, seconds = elsewhere(20) { timed { cached.run(timeout: 0.5).then { |ended| [ended.status, ended.warnings.size] } } }
        expect([result.first, seconds]).to match([eq(:succeeded).or(eq(:timed_out)), be < 5])
      end
    end

    it "makes a run with a time limit wait no longer when the store has not been opened yet" do
      holding_store(root) do
        _, seconds = elsewhere(3) { timed { Flowline::Store.instance_variable_get(:@stores).clear && pipeline.run(timeout: 0.2).status } }
        expect(seconds).to be_between(0.1, 3)
      end
    end

    it "makes a run with a time limit wait no longer in its middle either", executor: :in_process do
      slow = Flowline.define(name: "slow") { |p| p.step(:a) { [came[1].syswrite("."), goes[0].sysread(1)] && 1 } }
      thread = Thread.new { timed { slow.run(timeout: 0.5).status } }
      came[0].read(1)
      ended, seconds = holding_store(root) do
        goes[1].syswrite(".")
        (thread.join(20) || raise("it waits and waits")).value
      end
      expect(ended).to eq(:busy).or(eq(:timed_out))
      expect(seconds).to be_between(0.4, 8)
      expect(flowline("status", "--root", root)[1]).to match(/^slow +(crashed|timed_out) /)
    end

    it "makes a run with a time limit wait no longer for a transaction of another program" do
      holder = child do
        Processes.database(root) do |db|
          db.execute("BEGIN IMMEDIATE")
          came[1].syswrite(".") && goes[0].sysread(1)
        end
      end
      came[0].read(1)
      ended, seconds = timed { pipeline.run(timeout: 0.2).status }
      expect(ended).to eq(:busy).or(eq(:timed_out))
      expect(seconds).to be_between(0.1, 5)
      goes[1].syswrite(".")
      holder.value
      expect(pipeline.run(resume: true)[:a].status).to eq(:restored)
    end
  end

  it "works as one of 62 in a process that may open 256 files" do
    output, status = ruby(<<~'RUBY', root)
      Process.setrlimit(:NOFILE, 256)
      pipeline = Flowline.define(name: "many") { |p| p.step(:a) { "a" }; p.step(:b, depends_on: :a) { |_| raise "down" } }
      roots = Array.new(62) { |n| "#{ARGV[0]}-#{n}" }
      each = ->(**options) { roots.map { |root| (Flowline.config.root = root) && pipeline.run(**options)[:a].status } }
      p each.call.tally, each.call(resume: true).tally
      threads = Array.new(4) { |n| Thread.new { roots.each { |root| Flowline::Checkpoint.list(root: root).size } } }
      threads.each(&:join)
      caches = roots.map { |root| Flowline::Cache::File.new("#{root}/cache") }
      p caches.map { |cache| cache.fetch("k") { 1 } }.sum, caches.map { |cache| cache.fetch("k") { 2 } }.sum
    RUBY
    expect(status).to be_success, output
    expect(output).to match(/\A\{:succeeded=>62\}\n\{:restored=>62\}\n62\n62\n\z/)
  ensure
    FileUtils.rm_rf(Dir.glob("#{root}-*"))
  end

  it "shows a run of another pid namespace as one that runs elsewhere, and does not resume it" do
    out = "#{root}.out"
    script = <<~'RUBY'
      File.write("#{ARGV[0]}.pid", Process.pid)
      Flowline.define(name: "limited") do |p|
        p.step(:a) { 1 }
        p.step(:b, depends_on: :a) { |_| File.write(ARGV[0], "here") && STDIN.read && raise("down") }
      end.run
    RUBY
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    skip "needs pid namespaces" unless system(*command, "true", %i[out err] => File::NULL)
    pid = Process.spawn(*command, RbConfig.ruby, "-I#{Processes::LIB}", "-rflowline", "-e", script, out, in: goes[0], err: File::NULL, pgroup: true)
    goes[0].close
    eventually { File.exist?(out) }
    code, text, = flowline("status", "--root", root)
    expect([code, text]).to match([0, /^limited +running elsewhere /])
    host = Etc.uname[:nodename]
    inner = File.read("#{out}.pid")
    expect { pipeline.run(resume: true) }.to raise_error(Flowline::LockedError, /alive in process #{inner} of #{Regexp.escape(host)}, another machine or container/)
    goes[1].close
    Process.wait(pid)
    pid = nil
    expect(flowline("status", "--root", root)[1]).to match(/^limited +failed /)
    expect(pipeline.run(resume: true)[:b].status).to eq(:failed)
  ensure
    pid && Process.kill(:KILL, -pid) && Process.wait(pid)
    FileUtils.rm_f([out, "#{out}.pid"])
  end
end
