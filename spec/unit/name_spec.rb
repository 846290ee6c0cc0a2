# frozen_string_literal: true

RSpec.describe "Names" do
  names = ["with space", "with \"quotes\" and 'more'", "two\nlines", "tab\tbed", "naïve", "名前", "🚀", "", "\xFF\xFE".b, "end", "class",
           "self", "a.b", "a-->b", "%s", "\\", "\e[31mred", "nul\0", "line\u2028separator", "é".encode("ISO-8859-1"),
           "é".encode("UTF-16LE"), "x" * 300]

  names.each do |name|
    describe name.b.inspect do
      it "names a step in a definition, a run, its results and its errors" do
        pipeline = Flowline.define do
          step(name) { 1 }
          step(:after, depends_on: name.to_sym) { |n| n + 1 }
          step(:all, depends_on: [name, "after"]) { |outputs| outputs.values }
        end
        result = pipeline.run!

        expect([result[name].output, result[name.to_sym].output, result[:after].output, result[:all].output]).to eq([1, 1, 2, [1, 2]])
        expect(pipeline.dag.upstream(name)).to eq([pipeline.steps.first.name])
        expect(result.steps.first.inspect).to be_valid_encoding
      end

      it "is shown on one line of valid UTF-8" do
        missing = Flowline.define { step(:after, depends_on: name) { 1 } }
        failing = Flowline.define { step(name) { raise "no" } }
        errors = [error_of { missing.validate! }, error_of { failing.run! }, error_of { failing.include(failing) },
                  error_of { Flowline.define { step(name, bogus: 1) { 1 } } }]

        errors.map(&:message).each do |message|
          expect(message).to be_valid_encoding
          expect(message.encoding).to eq(Encoding::UTF_8)
          expect(message.lines.size).to eq(1)
          expect(message).not_to match(/[[:cntrl:]\u2028]/)
        end
      end

      it "names a param" do
        pipeline = Flowline.define do
          param name, default: 1
          step(:s) { |ctx| [ctx[name], ctx.params.values] }
        end
        shown = pipeline.params.keys.first

        expect(output_of(pipeline, :s, params: { shown => 2 }).last).to eq([2])
        expect(shown.to_s).to be_valid_encoding
      end

      it "names a nested pipeline, and prefixes an included one" do
        inner = Flowline.define { step(name) { 1 } }
        pipeline = Flowline.define do
          step name, inner
          include inner, prefix: name
          step(:after, depends_on: name) { |n| n + 1 }
        end

        expect(output_of(pipeline, :after)).to eq(2)
      end
    end
  end

  it "are Symbols or Strings of valid text" do
    [42, nil, Object.new, "\xFF"].each do |name|
      expect { Flowline.define { step(name) { 1 } } }.to refuse(/a name is a Symbol or a String of valid text, not .*\(#{__FILE__}:#{__LINE__}\)/)
      expect { Flowline.define { param name } }.to refuse(/\(#{__FILE__}:#{__LINE__}\)/)
    end
  end

  it "are returned by step and param" do
    returned = []
    Flowline.define { returned.push(step("a") { 1 }, param("b"), step(:c, depends_on: returned.first) { 1 }) }

    expect(returned).to eq(%i[a b c])
  end

  it "are suggested for similar names, with unusual characters" do
    pipeline = Flowline.define do
      step("fetch the users") { 1 }
      step(:after, depends_on: "fetch the user") { 1 }
    end

    expect { pipeline.validate! }.to raise_error(/did you mean fetch the users\?/)
  end
end
