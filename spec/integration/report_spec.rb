# frozen_string_literal: true

require "stringio"

RSpec.describe "ctx.report" do
  def numbers(executor = :sequential, **options, &definition)
    Flowline.define(&definition).run!(executor: executor, **options).steps.to_h { |step| [step.name, step.report] }
  end

  %i[sequential parallel process].each do |executor|
    it "keeps the numbers of a step, the later ones of a name, from any thread of the step, under :#{executor}" do
      expect(numbers(executor) do
        step(:load) do |ctx|
          ctx.report(rows: 1, skipped: 2.5)
          Thread.new { ctx.report(rows: 3) }.join
          nil
        end
        step(:isolated, isolate: :process) { |ctx| ctx.report(rows: 4) }
        step(:after, depends_on: :load) { |_, context:| context.report(more: 5) }
        step(:silent) { |ctx| ctx.params }
      end).to eq(load: { rows: 3, skipped: 2.5 }, isolated: { rows: 4 }, after: { more: 5 }, silent: {})
    end

    it "adds up the numbers of items, and of the last attempt of each, under :#{executor}" do
      expect(numbers(executor, reporter: ->(_) {}) do
        step(:list) { [1, 2, 3] }
        step(:map, each: :list, retries: 1, retry_delay: 0, concurrency: 2) do |number, ctx|
          ctx.report(tries: number)
          raise IOError if number == 2 && !File.exist?("#{ENV.fetch("FLOWLINE_ROOT")}-tried") && File.write("#{ENV.fetch("FLOWLINE_ROOT")}-tried", "")
        end
      end[:map]).to eq(tries: 6)
    ensure
      FileUtils.rm_f("#{ENV.fetch("FLOWLINE_ROOT")}-tried")
    end
  end

  it "is on the step's line instead of the number of records, in to_h and in a marshalled result" do
    out = StringIO.new
    result = Flowline.define { step(:load) { |ctx| ctx.report(rows: 1_234_567, ratio: 0.1234) || [1] } }.run(reporter: Flowline::Reporter::Console.new(out))
    expect(out.string).to match(/✓ load +\d\.\d\ds   rows: 1,234,567, ratio: 0\.12$/)
    expect(result.to_h[:steps].first[:report]).to eq(rows: 1_234_567, ratio: 0.1234)
    expect(Marshal.load(Marshal.dump(result))[:load].report).to eq(rows: 1_234_567, ratio: 0.1234)
  end

  it "belongs to the inner pipeline's context, too" do
    inner = Flowline.define do
      param :day
      step(:load) { |ctx| ctx.report(day: ctx[:day]) }
    end
    expect(numbers { step(:nested, inner, params: { day: 7 }) }).to eq("nested.load": { day: 7 })
  end

  it "refuses what is no number, and a context that is not a step's" do
    expect(error_of { numbers { step(:a) { |ctx| ctx.report(rows: "many") } } }.message).to include("ArgumentError: report rows: must be a number, not String (4)")
    expect(error_of { numbers { before_run { |ctx| ctx.report(rows: 1) } && step(:a) { 1 } } }.message).to include("ctx.report belongs to the ctx that the block of a step takes")
  end

  it "keeps the key of a cached step as it is" do
    cache = Flowline::Cache::Memory.new
    pipeline = Flowline.define { step(:a, cache: true) { |ctx| ctx.report(rows: 1) || 5 } }
    statuses = Array.new(2) { pipeline.run!(cache: cache)[:a] }.map { |step| [step.status, step.report] }
    expect(statuses).to eq([[:succeeded, { rows: 1 }], [:cached, {}]])
  end
end
