# frozen_string_literal: true

require "bigdecimal"
require "date"
require "set"
require "time"

RSpec.describe Flowline::Definition::Type do
  date = Date.new(2024, 1, 31)
  time = Time.utc(2024, 1, 31, 12)
  rows = Struct.new(:n)

  # By type: accepted values with their results, and refused values.
  {
    any: [{ "x" => "x", 1 => 1, false => false }, []],
    string: [{ "x" => "x", "" => "", :x => "x" }, [1, 1.0, ["x"], false]],
    symbol: [{ x: :x, "x" => :x, "" => :"" }, [1, ["x"], "\xFF"]],
    integer: [{ 1 => 1, "12" => 12, "-7" => -7, "1_000" => 1000, 3.0 => 3, Rational(6, 2) => 3, 1e30 => 1e30.to_i, BigDecimal(5) => 5,
                "010" => 10, (2**70).to_s => 2**70 },
              ["", "1.0", "1.5", "12abc", "0x1f", "abc", 3.5, Rational(1, 3), Float::NAN, Float::INFINITY, true, [1], Complex(1, 1), "\xFF"]],
    float: [{ 1.5 => 1.5, "1.5" => 1.5, "-2" => -2.0, "1e3" => 1000.0, "0e5" => 0.0, "0.0" => 0.0, 3 => 3.0, Rational(1, 2) => 0.5,
              2**53 => 2.0**53, "9007199254740992" => 2.0**53, "0.30000000000000004" => 0.1 + 0.2, "0.5000000000000000000" => 0.5 },
            ["9007199254740993", "0.1234567890123456789", "", "abc", "1.5x", "1e400", "-1e400", "1e-400", "NaN", (2**53) + 1, true, []]],
    decimal: [{ "0.1" => BigDecimal("0.1"), 0.1 => BigDecimal("0.1"), 3 => BigDecimal(3), BigDecimal("1.2") => BigDecimal("1.2"),
                "1e400" => BigDecimal("1e400") },
              ["", "abc", "0.1x", "NaN", "Infinity", Float::NAN, Float::INFINITY, Rational(1, 3), true]],
    boolean: [{ true => true, false => false, "true" => true, "FALSE" => false, "yes" => true, "No" => false, "1" => true, "0" => false },
              ["", "maybe", "2", 1, 0, :true, "\xFF"]],
    date: [{ date => date, "2024-01-31" => date, DateTime.new(2024, 1, 31) => date, "2024-02-29" => Date.new(2024, 2, 29),
             "12024-01-31" => Date.new(12_024, 1, 31) },
           ["", "2024-02-30", "2023-02-29", "2024-01-31x", "x2024-01-31", "24-01-31", "31.01.2024", "2024-01-31T10:00:00Z",
            DateTime.new(2024, 1, 31, 1), time, 20_240_131, "\xFF"]],
    time: [{ time => time, "2024-01-31T12:00:00Z" => time, "2024-01-31T14:00:00+02:00" => time, DateTime.new(2024, 1, 31, 12) => time,
             "2024-01-31T12:00:00.123456789Z" => time + Rational(123_456_789, 10**9) },
           ["", "2024-01-31", "12:00", "2024-02-30T00:00:00Z", "2024-01-31T25:00:00Z", "2024-01-31T12:00:00Zx", date, 0, "\xFF"]],
    array: [{ [1] => [1], [] => [], "a, b" => %w[a b], "a" => %w[a], "[1, \"b\"]" => [1, "b"], " [1]" => [1], "" => [], " " => [], "a,," => ["a", "", ""], ",b" => ["", "b"] },
            ["[1", "[a]", "#{"[" * 200}#{"]" * 200}", { a: 1 }, 1, (1..2), Set[1]]],
    hash: [{ { a: 1 } => { a: 1 }, "{\"a\": [1]}" => { "a" => [1] } }, ["", "a: 1", "{", "[1]", "null", [[1, 2]], rows.new(1)]],
    Integer => [{ "12" => 12, 3 => 3 }, ["x", 1.5]],
    Date => [{ "2024-01-31" => date }, ["x", time]],
    BigDecimal => [{ "0.5" => BigDecimal("0.5") }, ["x"]],
    rows => [{ rows.new(1) => rows.new(1) }, [1, "1", [1]]],
    Comparable => [{ 1 => 1, "x" => "x" }, [[], Object]],
    IO => [{ $stdout => $stdout }, ["x"]]
  }.each do |type, (taken, refused)|
    describe type.inspect.sub(/#<Class:.*>/, "a Struct") do
      pipeline = Flowline.define do
        param :value, type: type
        step(:value) { |ctx| ctx[:value] }
      end

      it "accepts #{taken.size} kinds of values without loss", executor: :in_process do
        taken.each do |given, expected|
          value = output_of(pipeline, :value, value: given)
          expect([given, value, value.class]).to eq([given, expected, expected.class])
        end
      end

      it "refuses #{refused.size} kinds of values, and names the type" do
        refused.each do |given|
          expect { pipeline.run(value: given) }
            .to raise_error(Flowline::ParamError, /\Aparam value must be (an? .+|true or false), not /), "#{given.inspect} was taken"
        end
      end
    end
  end

  it "says of a date in the right form that there is no such day" do
    pipeline = Flowline.define { param :day, type: :date and step(:a) { |day:| day } }
    expect { pipeline.run(day: "2024-04-31") }.to raise_error(Flowline::ParamError, 'param day must be a day that exists, not "2024-04-31"')
  end

  it "accepts a value without methods as :any, and refuses it as any other type" do
    proxy = stub_const("Proxy", Class.new(BasicObject)).new
    taken = described_class::COERCIONS.each_key.select do |type|
      Flowline.define(name: "typed") { param :value, type: type }.run(value: proxy)
    rescue Flowline::ParamError => e
      expect(e.message).to match(/\Aparam value must be .+, not a Proxy\z/)
      false
    end
    expect(taken).to eq(%i[any])
  end

  it "accepts or refuses text in any encoding without an encoding error" do
    described_class::COERCIONS.each_key do |type|
      ["12".encode("UTF-16LE"), "{}".encode("UTF-16BE"), "\xFF", "\xFF".b, "\xE9".dup.force_encoding("ISO-8859-1")].each do |text|
        pipeline = Flowline.define { param :value, type: type }
        expect(pipeline.run(value: text)).to be_success
      rescue Flowline::ParamError => e
        expect(e.message).to start_with("param value must be ")
      end
    end
  end

  it "does not coerce nil, the value of a param that is not given" do
    described_class::COERCIONS.each_key do |type|
      pipeline = Flowline.define do
        param :value, type: type
        step(:value) { |ctx| ctx[:value] }
      end

      expect([output_of(pipeline, :value), output_of(pipeline, :value, value: nil)]).to eq([nil, nil])
    end
  end

  it "has no other types" do
    [:int, "integer", 5, nil].each do |type|
      expect { Flowline.define { param :value, type: type } }.to refuse(/param value: unknown type #{Regexp.escape(type.inspect)}/)
    end
    expect { Flowline.define { param :value, type: :integr } }.to raise_error(/did you mean integer\?/)
  end
end
