# frozen_string_literal: true

RSpec.describe "A process that ends while it finishes a run with large outputs" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  let(:script) { <<~RUBY }
    changes = %i[create write truncate sync rename unlink]
    large = ->(name) { (name * 300_000).slice(0, 300_000) }
    other = Flowline.define(name: "other") do |p|
      p.step(:shared) { large["shared"] }
      p.step(:own, depends_on: :shared) { |_| large["own"] }
      p.step(:down, depends_on: :own) { |_| raise "down" }
    end
    other.run
    store = File.realpath(ENV["FLOWLINE_ROOT"])
    strike[:count, changes, store, call: -1] # From here on the shim knows the files that a process opens there.
    define = lambda do |n, broken|
      Flowline.define(name: "large") do |p|
        p.step(:shared) { large["shared"] }
        p.step(:b, depends_on: :shared) { |_| large["b"] }
        p.step(:c, depends_on: :b) { |_| large["c"] }
        p.step(:last, depends_on: :c) { |_| strike[:kill_before, changes, store, call: n - 1] if n > 0; broken ? raise("down") : :last }
      end
    end
    expected = { shared: large["shared"], b: large["b"], c: large["c"] }
    outputs = ->(name) { c = Flowline::Checkpoint.latest(name); c ? c.step_names.to_h { |s| [s, c.output(s)] } : {} }
    deaths = 0
    [false, true].each do |broken|
      (1..400).each do |n|
        _, status = Process.wait2(fork { define[n, broken].run; exit!(0) })
        run = Flowline::Store.existing(ENV["FLOWLINE_ROOT"]).runs("large", 1).first
        found = outputs["large"]
        found.delete(:last)
        gone = run.status == "succeeded" ? {} : expected
        abort "\#{broken} at \#{n}: \#{run.status}, has \#{found.keys}" unless found == gone
        abort "\#{broken} at \#{n}: the other lost outputs" unless outputs["other"].values_at(:shared, :own) == [large["shared"], large["own"]]
        break if status.exitstatus == 0
        abort "ended with \#{status}" unless status.termsig == Signal.list["KILL"]
        deaths += 1
      end
    end
    define[0, false].run!
    blobs = Dir.glob(File.join(ENV["FLOWLINE_ROOT"], "flowline.blobs", "*")).size
    puts "died \#{deaths} times, \#{blobs} files"
  RUBY

  it "loses no acknowledged output, nor any of another run, whichever of its changes to files is the last" do
    output, status = faulty_ruby(script, FLOWLINE_ROOT: root, FLOWLINE_EXECUTOR: "sequential")
    expect(status.exitstatus).to eq(0), output
    expect(output).to match(/\Adied (\d{2,}) times, 2 files\n\z/)
    expect(sql("PRAGMA integrity_check")).to eq([["ok"]])
  end
end
