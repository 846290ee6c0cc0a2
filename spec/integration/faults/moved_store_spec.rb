# frozen_string_literal: true

RSpec.describe "A store that is taken away during a run", executor: :in_process do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }
  let(:log) { [] }

  def pipeline(size, change)
    log = self.log
    Flowline.define(name: "moved") do |p|
      p.step(:a) { log << :a }
      p.step(:b, depends_on: :a) do |_|
        log << :b
        change&.call(ENV.fetch("FLOWLINE_ROOT"))
        "b" * size
      end
      p.step(:c, depends_on: :b) { |_| log << :c }
      p.step(:always, depends_on: :c, run_if: :always) { |_| :always }
    end
  end

  other = lambda do |root|
    Process.wait(fork do
      Flowline.config.root = "#{root}.other"
      Flowline.define(name: "other") { |p| p.step(:x) { 1 } }.run
      exit!(0)
    end)
  end

  {
    removed: ->(root) { FileUtils.rm_rf(root) },
    "moved away": ->(root) { File.rename(root, "#{root}.moved") },
    "replaced by another": lambda do |root|
      other.call(root)
      File.rename(root, "#{root}.moved")
      File.rename("#{root}.other", root)
    end,
    "replaced by an empty directory": lambda do |root|
      File.rename(root, "#{root}.moved")
      Dir.mkdir(root, 0o700)
    end,
    "robbed of its database": ->(root) { File.rename("#{root}/flowline.db", "#{root}.moved") },
    "robbed of its lock file": ->(root) { File.rename("#{root}/flowline.lock", "#{root}.moved") },
    "given another database": lambda do |root|
      other.call(root)
      File.rename("#{root}.other/flowline.db", "#{root}/flowline.db")
    end
  }.each do |what, change|
    { small: 10, large: 300_000 }.each do |size, bytes|
      it "ends the run at its next record, of a #{size} output, when it is #{what}" do
        expect { pipeline(bytes, change).run }.to raise_error(Flowline::StoreError, /#{root}: was removed, moved or replaced while it was in use/) do |error|
          expect(error.kind).to eq(:gone)
        end
        expect(log).to eq(%i[a b])
        log.clear
        expect(pipeline(bytes, nil).run.status).to eq(:succeeded)
        expect(log).to eq(%i[a b c])
        expect(flowline("status", "--root", root)[1]).to match(/^moved +succeeded /)
        expect(sql("PRAGMA integrity_check")).to eq([["ok"]])
      ensure
        FileUtils.rm_rf(Dir.glob("#{root}.*"))
      end
    end
  end
end
