# frozen_string_literal: true

require "logger"

RSpec.describe Flowline::Context do
  # Returns what a step reads from its context.
  def seen(**arguments, &look)
    output_of(Flowline.define(name: "import") { |p| (p.param :date, default: "today") && p.step(:s) { |ctx| look.call(ctx) } }, :s, **arguments)
  end

  # Returns the error that a step's context raises.
  def raised
    seen do |ctx|
      yield ctx
    rescue StandardError => e
      e
    end
  end

  it "has params and the values passed as context:, by Symbol or String" do
    given = { context: { env: "test", "user" => 7 } }

    expect(seen(**given) { |ctx| [ctx[:date], ctx["date"], ctx[:env], ctx["env"], ctx[:user]] }).to eq(["today", "today", "test", "test", 7])
    expect(seen(**given, &:to_h)).to eq(date: "today", env: "test", user: 7)
    expect(seen(**given, &:params)).to eq(date: "today")
    expect(seen(**given) { |ctx| [ctx.key?(:env), ctx.key?("env"), ctx.key?(:nope), ctx.key?(nil)] }).to eq([true, true, false, false])
  end

  it "returns nil for unknown names, and raises from fetch" do
    expect(seen { |ctx| [ctx[:nope], ctx["nope"], ctx[nil], ctx[1]] }).to eq([nil, nil, nil, nil])
    expect(seen { |ctx| [ctx.fetch(:date), ctx.fetch("date"), ctx.fetch(:nope, 1), ctx.fetch("nope") { |key| key }] }).to eq(["today", "today", 1, :nope])

    error = raised { |ctx| ctx.fetch(:dat) }
    expect([error.class, error.message[/.*/], error.key]).to eq([KeyError, "the context has no dat; did you mean date?", :dat])
    expect(raised { |ctx| ctx.fetch(:zzzzz) }.message).to include("there are date")
  end

  it "distinguishes a value of nil or false from none" do
    expect(seen(context: { no: nil, off: false }) { |ctx| [ctx.fetch(:no, 1), ctx[:off], ctx.key?(:no)] }).to eq([nil, false, true])
  end

  it "describes the run" do
    before = Time.now
    run_id, name, started_at, elapsed = seen { |ctx| [ctx.run_id, ctx.pipeline_name, ctx.started_at, ctx.elapsed] }

    expect([name, started_at]).to match(["import", be_between(before, Time.now)])
    expect(elapsed).to be_between(0, Time.now - before)
    expect(seen(&:run_id)).not_to eq(run_id)
  end

  it "cannot be changed" do
    changes = [->(ctx) { ctx.params[:date] = 1 }, ->(ctx) { ctx.instance_variable_set(:@params, {}) }]

    changes.each { |change| expect(raised(&change)).to be_a(FrozenError) }
    expect(seen { |ctx| ctx.to_h.merge!(date: 1) && ctx[:date] }).to eq("today")
  end

  it "has the logger that it is given, or one of its own", executor: :in_process do
    logger = Logger.new(File::NULL)

    expect(seen(context: { logger: logger }, &:logger)).to be(logger)
    expect { seen { |ctx| ctx.logger.info("hello") } }.to output(/INFO -- import: hello/).to_stderr_from_any_process
  end

  it "refuses a value with the name of a param" do
    expect { seen(context: { date: 1 }, &:to_h) }.to raise_error(Flowline::ParamError, "context: date is a param; pass it as date:")
  end
end
