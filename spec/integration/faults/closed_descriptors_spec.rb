# frozen_string_literal: true

RSpec.describe "A run whose step closes descriptors of the store's files", executor: :in_process do
  let(:folder) { "#{ENV.fetch("FLOWLINE_ROOT")}.closing" }
  let(:root) { "#{folder}/.flowline" }
  let!(:came) { IO.pipe }
  let!(:goes) { IO.pipe }

  before { FileUtils.mkdir_p(folder) }
  after { FileUtils.rm_rf(folder) }

  def pipeline(&block)
    Flowline.define(name: "closing") do |p|
      p.step(:a) { "a" * 300_000 }
      p.step(:b, depends_on: :a) { |_| block&.call }
      p.step(:c, depends_on: :b) { |_| [came[1].syswrite("."), goes[0].sysread(1)] && :c }
      p.step(:d, depends_on: :c) { |_| raise "down" }
    end
  end

  def resume
    Flowline.config.root = root
    pipeline.run(resume: true)
  end

  {
    "opens, reads and closes every file below the working directory": lambda do
      files = Dir.glob("**/*", File::FNM_DOTMATCH).select { |file| File.file?(file) }
      raise "the store is not there" unless files.include?(".flowline/flowline.db")

      files.each { |file| File.binread(file) }
    end,
    "opens the database by another SQLite": lambda do
      Processes.database(".flowline") { |db| db.execute("SELECT count(*) FROM runs") && nil }
    end
  }.each do |what, work|
    it "stays running for others, is not resumed elsewhere, and ends as it should: #{what}" do
      run = child do
        Dir.chdir(folder) && Flowline.config.root = nil
        ENV.delete("FLOWLINE_ROOT")
        pipeline(&work).run.status
      end
      came[0].wait_readable(Processes::LIMIT) && came[0].read(1)
      expect(flowline("status", "--root", root)[1]).to match(/^closing +running /)
      expect { elsewhere { resume } }.to raise_error(/LockedError.* alive in process #{run.pid}/)
      goes[1].syswrite(".")
      expect(run.value).to eq(:failed)
      expect(flowline("status", "--root", root)[1]).to match(/^closing +failed /)
      expect(sql("PRAGMA integrity_check", root: root)).to eq([["ok"]])
      outcomes = elsewhere do
        Flowline.config.root = root
        pipeline(&work).run(resume: true).steps.to_h { |step| [step.name, step.status] }
      end
      expect(outcomes).to eq(a: :restored, b: :restored, c: :restored, d: :failed)
    end
  end
end
