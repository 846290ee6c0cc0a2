# frozen_string_literal: true

RSpec.describe "A store in a directory with files of an application" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  around do |example|
    FileUtils.mkdir_p(root)
    Dir.chdir(root) { example.run }
  ensure
    Flowline.config.root = nil
  end

  def pipeline
    Flowline.define(name: "odd") do |p|
      p.step(:a) { "a" * 300_000 }
      p.step(:b, depends_on: :a, cache: true) { |_| "b" * 300_000 }
      p.step(:c, depends_on: :b) { |_| raise "down" }
    end
  end

  # Content, mode and time of everything below a path.
  def facts(*paths)
    files = paths.flat_map { |path| [path, *Dir.glob("#{path}/**/*", File::FNM_DOTMATCH)] }.reject { |file| file.end_with?("/.") }
    files.to_h do |file|
      stat = File.lstat(file)
      [file, [stat.mode, stat.mtime, stat.ino, File.symlink?(file) ? File.readlink(file) : stat.file? && File.binread(file)]]
    end
  end

  def application
    %w[blobs cache].each { |folder| FileUtils.mkdir_p("#{root}/#{folder}", mode: 0o755) }
    names = ["photo.jpg", "0" * 64, "f" * 64, "#{"a" * 64}.blob", "0000000000000001.part", ".gitignore"]
    names.each { |name| File.write("#{root}/blobs/#{name}", "of the application: #{name}") }
    %w[lock cache/data cache/flowline].each { |name| File.write("#{root}/#{name}", "of the application") }
    Dir.glob("#{root}/{blobs,cache}/*").each { |file| File.chmod(0o644, file) && File.utime(1, 1, file) }
    File.chmod(0o640, "#{root}/lock")
    File.utime(1, 1, "#{root}/lock", "#{root}/blobs")
    %w[blobs lock cache/data cache/flowline].map { |name| "#{root}/#{name}" }
  end

  # Everything that writes, sweeps or clears.
  def use_all
    cache = Flowline::Cache::File.new
    2.times { pipeline.run(resume: true, cache: cache) }
    elsewhere { pipeline.run(resume: true, cache: Flowline::Cache::File.new) && nil }
    flowline("cache", "--clear", "all")
    cache.clear
    Flowline::Checkpoint.list.each(&:delete)
    pipeline.run(cache: cache)
  end

  { "config.root": ->(root) { Flowline.config.root = root }, FLOWLINE_ROOT: ->(_) {} }.each do |what, set|
    it "touches none of them: neither content nor mode nor time (#{what})" do
      set.call(root)
      before = facts(*application)
      use_all
      expect(facts(*before.keys.select { |path| File.dirname(path) == root || path.start_with?("#{root}/cache/") })).to eq(before)
      expect(Dir.glob("#{root}/flowline.*").map { |file| File.basename(file) }).to include("flowline.db", "flowline.lock", "flowline.blobs")
    end
  end

  it "touches no unknown name in flowline.blobs either" do
    pipeline.run
    names = ["x", "0" * 64, "#{"A" * 64}.blob", "0.part", "000000000000000G.part", "#{"0" * 63}.blob"]
    names.each { |name| File.write("#{root}/flowline.blobs/#{name}", name) }
    before = facts(*names.map { |name| "#{root}/flowline.blobs/#{name}" })
    use_all
    expect(facts(*before.keys)).to eq(before)
  end

  it "refuses a flowline.blobs that is a link, and leaves what it leads to as it is" do
    FileUtils.mkdir_p("#{root}/elsewhere", mode: 0o755)
    ["x", "#{"0" * 64}.blob", "0000000000000001.part"].each { |name| File.write("#{root}/elsewhere/#{name}", name) }
    File.symlink("elsewhere", "#{root}/flowline.blobs")
    before = facts("#{root}/elsewhere", "#{root}/flowline.blobs")
    expect { pipeline.run }.to raise_error(Flowline::StoreError, /has a flowline.blobs that is no directory of its own; remove it/) { |error| expect(error.kind).to eq(:unsafe) }
    expect(facts("#{root}/elsewhere", "#{root}/flowline.blobs")).to eq(before)
    File.delete("#{root}/flowline.blobs")
    expect(pipeline.run[:a].status).to eq(:succeeded)
  end

  %w[flowline.lock flowline.db].each do |name|
    it "refuses a #{name} that is a link, and leaves what it leads to as it is" do
      FileUtils.mkdir_p(root)
      File.write("#{root}/other", "pid 12", perm: 0o644)
      File.symlink("other", "#{root}/#{name}")
      before = facts("#{root}/other", "#{root}/#{name}")
      expect { pipeline.run }.to raise_error(Flowline::StoreError, /has a #{name} that is a link to another file; remove it/)
      expect(facts("#{root}/other", "#{root}/#{name}")).to eq(before)
    end
  end

  it "refuses a flowline.blobs that became a link while the store was in use" do
    pipeline.run
    FileUtils.mkdir_p("#{root}/elsewhere", mode: 0o755)
    File.rename("#{root}/flowline.blobs", "#{root}/moved")
    File.symlink("elsewhere", "#{root}/flowline.blobs")
    expect { pipeline.run }.to raise_error(Flowline::StoreError, /flowline.blobs/)
    expect(Dir.children("#{root}/elsewhere")).to be_empty
  end

  it "is .flowline in the working directory when FLOWLINE_ROOT is empty" do
    ENV["FLOWLINE_ROOT"] = ""
    pipeline.run
    expect(Dir.children(root)).to contain_exactly(".flowline")
    expect(flowline("history")[1].lines.size).to eq(1)
  end
end
