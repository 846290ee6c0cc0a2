# frozen_string_literal: true

# The cost of recording outputs, of resuming from them, and of running a pipeline of which all steps are cached. The floor
# is SQLite itself, through the sqlite3 gem, on the same disk and with the same bytes.
require_relative "support/measure"
require "fileutils"
require "flowline"
require "rbconfig"
require "sqlite3"
require "tmpdir"

FOLDER = Dir.mktmpdir("flowline-benchmark")
at_exit { FileUtils.rm_rf(FOLDER) }

# A bare database in WAL mode.
def bare(name, synchronous)
  database = SQLite3::Database.new(File.join(FOLDER, name))
  database.execute("PRAGMA journal_mode = WAL")
  database.execute("PRAGMA synchronous = #{synchronous}")
  database.execute("CREATE TABLE outputs (name TEXT PRIMARY KEY, bytes BLOB)")
  database
end

def insert(database)
  statement = database.prepare("INSERT INTO outputs VALUES (?, ?)")
  number = 0
  lambda do |count, bytes|
    blob = SQLite3::Blob.new(bytes)
    count.times do
      statement.bind_params("step_#{number += 1}", blob)
      statement.step
      statement.reset!
    end
  end
end

store = Flowline::Store.at(File.join(FOLDER, "store"))
run = store.begin_run(Flowline::Store::Run.new(run_id: "run", pipeline: "benchmark", identity: "identity", pid: Process.pid,
                                               host: Flowline::Store.host, started: 0.0), store.lock)
number = 0 # Rows are new ones: SQLite writes no page for a row that stays the same.
record = lambda do |count, bytes, durable|
  count.times do
    n = number += 1
    name = "step_#{n}"
    step = [run.id, n, name, "succeeded", nil, 1, 0.1, 0.1] # As a run makes them: see `Recording::Rows`.
    output = [run.checkpoint, name, nil, "succeeded", "imprint", "run/#{n}", ""]
    store.record([[step, output]], bytes, durable: durable)
  end
end

small = Marshal.dump({ id: 1, name: "a small output", values: [1, 2, 3] })
{ process: ["NORMAL", 2000, 2], power: ["FULL", 200, 1.3] }.each do |durability, (synchronous, count, limit)|
  floor = insert(bare("#{durability}.db", synchronous))
  times = Measure.times({ bare: -> { floor.call(count, small) }, flowline: -> { record.call(count, small, durability == :power) } }, per: count)
  Measure.heading "Recording a small output, durability: #{durability.inspect}"
  Measure.row("a step and its output", times[:flowline] * 1e6, "µs", than: ["SQLite insert", times[:bare] * 1e6],
                                                                     ratio: times.ratio(:flowline, :bare), most_times: limit)
end

# Both write bytes that are new into a file that is new. Otherwise the time is that of the file system, which frees the pages of
# the old file, and writes the new ones to the disk at once: that is how ext4 treats a file that replaces another.
large = Random.new(1).bytes(100 << 20)
file = File.join(FOLDER, "large")
renew = lambda do
  FileUtils.rm_f(file)
  store.forget(run, [["step_#{number}", -1, -1]])
  large = large.dup
  large.setbyte(0, (large.getbyte(0) + 1) % 256)
  large.freeze
end
times = Measure.times({ bare: -> { File.binwrite(file, large) }, flowline: -> { record.call(1, large, false) } }, rounds: 9, before: renew)
Measure.heading "Recording 100 MB"
Measure.row("a step and its output", times[:flowline] * 1e3, "ms", than: ["File.binwrite", times[:bare] * 1e3],
                                                                   ratio: times.ratio(:flowline, :bare), most_times: 1.5)

COUNT = 10_000
Flowline.configure { |config| config.root = File.join(FOLDER, "resume") }
pipeline = Flowline.define(name: "many") do |p|
  COUNT.times { |n| p.step(:"step_#{n}") { { id: n, values: [n, n + 1] } } }
  p.step(:last, depends_on: :"step_#{COUNT - 1}") { |_| raise "never" }
end
pipeline.run
rows = bare("rows.db", "NORMAL")
rows.transaction do
  COUNT.times do |n|
    rows.execute("INSERT INTO outputs VALUES (?, ?)", ["step_#{n}", SQLite3::Blob.new(Marshal.dump({ id: n, values: [n, n + 1] }))])
  end
end
# rubocop:disable Security/MarshalLoad
read = -> { rows.execute("SELECT name, bytes FROM outputs").to_h.transform_values { |bytes| Marshal.load(bytes) } }
# rubocop:enable Security/MarshalLoad
times = Measure.times({ bare: read, flowline: -> { pipeline.run(resume: true) } }, per: COUNT, rounds: 7)
Measure.heading "Resuming a run of #{COUNT} recorded steps"
Measure.row("a step", times[:flowline] * 1e6, "µs", than: ["SQLite + Marshal.load", times[:bare] * 1e6], ratio: times.ratio(:flowline, :bare),
                                                    most_times: 3)

Flowline.configure { |config| config.root = File.join(FOLDER, "exclusive") }
single = Flowline.define(name: "single") { |p| p.step(:a) { 1 } }
calls = ->(**options) { -> { 50.times { single.run(**options) } } }
times = Measure.times({ plain: calls[], exclusive: calls[exclusive: true], resume: calls[resume: true] }, per: 50)
Measure.heading "Running a step that excludes other runs"
Measure.row("exclusive: true", times[:exclusive] * 1e6, "µs", than: ["run", times[:plain] * 1e6], ratio: times.ratio(:exclusive, :plain),
                                                              most_times: 1.3)
Measure.row("resume: true, nothing to resume", times[:resume] * 1e6, "µs", than: ["run", times[:plain] * 1e6], ratio: times.ratio(:resume, :plain))

script = File.join(FOLDER, "cached.rb")
File.write(script, <<~RUBY)
  cache = Flowline::Cache::File.new(#{File.join(FOLDER, "cache").inspect})
  Flowline.define(name: "cached", cache: cache) { |p| #{COUNT}.times { |n| p.step(:"step_\#{n}", cache: true) { n } } }
RUBY
LIB = File.expand_path("../lib", __dir__)
ALONE = { "RUBYOPT" => nil, "RUBYLIB" => nil, "BUNDLE_GEMFILE" => nil, "FLOWLINE_ROOT" => File.join(FOLDER, "cli") }.freeze
ruby = ->(*arguments) { system(ALONE, RbConfig.ruby, *arguments, exception: true, err: File::NULL) }
flowline = -> { ruby.call("-I", LIB, File.expand_path("../exe/flowline", __dir__), "run", script, "--quiet") }
flowline.call
times = Measure.times({ bare: -> { ruby.call("-e", "") }, flowline: flowline }, rounds: 5)
Measure.heading "`flowline run` of #{COUNT} cached steps"
Measure.row("what it adds to Ruby's start", times[:flowline] - times[:bare], "s", than: ["ruby -e ''", times[:bare]], most: 0.5)
