# frozen_string_literal: true

RSpec.describe "A row of the store that was changed", executor: :in_process do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  def pipeline(name = "rows")
    Flowline.define(name: name) do |p|
      p.param(:day, type: :string, default: "none")
      p.step(:a) { |ctx| [:a, ctx[:day]] }
      p.step(:items, depends_on: :a) { |_| [1, 2] }
      p.step(:each, each: :items) { |n| n == 2 ? raise("two") : n }
      p.step(:large, depends_on: :a) { |_| "x" * 300_000 }
      p.step(:b, depends_on: %i[each large]) { |*| raise "down" }
    end
  end

  # What resuming comes to: the params of the run and what it restored; or the kind of its error.
  def resume(params = {})
    given = nil
    p = pipeline
    result = p.run(resume: true, on_error: :continue, reporter: ->(event) { given ||= event.context[:day] if event.respond_to?(:context) }, **params)
    restored = result.steps.select { |step| step.status == :restored }.to_h { |step| [step.name, step.output] }
    [given || result[:a].output&.last, restored]
  rescue Flowline::Error => e
    e.respond_to?(:kind) ? e.kind : e.class
  end

  # Changes a copy of the store in many ways, and looks each time what comes of it.
  # @return [Array] what the block returns, for each change
  def after_each(changes, anew: true, &look)
    slices = changes.each_slice([changes.size.fdiv(2).ceil, 1].max).with_index.map do |slice, number|
      child do
        require "sqlite3"
        ENV["FLOWLINE_ROOT"] = place = "#{copy}.#{number}"
        FileUtils.cp_r(copy, place)
        slice.map do |change|
          FileUtils.rm_rf(place) && FileUtils.cp_r(copy, place) if anew
          Process.wait(fork { Processes.database(place) { |db| db.execute("PRAGMA wal_checkpoint") && change.call(db) } && exit!(0) })
          look.call
        end
      ensure
        FileUtils.rm_rf(place)
      end
    end
    slices.flat_map { |slice| slice.value(120) } # Each change takes a copy of the store, and a child.
  end

  def copy_of_failed_run
    pipeline.run(day: "7", on_error: :continue)
    "#{root}.copy".tap { |copy| FileUtils.cp_r(root, copy) }
  end

  let!(:copy) { copy_of_failed_run }

  after { FileUtils.rm_rf(copy) }

  it "never makes a run resume with other params, whichever bit of them is flipped" do
    bytes = sql("SELECT params FROM runs").dig(0, 0)
    expect(bytes).to include("7")
    changes = Array.new(bytes.bytesize * 8) do |bit|
      flipped = bytes.b
      flipped.setbyte(bit / 8, flipped.getbyte(bit / 8) ^ (1 << (bit % 8)))
      ->(db) { db.execute("UPDATE runs SET params = ?", [SQLite3::Blob.new(flipped)]) }
    end
    found = after_each(changes, anew: false) { resume }
    expect(found).to eq([:damaged] * changes.size)
  end

  it "never makes a run restore or resume something else, whichever other column is changed" do
    columns = sql("SELECT 'runs', name FROM pragma_table_info('runs') UNION ALL SELECT 'records', name FROM pragma_table_info('records')")
    values = ["COL + 1", "COL || 'x'", "x'ff' || CAST(COL AS BLOB)"]
    changes = columns.product(values).map do |(table, column), value|
      lambda do |db|
        db.execute("UPDATE OR IGNORE #{table} SET #{column} = #{value.gsub("COL", column)}")
      rescue SQLite3::Exception
        nil # A constraint forbids it.
      end
    end
    good = resume_of_copy
    found = after_each(changes) { [resume, resume(day: "7")] }
    columns.product(values).zip(found) do |change, (adopted, given)|
      [adopted, given].each do |answer|
        expect(harmless?(answer, good)).to be(true), "#{change}: #{answer}"
      end
    end
  end

  def resume_of_copy
    after_each([->(_) {}]) { resume(day: "7") }.first
  end

  # An error by name; or a run with these params, or with those of a run from the beginning, that restored nothing
  # that was not recorded.
  def harmless?(answer, good)
    return %i[damaged other].include?(answer) if answer.is_a?(Symbol)

    answer.is_a?(Array) && ["7", "none"].include?(answer[0]) && answer[1].all? { |name, output| good[1][name] == output } &&
      (answer[0] == good[0] || answer[1].empty?)
  end

  it "never ends the command line by an error of Ruby's" do
    tables = sql("SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.name IN ('runs', 'steps', 'records')")
    changes = tables.product(["x'00ff'", "-5"]).map do |(table, column), value|
      lambda do |db|
        db.execute("UPDATE OR IGNORE #{table} SET #{column} = #{value}")
      rescue SQLite3::Exception
        nil # A constraint forbids it.
      end
    end
    found = after_each(changes) do
      [%w[status], %w[history]].map do |arguments|
        Processes.flowline(*arguments).first
      rescue StandardError => e
        "#{e.class}: #{e.message}"
      end + [begin
        Flowline::Checkpoint.list.each { |checkpoint| checkpoint.step_names.each { |name| checkpoint.output(name) } } && 0
      rescue Flowline::Error
        1
      rescue StandardError => e
        "#{e.class}: #{e.message}"
      end]
    end
    tables.product(["x'00ff'", "-5"]).zip(found) { |change, codes| expect([change, codes]).to match([change, all(be_between(0, 2))]) }
  end
end
