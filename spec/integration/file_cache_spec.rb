# frozen_string_literal: true

require "fileutils"
require "rbconfig"
require "tmpdir"
require "flowline/cli"
require_relative "../contracts/cache"

RSpec.describe Flowline::Cache::File do
  around do |example|
    Dir.mktmpdir("flowline-cache") do |directory|
      @path = File.join(directory, "cache")
      example.run
    end
  end

  let(:cache) { described_class.new(@path) }

  it_behaves_like "a cache"

  large = "x" * 300_000 # In a file of its own.

  def blobs = Dir[File.join(@path, "flowline.blobs", "*")]

  # Starts a process, which gets the pipes' ends that it reads and writes.
  def forked(*pipes)
    fork do
      yield
    ensure
      pipes.each(&:flush)
      exit!(0)
    end
  end

  # A run of one step, quiet about warnings on standard error.
  def pipeline(&block) = Flowline.define(name: "filed", checkpoint: false) { |p| p.step(:work, cache: { key: -> { 1 } }, &block) }

  describe "another process", if: Process.respond_to?(:fork) do
    it "reads entries that this one wrote" do
      cache.set("small", [1])
      cache.set("large", large)
      code = "require 'flowline'; cache = Flowline::Cache::File.new(ARGV[0]); p cache.get('small'), cache.get('large').size, cache.exists?('none')"
      output = IO.popen([RbConfig.ruby, "-I#{File.expand_path("../../lib", __dir__)}", "-e", code, @path], &:read)
      expect(output).to eq("[1]\n300000\nfalse\n")
    end

    it "computes a key once with four concurrent processes" do
      computed, tell = IO.pipe
      answers, answer = IO.pipe
      ready, here = IO.pipe
      gate, open = IO.pipe
      pids = Array.new(4) do
        forked(tell, answer) do
          here.syswrite(".")
          gate.read(1)
          result = pipeline { tell.syswrite("x") && gate.read(1) && [1, 2] }.run(cache: described_class.new(@path))
          answer.syswrite("#{result[:work].status} #{result[:work].output}\n")
        end
      end
      ready.read(4)
      # One byte each to start with, and one for whoever computes.
      open.syswrite("." * 5)
      pids.each { |pid| Process.wait(pid) }
      [tell, answer].each(&:close)
      expect([computed.read, answers.read.lines.sort]).to eq(["x", [*["cached [1, 2]\n"] * 3, "succeeded [1, 2]\n"]])
    end

    it "computes a key again after this one was killed while computing it" do
      inside, tell = IO.pipe
      never, = IO.pipe
      pid = forked { pipeline { tell.syswrite("x") && never.read }.run(cache: described_class.new(@path)) }
      inside.read(1)
      waiter = Thread.new { pipeline { :mine }.run(cache: cache) }
      Thread.pass until waiter.stop?
      Process.kill(:KILL, pid)
      Process.wait(pid)
      expect(waiter.join(10).value[:work].then { |work| [work.status, work.output] }).to eq(%i[succeeded mine])
    end
  end

  describe "damage" do
    {
      truncated: ->(file) { File.truncate(file, 1000) },
      "bit-flipped": ->(file) { File.binwrite(file, File.binread(file).tap { |bytes| bytes.setbyte(5000, bytes.getbyte(5000) ^ 1) }) },
      deleted: ->(file) { File.delete(file) }, emptied: ->(file) { File.truncate(file, 0) }
    }.each do |what, damage|
      it "is detected, reported and the value computed again: a file that was #{what}" do
        2.times { pipeline { large }.run(cache: cache) }
        expect(blobs.size).to eq(1)
        damage.call(blobs.first)
        results = Array.new(2) { pipeline { large }.run(cache: cache) }
        expect(results.map { |result| [result[:work].status, result[:work].output == large, result.warnings.size] }).to eq([[:succeeded, true, 1], [:cached, true, 0]])
        expect(results.first.warnings).to match([/\Acache entry "filed.work.\h{32}" could not be read \(its bytes are gone or damaged\) and is computed again\z/])
      end
    end

    # Kinds of damage from before the process began, and whether they make the whole database unreadable.
    {
      "a database that was overwritten": [["", ->(file) { ["", "-wal", "-shm"].each { |ending| File.binwrite(file + ending, "x" * 5000) } }], true],
      "a log that was truncated": [["-wal", ->(file) { File.truncate(file, 1000) }], false],
      "a log that was overwritten": [["-wal", ->(file) { File.binwrite(file, "x" * File.size(file)) }], false],
      "a log that was deleted": [["-wal", ->(file) { File.delete(file) }], false]
    }.each do |what, ((ending, damage), whole)|
      it "is replaced by an empty cache: #{what}", if: Process.respond_to?(:fork) do
        Process.wait(forked { pipeline { 1 }.run(cache: described_class.new(@path)) })
        damage.call(File.join(@path, "flowline.db#{ending}"))
        results = nil
        run = -> { results = Array.new(2) { pipeline { 2 }.run(cache: cache) } }
        expect(&run).to output(whole ? /\Aflowline: cache .* is damaged and starts empty/ : "").to_stderr
        expect(results.map { |result| [result[:work].status, result[:work].output] }).to eq([[:succeeded, 2], [:cached, 2]])
      end
    end

    it "is no problem when the directory was deleted" do
      pipeline { 1 }.run(cache: cache)
      FileUtils.rm_rf(@path)
      expect(Array.new(2) { pipeline { 2 }.run(cache: cache) }.map { |result| [result[:work].status, result.warnings] }).to eq([[:succeeded, []], [:cached, []]])
    end
  end

  describe "space" do
    it "is freed by removing the least recently used entries" do
      now = Time.now
      allow(Time).to receive(:now) { now += 100 }
      small = described_class.new(@path, max_bytes: 2500)
      %w[a b c].each { |key| small.set(key, key * 700) }
      small.get("a")
      small.set("d", "d" * 700)
      expect(%w[a b c d].select { |key| small.exists?(key) }).to eq(%w[a c d])
    end

    it "is freed by what runs have used least recently, also if they use many entries at once" do
      now = Time.now
      allow(Time).to receive(:now) { now }
      pipeline = Flowline.define(name: "many", cache: cache) { |p| 9.times { |n| p.step(:"s#{n}", cache: true) { n } } }
      pipeline.run
      unused = cache.entries.first[:key]
      cache.set("other", 1)
      now += 100
      expect(pipeline.run.steps.map(&:status).uniq).to eq([:cached])
      expect(cache.entries.reject { |entry| entry[:used_at].to_i == now.to_i }.map { |entry| entry[:key] }).to eq(["other"])
      expect(unused).to start_with("many/s0/")
    end

    it "is freed by a guess where the use of an entry cannot be recorded: a run does not wait for that" do
      now = Time.now
      allow(Time).to receive(:now) { now }
      filed = pipeline { 1 }
      filed.run(cache: cache)
      now += 100
      ready, tell = IO.pipe
      child { Processes.database(@path) { |db| db.execute("BEGIN IMMEDIATE") && tell.write(".") && sleep } }
      expect(ready.wait_readable(10)).to be_truthy
      result = filed.run(cache: cache, timeout: 5)
      expect([result[:work].status, result[:work].output, result.warnings]).to eq([:cached, 1, []])
    end

    it "is freed by removing expired entries and unreferenced files" do
      cache.set("old", large, ttl: 1)
      cache.set("new", "#{large}y")
      now = Time.now + 10
      allow(Time).to receive(:now).and_return(now)
      cache.set("newer", "#{large}z")
      described_class.new(@path).set("first of another", 1)
      expect([blobs.size, cache.entries.map { |entry| entry[:key] }]).to eq([2, ["first of another", "new", "newer"]])
    end

    it "is freed by many processes that write little" do
      5.times { |n| described_class.new(@path, max_bytes: 1000).set(n, "x" * 9) && described_class.new(@path, max_bytes: 1000).set("#{n}!", "x" * 500) }
      described_class.new(@path, max_bytes: 1000).set("last", 1)
      expect(cache.entries.sum { |entry| entry[:size] }).to be <= 1100
    end
  end

  describe "a directory that cannot be used" do
    it "fails no step and causes a warning", unless: Process.uid.zero? do
      FileUtils.mkdir_p(@path)
      File.chmod(0o500, @path)
      result = pipeline { 1 }.run(cache: cache)
      expect([result[:work].status, result.warnings.empty?]).to eq([:succeeded, false])
    end

    it "fails no step when it is a file" do
      File.write(@path, "in the way")
      result = pipeline { 1 }.run(cache: cache)
      expect([result[:work].status, result[:work].output, result.warnings]).to match([:succeeded, 1, [/\Acache Flowline::Cache::File: /, /not cached/]])
    end

    it "fails no step when the disk is full", if: Process.uid.zero? do
      FileUtils.mkdir_p(@path)
      skip("no tmpfs here") unless system("mount", "-t", "tmpfs", "-o", "size=200k,mode=700", "tmpfs", @path, err: File::NULL)
      begin
        result = pipeline { "x" * 3_000_000 }.run(cache: cache)
        expect([result[:work].status, result.warnings]).to match([:succeeded, [/not cached: .*full/i]])
      ensure
        system("umount", "-l", @path)
      end
    end
  end

  it "is readable by its owner only" do
    cache.set("k", large)
    expect([@path, File.join(@path, "flowline.blobs")].map { |folder| File.stat(folder).mode & 0o777 }).to eq([0o700, 0o700])
  end

  describe "a dry run" do
    let(:work) { Flowline.define(name: "dry", checkpoint: false) { |p| p.step(:work, cache: true) { "x" * 300_000 } } }

    def plan(cache) = work.run(cache: cache, dry_run: true)[:work].action

    it "creates no cache" do
      expect(plan(described_class.new(@path))).to eq(:run)
      expect(File.exist?(@path)).to be(false)
    end

    it "reads no entry and removes no damaged one" do
      work.run(cache: cache)
      used = cache.entries
      allow(Time).to receive(:now).and_return(Time.now + 3600)
      expect([plan(described_class.new(@path)), cache.entries]).to eq([:reuse, used])
      File.write(blobs.first, "damaged")
      expect([plan(described_class.new(@path)), cache.entries]).to eq([:run, used])
    end

    it "does not change a cache in memory" do
      memory = Flowline::Cache::Memory.new
      work.run(cache: memory)
      memory.set("later", 1)
      entries = memory.instance_variable_get(:@entries)
      before = entries.keys
      actions = [plan(memory)]
      entries[before.first] = ["damaged", nil]
      actions << plan(memory)
      expect([actions, entries.keys]).to eq([%i[reuse run], before])
    end
  end

  it "creates parent directories" do
    deep = described_class.new(File.join(@path, "x/y"))
    deep.set("k", 1)
    expect([deep.get("k"), File.stat(deep.path).mode & 0o777]).to eq([1, 0o700])
    Flowline.config.root = File.join(@path, "store")
    described_class.new.set("k", 1)
    expect([File.stat(Flowline.config.root).mode & 0o777, File.exist?(File.join(Flowline.config.root, ".gitignore"))]).to eq([0o700, true])
  ensure
    Flowline.config.root = nil
  end

  it "refuses a directory that others can write to" do
    FileUtils.mkdir(@path)
    File.chmod(0o770, @path)
    expect { cache.set("k", 1) }.to raise_error(Flowline::CacheError, /#{@path} can be written by others.*chmod 700 it\z/)
    File.chmod(0o700, @path)
    cache.set("k", large)
    File.chmod(0o777, File.join(@path, "flowline.blobs"))
    code = "require 'flowline'; Flowline::Cache::File.new(ARGV[0]).get('k')"
    output = IO.popen([RbConfig.ruby, "-I#{File.expand_path("../../lib", __dir__)}", "-e", code, @path], err: %i[child out], &:read)
    expect(output).to match(/flowline.blobs that can be written by others.*CacheError/)
  end

  it "stores no secret" do
    secret = Flowline.define(name: "secret", checkpoint: false) do |p|
      p.param(:token, secret: true)
      p.step(:work, cache: true) { |ctx| { token: ctx[:token] } }
    end
    secret.run(cache: cache, token: "hunter2hunter2")
    cache.set("k", 1)
    expect(Dir[File.join(@path, "**", "*")].select { |file| File.file?(file) && File.binread(file).include?("hunter2") }).to eq([])
  end

  describe "the command line" do
    def flowline(*arguments)
      Processes.flowline("cache", "--dir", @path, *arguments)
    end

    before do
      %w[import/fetch/1 import/fetch/2 import/clean/1 import_all/fetch/1 other/a/1].each { |key| cache.set(key, "x" * 100) }
    end

    it "lists entries by pipeline and step" do
      code, out, = flowline
      expect([code, out.lines.size, out]).to match([0, 4, %r{^import/fetch +2 entries +\d+ bytes$}])
    end

    it "names what it does not have, and what it removed" do
      expect(flowline("--clear", "imprt")[2]).to eq("cache: nothing of imprt in #{@path}; did you mean import?\n")
      expect(flowline("--clear", "import/fech")[2]).to eq("cache: nothing of import/fech in #{@path}; did you mean import/fetch?\n")
      expect(cache.entries.size).to eq(5)
      expect(flowline("--clear", "other/a")[2]).to eq("cache: removed 1 entry\n")
      expect(flowline("--clear", "all")).to eq([0, "", "cache: removed 4 entries\n"])
      expect(flowline).to eq([0, "", "cache: nothing in #{@path}\n"])
    end

    it "clears keys that are not valid UTF-8" do
      cache.set("import/\xFF", 1)
      flowline("--clear", "import")
      expect(cache.entries.map { |entry| entry[:key] }).to eq(%w[import_all/fetch/1 other/a/1])
    end

    it "clears entries by pipeline, by step, or all of them" do
      flowline("--clear", "import/fetch")
      expect(cache.entries.map { |entry| entry[:key] }).to eq(%w[import/clean/1 import_all/fetch/1 other/a/1])
      flowline("--clear", "import")
      expect(cache.entries.map { |entry| entry[:key] }).to eq(%w[import_all/fetch/1 other/a/1])
      flowline("--clear", "all")
      expect(cache.entries).to eq([])
    end
  end
end
