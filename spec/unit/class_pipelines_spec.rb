# frozen_string_literal: true

require "tmpdir"

RSpec.describe "Pipelines as classes" do
  inner = Flowline.define { step(:x) { |n| n } }
  other = Flowline.define { step(:y) { 9 } }

  # @return [Class] a pipeline class of that name
  def declare(parent = Flowline::Pipeline, name = nil, &body)
    made = Class.new(parent)
    stub_const(name, made) if name
    made.class_exec(&body) if body
    made
  end

  it "have the words of a definition and the methods of a pipeline", executor: :in_process do
    import = declare(Flowline::Pipeline, "Import") do
      options description: "imports", on_error: :continue
      param :limit, type: :integer, default: 2
      defaults tags: :t
      step(:fetch) { |ctx| Array.new(ctx[:limit]) { self } }
      step :nested, inner, depends_on: :fetch
      include other, prefix: :lib
      after_run { |result| result.outputs[:fetch] << :hooked }
    end

    expect([import.pipeline.name, import.pipeline.description, import.pipeline.settings[:on_error]]).to eq(["Import", "imports", :continue])
    expect([import.run(limit: "1")[:nested].output, import.run![:fetch].output]).to eq([[import, :hooked], [import, import, :hooked]])
    expect([import.validate!, import.steps.map(&:name), import.params.keys, import.dag.size]).to eq([true, %i[fetch nested.x lib_y], [:limit], 3])
    expect([import.pipeline, import.pipeline.frozen?]).to eq([import.pipeline, true])
  end

  it "may have another name" do
    expect(declare(Flowline::Pipeline, "Import") { options name: "import" }.pipeline.name).to eq("import")
    expect(declare { step(:a) { 1 } }.pipeline.name).to be_nil
  end

  it "raise their mistakes when they are first used, with the source locations" do
    import = declare do
      step(:a, retires: 1) { 1 }
      step(:b)
    end

    [:run, :pipeline, :steps, :validate!].each do |use|
      expect { import.public_send(use) }.to raise_error(Flowline::DefinitionError) { |error|
        expect(error.problems.map(&:location)).to eq([line(-6), line(-5)])
      }
    end
  end

  it "may be reopened, and may include modules" do
    import = declare { step(:a) { 1 } }
    import.run!
    import.class_exec do
      include Comparable
      step(:b, depends_on: :a) { |a| a + 1 }
      before_run { 1 }
    end

    expect([import.run!.outputs, import.include?(Comparable)]).to eq([{ a: 1, b: 2 }, true])
  end

  describe "whose file is loaded again" do
    # Writes the body of a class to a file and loads it.
    def load_class(path, *lines)
      File.write(path, ["class Reloaded < Flowline::Pipeline", *lines, "end"].join("\n"))
      load path
      Reloaded
    end

    after { Object.send(:remove_const, :Reloaded) if defined?(Reloaded) }

    it "replace what that file declared, and keep what others did" do
      Dir.mktmpdir do |directory|
        path = File.join(directory, "reloaded.rb")
        lines = ["param :n, default: 1", "before_run { |ctx| ctx[:seen] << :hook }", "step(:a) { |n:| n }"]
        load_class(path, *lines, "step(:b, depends_on: :a) { |a| a }").class_exec { step(:c, depends_on: :b) { |b| b } }
        Reloaded.validate!
        load_class(path, *lines, "step(:b, depends_on: :a) { |a| a + 5 }")
        result = Reloaded.run!(context: { seen: [] }, executor: :sequential)

        expect(result.outputs).to eq(c: 6, a: 1, b: 6)
        expect(Reloaded.pipeline.hooks[:before_run].size).to eq(1)
      end
    end

    it "are new classes if their constant was removed before" do
      Dir.mktmpdir do |directory|
        path = File.join(directory, "reloaded.rb")
        first = load_class(path, "step(:a) { 1 }")
        first.validate!
        Object.send(:remove_const, :Reloaded)

        expect(load_class(path, "step(:a) { 2 }").run!.outputs).to eq(a: 2)
        expect([first.run!.outputs, first.equal?(Reloaded)]).to eq([{ a: 1 }, false])
      end
    end
  end

  it "are built once, by whichever of several threads needs them first" do
    built = Queue.new
    part = Flowline.define { step(:x) { 1 } }
    slow = part.dup
    slow.define_singleton_method(:dag) { built.push(1) && sleep(0.05) && part.dag }
    import = declare { include slow }
    pipelines = Array.new(4) { Thread.new { import.pipeline } }.map(&:value)

    expect([pipelines.uniq(&:object_id).size, built.size]).to eq([1, 1])
  end

  it "raise for declarations in Flowline::Pipeline itself, and for a class that nests itself" do
    expect { Flowline::Pipeline.step(:a) { 1 } }.to refuse(/declarations belong in the body of a class of your own.*\(#{line}\)/)
    expect { declare { step :a, self }.pipeline }.to refuse(/includes or nests itself/)
  end

  it "cannot be instantiated" do
    expect { declare.new(Flowline::Definition.new) }.to raise_error(NoMethodError)
  end

  describe "with a superclass" do
    def base
      @base ||= declare(Flowline::Pipeline, "Base") do
        options on_error: :continue, description: "base"
        param :n, default: 1
        before_run { |ctx| ctx[:seen] << :base }
        step(:fetch) { |n:| n }
        step(:load, depends_on: :fetch) { |n| [:base, n] }
        step :part, Flowline.define { step(:x) { |n| n } }, depends_on: :fetch
      end
    end

    def outputs(child)
      child.run!(context: { seen: [] }).outputs
    end

    it "inherit everything from the parent, under their own name" do
      child = declare(base, "Child") { before_run { |ctx| ctx[:seen] << :child } }

      seen = []
      expect(child.run!(context: { seen: seen }).outputs).to eq(fetch: 1, load: [:base, 1], "part.x": 1)
      expect([child.pipeline.name, child.pipeline.description, child.pipeline.settings[:on_error]]).to eq(["Child", "base", :continue])
      expect(seen).to eq(%i[base child])
      expect(declare(child).pipeline.steps.size).to eq(3)
    end

    it "do not change the parent" do
      child = declare(base) do
        step(:load, depends_on: :fetch) { |n| [:child, n] }
        step(:more) { 1 }
        param :n, default: 2
      end

      expect([outputs(child)[:load], outputs(base)]).to eq([[:child, 2], { fetch: 1, load: [:base, 1], "part.x": 1 }])
    end

    # What the child declares, and all that it then puts out, in order.
    {
      "a step, in its old place" => [-> { step(:fetch) { 5 } }, { fetch: 5, load: [:base, 5], "part.x": 5 }],
      "a step, with other dependencies" => [-> { step(:load, depends_on: :part) { |x| x } }, { fetch: 1, "part.x": 1, load: 1 }],
      "a step of a nested pipeline" => [-> { step(:"part.x") { 7 } }, { fetch: 1, load: [:base, 1], "part.x": 7 }],
      "a nested pipeline, by another" => [-> { step :part, other }, { fetch: 1, load: [:base, 1], "part.y": 9 }],
      "a nested pipeline, by a step" => [-> { step(:part) { 4 } }, { fetch: 1, load: [:base, 1], part: 4 }],
      "a step, by a nested pipeline" => [-> { step :load, other }, { fetch: 1, "part.x": 1, "load.y": 9 }],
      "a param" => [-> { param :n, type: :string, default: "2" }, { fetch: "2", load: [:base, "2"], "part.x": "2" }],
      "a step, by an included one" => [-> { include(Flowline.define { step(:fetch) { 6 } }) }, { fetch: 6, load: [:base, 6], "part.x": 6 }]
    }.each do |what, (body, expected)|
      it "may redeclare #{what}" do
        expect(outputs(declare(base, &body))).to eq(expected)
        expect(outputs(declare(declare(base, &body)))).to eq(expected)
      end
    end

    it "may not declare anything twice" do
      twice = declare(base) do
        step(:load) { 1 }
        step(:load) { 2 }
        param :n
        param :n, type: :date
      end
      expect { twice.pipeline }.to refuse(/step load is defined twice: #{line(-5)} and #{line(-4)}/)
      expect { twice.pipeline }.to refuse(/param n is declared twice/)
    end
  end

  describe "in another pipeline" do
    it "are included and nested like any other pipeline" do
      library = declare { step(:x) { |n| n + 1 } }
      pipeline = Flowline.define do
        step(:one) { 1 }
        step :nested, library, depends_on: :one
        include library, depends_on: :nested
      end

      expect(pipeline.run!.outputs).to eq(one: 1, "nested.x": 2, x: 3)
    end
  end
end
