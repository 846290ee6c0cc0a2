# frozen_string_literal: true

RSpec.describe "The files of a store" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  def pipeline(name = "also")
    Flowline.define(name: name) do |p|
      p.step(:a) { "a" * 300_000 }
      p.step(:b, depends_on: :a, cache: true) { |_| "b" * 300_000 }
      p.step(:c, depends_on: :b) { |_| raise "down" }
    end
  end

  def space(folder)
    Dir.glob("#{folder}/**/*").sum { |file| File.file?(file) ? File.size(file) : 0 }
  end

  it "give the space of a cleared cache back" do
    cache = Flowline::Cache::File.new("#{root}.cache")
    cache.set("first", 1)
    before = space(cache.path)
    { small: 400, large: 10 }.each do |size, count|
      count.times { |n| cache.set("p/a/#{n}", Random.new(n).bytes(size == :small ? 20_000 : 400_000)) }
      expect(space(cache.path)).to be > before + 4_000_000
      size == :small ? flowline("cache", "--dir", cache.path, "--clear", "all") : cache.clear
      expect(space(cache.path)).to be < before + 200_000
    end
  ensure
    FileUtils.rm_rf("#{root}.cache")
  end

  it "have the mode 600, whatever the umask, those of caches and large values too", executor: :in_process do
    modes = nil
    before = File.umask(0)
    begin
      elsewhere do
        looks = Flowline.define(name: "looks") do |p|
          p.step(:a, cache: true) { "a" * 300_000 }
          p.step(:b, depends_on: :a) do |_|
            files = Dir.glob("#{root}/**/*").select { |file| File.file?(file) }
            modes = files.to_h { |file| [file.delete_prefix("#{root}/"), File.stat(file).mode & 0o777] }
          end
        end
        looks.run(cache: Flowline::Cache::File.new) && modes
      end.then { |found| modes = found }
    ensure
      File.umask(before)
    end
    expect(modes.keys).to include("flowline.db", "flowline.db-wal", "flowline.db-shm", "flowline.lock", "cache/flowline.db", "cache/flowline.lock")
    expect(modes.keys.grep(/\.blob\z/).size).to eq(2)
    expect(modes.values.uniq).to eq([0o600])
  end

  describe "on a mount that can only be read" do
    let(:mount) { Dir.mktmpdir }

    around do |example|
      skip "cannot mount" unless system("mount", "-t", "tmpfs", "-o", "size=50m,mode=700", "tmpfs", mount, err: File::NULL)
      Flowline.config.root = "#{mount}/store"
      example.run
    ensure
      Flowline.config.root = nil
      system("umount", "-l", mount, err: File::NULL)
      Dir.rmdir(mount)
    end

    { "after the last process has closed it": false, "after a process was killed": true }.each do |what, killed|
      it "can be looked at #{what}, and refuse runs by name", executor: :in_process do
        doomed = child { pipeline.run && (killed ? sleep : nil) }
        if killed
          eventually { flowline("status")[1].match?(/^also +failed /) } # This process opens nothing there.
          doomed.kill
        else
          doomed.value
        end
        expect(system("mount", "-o", "remount,ro", mount)).to be(true)
        found = elsewhere do
          Flowline::Store.instance_variable_get(:@stores).clear
          [Processes.flowline("status")[1], Processes.flowline("history")[1], pipeline.run(dry_run: true, resume: true)[:a].action,
           Flowline::Checkpoint.latest("also").output(:a).size, begin
             pipeline.run(resume: true).status
           rescue Flowline::StoreError => e
             e.kind
           end]
        end
        expect(found).to match([/^also +failed /, /^also +failed /, :restore, 300_000, :denied])
      end
    end
  end

  it "are asked as often by a resume after a hundred resumes as after one", executor: :in_process do
    p = pipeline
    p.run
    counts = Hash.new(0)
    spy = Module.new do
      (Flowline::Store::SQLite.public_instance_methods(false) - %i[path inspect]).each do |name|
        define_method(name) { |*arguments, **options, &block| (counts[name] += 1) && super(*arguments, **options, &block) }
      end
    end
    Flowline::Store.at(root).extend(spy)
    counted = Array.new(101) do
      counts.clear
      expect(p.run(resume: true)[:a].status).to eq(:restored)
      counts.dup
    end
    expect(counted.first.values.sum).to be_between(3, 20)
    expect(counted.last).to eq(counted.first)
    store = Flowline::Store.at(root)
    expect(store.enum_for(:records, store.latest("also").checkpoint, [%w[a b], ["", ""]]).count).to be <= 3
  end
end
