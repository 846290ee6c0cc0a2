# frozen_string_literal: true

require "date"
require "stringio"

RSpec.describe Flowline::Param do
  # Returns the value that a step gets of a param with these options.
  def value(given = {}, **options)
    pipeline = Flowline.define do
      param :x, **options
      step(:s) { |ctx| ctx[:x] }
    end
    output_of(pipeline, :s, **given)
  end

  describe "required:" do
    it "raises if the param is missing or nil" do
      [{}, { x: nil }, { params: {} }, { params: { x: nil } }].each do |given|
        expect { value(given, required: true) }.to raise_error(Flowline::ParamError, "param x is required")
      end
    end

    it "accepts false, a default, and params:" do
      expect(value({ x: false }, required: true)).to be(false)
      expect(value({}, required: true, default: 3)).to eq(3)
      expect(value({ params: { x: 4 } }, required: true)).to eq(4)
      expect(value({ params: { "x" => 5 } }, required: true)).to eq(5)
    end
  end

  describe "default:" do
    it "is the value if none is given, even if it is false" do
      expect([value(default: 3), value({ x: 4 }, default: 3), value(default: false)]).to eq([3, 4, false])
    end

    it "is coerced, and checked when it is declared" do
      expect(value(type: :date, default: "2024-01-31")).to eq(Date.new(2024, 1, 31))
      expect { value(type: :date, default: "soon") }.to refuse(/param x: default: must be a date .*"soon"/)
      expect { value(in: [1, 2], default: 3) }.to refuse(/param x: default: must be in \[1, 2\], not 3/)
    end

    it "is called for each run that needs it, if it has a call method" do
      calls = 0
      pipeline = Flowline.define do
        param :x, type: :integer, default: -> { (calls += 1).to_s }
        step(:s) { |ctx| ctx[:x] }
      end

      expect(calls).to eq(0)
      expect([output_of(pipeline, :s), output_of(pipeline, :s, x: 9), output_of(pipeline, :s)]).to eq([1, 9, 2])
    end

    it "has its return value checked" do
      expect { value(type: :integer, default: -> { "abc" }) }.to raise_error(Flowline::ParamError, /param x must be a whole number/)
      expect { value(required: true, default: -> {}) }.to raise_error(Flowline::ParamError, /param x is required/)
      expect { value(default: -> { raise IOError, "no disk" }) }
        .to raise_error(Flowline::ParamError, "param x has a default that failed: IOError: no disk (#{__FILE__}:#{__LINE__ - 1})")
    end
  end

  describe "in:" do
    it "shows dates as they are written" do
      expect { value({ x: "2024-01-31" }, type: :date, in: Date.new(2024, 2, 1)..Date.new(2024, 2, 29)) }
        .to raise_error(Flowline::ParamError, "param x must be in 2024-02-01..2024-02-29, not 2024-01-31")
    end

    it "accepts any object with include?, and is checked after coercion" do
      year = Date.new(2024, 1, 1)..Date.new(2024, 12, 31)
      {
        [%w[a b], :string] => %w[a c], [1..10, :integer] => %w[10 11], [1.., :integer] => ["9", "-1"], [..5, :float] => ["4.5", "5.5"],
        [year, :date] => %w[2024-06-01 2025-01-01], [..year.end, :date] => %w[2024-06-01 2025-01-01],
        [year.begin.., :date] => %w[2024-06-01 2023-01-01],
        ["a".."z", :string] => %w[b bb], [Time.at(0)..Time.at(9), :time] => [Time.at(5), Time.at(10)],
        [Class.new { def include?(number) = number.even? }.new, :integer] => [2, 3]
      }.each do |(allowed, type), (good, bad)|
        expect { value({ x: good }, type: type, in: allowed) }.not_to raise_error
        expect { value({ x: bad }, type: type, in: allowed) }
          .to raise_error(Flowline::ParamError, /\Aparam x must be in .+, not /), "#{bad} in #{allowed}"
      end
    end

    it "refuses an object without include?, and texts and modules, whose include? means something else" do
      [5, "abc", :abc, Comparable].each do |allowed|
        expect { value(in: allowed) }.to refuse(/param x: in: must be an Array, a Range or another object with `include\?`, not #{allowed.inspect}/)
      end
    end
  end

  describe "params of a run" do
    pipeline = Flowline.define do
      param :start_date, type: :date, required: true
      param :batch_size, type: :integer, default: 100
      param :mode, type: :symbol, in: %i[fast full]
      step(:s) { |ctx| ctx.to_h }
    end

    it "have all mistakes in one error, before anything runs" do
      expect { pipeline.run(batch_size: "x", mode: :slow, bogus: 1, on_error: :carry_on, context: { mode: 1 }) }
        .to raise_error(Flowline::ParamError) { |error|
          expect(error.problems).to contain_exactly(/\Aparam start_date is required/, /\Aparam batch_size must be a whole number, not "x"/,
                                                    /\Aparam mode must be in \[:fast, :full\], not :slow/, /\Aunknown param bogus/,
                                                    /\Arun: on_error: must be :stop or :continue/, /\Acontext: mode is a param; pass it as mode:/)
          expect(error.message.lines.size).to eq(7)
          expect(error.backtrace.first).to start_with("#{__FILE__}:")
        }
    end

    it "are not reported as missing because others are wrong" do
      expect { pipeline.run(start_date: "2024-01-01", on_error: :carry_on) }
        .to raise_error(Flowline::ParamError, /\Arun: on_error: must be .*\z/)
    end

    it "have a suggestion for an unknown name" do
      date = { start_date: "2024-01-01" }

      expect { pipeline.run(start_dat: "2024-01-01", **date) }.to raise_error(/\Aunknown param start_dat; did you mean start_date\?/)
      expect { pipeline.run(executr: :sequential, **date) }.to raise_error(/\Aunknown param executr; did you mean executor\?/)
      expect { pipeline.run(params: { batchsize: 1, **date }) }.to raise_error(/\Aunknown param batchsize; did you mean batch_size\?/)
    end

    it "are passed to steps as coerced values" do
      expect(output_of(pipeline, :s, start_date: "2024-01-31", batch_size: "500", mode: "fast"))
        .to eq(start_date: Date.new(2024, 1, 31), batch_size: 500, mode: :fast)
      expect(output_of(pipeline, :s, params: { "start_date" => "2024-01-31" })).to eq(start_date: Date.new(2024, 1, 31), batch_size: 100, mode: nil)
    end

    it "may have Strings as names, as in a Hash that was parsed" do
      expect(output_of(pipeline, :s, **{ "start_date" => "2024-01-31", "executor" => :parallel })).to include(start_date: Date.new(2024, 1, 31))
      expect { pipeline.run(**{ "start_date" => "2024-01-31", start_date: "2024-02-01" }) }
        .to raise_error(Flowline::ParamError, "param start_date is given twice, as a Symbol and as a String")
      expect { pipeline.run(**{ "start_date" => "2024-01-31", "\xFF" => 1 }) }.to raise_error(Flowline::ParamError, /\Aunknown param .; known are /)
    end
  end

  describe "a declaration of a param" do
    it "lists every mistake in one error" do
      expect { Flowline.define { param :x, typ: :date, requird: true, type: :dat, in: 3 } }.to raise_error(Flowline::DefinitionError) { |error|
        expect(error.problems.map(&:message))
          .to contain_exactly(/unknown option typ:; did you mean type\?/, /unknown option requird:; did you mean required\?/,
                              /unknown type :dat; did you mean date\?/, /in: must be an Array/)
        expect(error.problems.map(&:location)).to all(start_with(__FILE__))
      }
    end

    it "may have the name of an option of run, and then its value is given in params:" do
      pipeline = Flowline.define do
        param :from, type: :date, required: true
        step(:s) { |from:, ctx:| [from.to_s, ctx[:from].to_s] }
      end

      expect(output_of(pipeline, :s, params: { from: "2024-01-31" })).to eq(%w[2024-01-31 2024-01-31])
      expect(pipeline.run(params: { from: "2024-01-31" }, from: :s)).to be_success
      expect { pipeline.run(from: "2024-01-31") }
        .to raise_error(Flowline::ParamError, /param from is required; from: is the option of run, the param is given as params: { from: … }/)
      expect { pipeline.run(from: "2024-01-31", params: { from: "2024-01-31" }) }
        .to raise_error(Flowline::ParamError, /run: from: there is no step 2024-01-31.*; from: is the option of run/)
      expect { pipeline.run(from: 5) }.to raise_error(Flowline::ParamError, /run: from: must be a name .*, not 5; from: is the option of run/)
    end

    it "raises for values of its options that make no sense" do
      {
        { required: "yes" } => /required: must be true or false, not "yes"/, { secret: nil } => /secret: must be true or false, not nil/,
        { description: 5 } => /description: must be a String, not 5/, { default: ->(day) { day } } => /default: a lambda is called without .* needs 1/
      }.each { |options, message| expect { Flowline.define { param :x, **options } }.to refuse(/param x: #{message}/) }
    end

    it "is not changed by what its Arrays, Hashes and Strings become afterwards" do
      default = { list: [+"a"] }
      pipeline = Flowline.define { param(:x, default: default) && step(:s) { |x:| x } }
      default[:list].first << "b"
      default[:list] << "c"

      expect(output_of(pipeline, :s)).to eq(list: ["a"])
      expect(Ractor.shareable?(pipeline.params[:x].default)).to be(true)
    end

    it "names both source locations if there are two of them" do
      first = line(3)
      error = error_of do
        Flowline.define do
          param :x
          param :x, type: :date
        end
      end

      expect(error.message).to include("param x is declared twice: #{first} and #{line(-4)}")
    end

    it "has readers for all its options" do
      location = line(1)
      declared = Flowline.define { param :x, type: :date, required: true, in: [], description: "The day", secret: true }.params[:x]

      expect(declared).to be_frozen.and have_attributes(name: :x, type: :date, required?: true, in: [], secret?: true, location: location,
                                                        description: "The day")
    end
  end

  describe "a secret param" do
    token = "hunter2-\"quoted\""

    # Returns the text of a run, its result, its errors and its reporters.
    def said(pipeline, **arguments)
      log = StringIO.new
      result = pipeline.run(**arguments, reporter: [Flowline::Reporter::Console.new(log), Flowline::Reporter::JSON.new(log)])
      [log.string, result.inspect, result.to_h.inspect, result.to_json, result.error&.message, result.error&.full_message(highlight: false),
       *result.warnings, result.steps.map(&:inspect).join, *result.steps.map { |step| step.error&.message }].compact.join("\n")
    rescue Flowline::Error => e
      [e.message, e.inspect, e.full_message, e.cause.inspect].join("\n")
    end

    it "does not appear in the errors and reports of a failed run" do
      pipeline = Flowline.define(name: "secretive") do
        param :token, type: :string, secret: true
        param :other, secret: true, default: "hunter2"
        after_run { |_, ctx| raise "after #{ctx[:token]}" }
        after_step { |_, _| raise "step #{token}" }
        step(:optional, optional: true) { |ctx| raise "optional #{ctx[:token].inspect}" }
        step(:bad) { |token:| raise ArgumentError, "no access with #{token}" }
      end
      text = said(pipeline, token: token, on_error: :continue)

      expect(text).to include("no access with [secret]", "after [secret]")
      expect(text).not_to include("hunter2")
    end

    {
      "a wrong type" => { type: :integer }, "a class" => { type: IO }, "JSON" => { type: :hash }, "a list of values" => { in: %w[a b] },
      "a date" => { type: :date }, "a decimal" => { type: :decimal }, "a boolean" => { type: :boolean }
    }.each do |what, options|
      it "does not appear in the error about #{what}" do
        pipeline = Flowline.define { param :token, secret: true, **options }
        text = said(pipeline, token: "{#{token}")

        expect(text).to match(/param token must be /)
        expect(text).not_to include("hunter2")
      end
    end

    it "does not appear in errors about its default" do
      expect(error_of { Flowline.define { param :token, secret: true, type: :integer, default: token } }.message).not_to include("hunter2")
      expect(said(Flowline.define { param :token, secret: true, type: :integer, default: -> { token } })).not_to include("hunter2")
    end

    it "does not appear in errors about misplaced options" do
      pipeline = Flowline.define { param :token, secret: true }

      text = [said(pipeline, params: token), said(pipeline, params: [token]), said(pipeline, context: { token: token })].join

      expect(text).not_to include("hunter2")
    end

    it "does not appear in any inspect" do
      seen = nil
      pipeline = Flowline.define do
        param :token, secret: true, default: token
        step(:s) { |ctx| seen = [ctx.inspect, message_of { ctx.fetch(:tokn) }, message_of { ctx.tokn }] }
      end
      pipeline.run!

      expect([seen, pipeline.inspect, pipeline.params.inspect, pipeline.dag.inspect].join).not_to include("hunter2")
    end

    def message_of
      yield
    rescue KeyError, NoMethodError => e
      e.message
    end

    it "is readable in steps" do
      expect(value({ x: token }, secret: true)).to eq(token)
    end
  end
end
