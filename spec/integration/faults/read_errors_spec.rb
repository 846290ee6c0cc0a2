# frozen_string_literal: true

RSpec.describe "A large output that cannot be read for a moment" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  def pipeline
    Flowline.define(name: "reading") do |p|
      p.step(:a) { "a" * 300_000 }
      p.step(:b, depends_on: :a) { |_| raise "down" }
    end
  end

  def blobs
    Dir.glob("#{root}/flowline.blobs/*.blob")
  end

  # @return [Symbol] the kind of the error, or how the step ended
  def resume
    pipeline.run(resume: true)[:a].status
  rescue Flowline::StoreError => e
    e.kind
  end

  # Resumes with that many descriptors to spare, or fewer; then with enough.
  # @return [Array<Array>] for each number, what came of both
  def resume_with_few_descriptors(most)
    Array.new(most) do |spare|
      elsewhere do
        before = Process.getrlimit(:NOFILE)
        pipeline.validate!
        Flowline::Loading.of(Flowline::Planning) # Ruby loads no file without a descriptor.
        highest = Dir.children("/proc/self/fd").map(&:to_i).max
        filling = [File.open(File::NULL)]
        filling << File.open(File::NULL) until filling.last.fileno > highest # No number below is free.
        Process.setrlimit(:NOFILE, filling.last.fileno + 1 + spare, before.last)
        first = resume
        Process.setrlimit(:NOFILE, *before)
        [first, resume]
      end
    end
  end

  it "is a StoreError and not deleted when no descriptor is left, whenever that is", executor: :in_process do
    pipeline.run
    found = resume_with_few_descriptors(10)
    expect(blobs.size).to eq(1)
    expect(found.map(&:first).uniq - [:denied]).to contain_exactly(:descriptors, :restored)
    expect(found.map(&:last)).to eq([:restored] * 10)
  end

  it "is an error about descriptors whenever none is left", executor: :in_process do
    pipeline.run
    expect(resume_with_few_descriptors(10).map(&:first).uniq).to contain_exactly(:descriptors, :restored)
  end

  it "is a StoreError and not deleted when it is not permitted", executor: :in_process do
    answer = elsewhere do
      Process::UID.change_privilege(65_534) if Process.uid.zero?
      Dir.mktmpdir do |folder|
        Flowline.config.root = "#{folder}/store"
        pipeline.run
        blob, = Dir.glob("#{folder}/store/flowline.blobs/*.blob")
        File.chmod(0, blob)
        denied = resume
        looked = begin
          Flowline::Checkpoint.latest("reading").output(:a)
        rescue Flowline::StoreError => e
          e.kind
        end
        there = File.exist?(blob)
        File.chmod(0o600, blob)
        [denied, looked, there, resume]
      end
    end
    expect(answer).to eq([:denied, :denied, true, :restored])
  end

  it "is a StoreError with words of its own when the device fails or too many files are open" do
    pipeline.run
    { 5 => /the device failed \(.*check the disk/, 24 => /too many files are open \(.*ulimit -n/, 12 => /no memory is left/ }.each do |errno, words|
      output, status = faulty_ruby(<<~RUBY, FLOWLINE_ROOT: root)
        strike[:fail, [:open], File.join(File.realpath(ENV["FLOWLINE_ROOT"]), "flowline.blobs"), errno: #{errno}]
        Flowline.define(name: "reading") { step(:a) { "a" * 300_000 }; step(:b, depends_on: :a) { |_| raise "down" } }.run(resume: true)
      RUBY
      expect([status.success?, output]).to match([false, words])
    end
    expect(blobs.size).to eq(1)
    expect(resume).to eq(:restored)
  end

  it "is a StoreError with words of its own when the database cannot be read" do
    pipeline.run
    output, = faulty_ruby(<<~RUBY, FLOWLINE_ROOT: root)
      strike[:fail, [:read], File.realpath(ENV["FLOWLINE_ROOT"]), errno: 5]
      Flowline::Checkpoint.list
    RUBY
    expect(output).to match(/the device failed \(.*check the disk/)
    expect(resume).to eq(:restored)
  end
end

RSpec.describe "A cache that cannot be read for a moment" do
  it "keeps its entries, and says that the device has failed, whichever read of it fails" do
    output, status = faulty_ruby(<<~RUBY, FLOWLINE_ROOT: ENV.fetch("FLOWLINE_ROOT"))
      path = File.join(ENV["FLOWLINE_ROOT"], "cache")
      Process.wait(fork { Flowline::Cache::File.new(path).set("k", "kept") && exit!(0) })
      50.times do |call|
        Process.wait(fork do
          strike[:fail, %i[read], File.realpath(path), errno: Errno::EIO::Errno, call: call, repeat: false]
          puts(Flowline::Cache::File.new(path).get("k") || "lost")
        rescue Flowline::CacheError => e
          puts(e.message[/the device failed/] || e.message)
        ensure
          $stdout.flush
          exit!(0)
        end)
      end
      puts Flowline::Cache::File.new(path).get("k"), *Dir.children(path).grep(/damaged/)
    RUBY
    expect(status.exitstatus).to eq(0), output
    expect(output.lines(chomp: true).uniq).to contain_exactly("kept", "the device failed")
    expect(output.lines.last.chomp).to eq("kept")
  end
end
