# frozen_string_literal: true

RSpec.describe Flowline::DAG do
  # @param edges [Hash{Symbol => Array<Symbol>}] by step, what it depends on
  def dag(edges)
    edges.each_with_object(described_class.new) { |(name, needed), made| made.add(name, depends_on: needed) { name } }
  end

  diamond = { d: %i[b c], b: [:a], c: [:a], a: [], e: [] }

  it "is built by adding steps" do
    made = described_class.new
    made.add(:fetch, -> { [1, 2] })
    made.add(:transform, ->(data) { data.sum }, depends_on: :fetch)
    made.add(:load, depends_on: :transform) { |sum| sum + 1 }

    expect(made.sorted_steps).to eq(%i[fetch transform load])
    expect(Flowline::Executor::Sequential.new(made).run[:load].output).to eq(4)
  end

  it "orders steps after their dependencies, otherwise in definition order" do
    made = dag(diamond)

    expect(made.sorted_steps).to eq(%i[a b c d e])
    expect(made.levels).to contain_exactly(contain_exactly(:a, :e), contain_exactly(:b, :c), [:d])
    expect([made.size, made[:b].depends_on, made[:zz]]).to eq([5, [:a], nil])
  end

  it "returns everything upstream and downstream of steps" do
    made = dag(diamond)

    expect([made.upstream(:b), made.upstream(:b, :e), made.downstream(:b), made.downstream("a")])
      .to eq([%i[b a], %i[b a e], %i[d b], %i[d b c a]])
    expect { made.upstream(:f) }.to refuse(/there is no step f/)
    expect { dag(fetch: []).downstream(:fecth) }.to raise_error(/there is no step fecth; did you mean fetch\?/)
  end

  it "accepts further steps after it was ordered" do
    made = dag(a: [])
    expect(made.sorted_steps).to eq([:a])
    made.add(:b, depends_on: :a) { 1 }

    expect([made.sorted_steps, made[:b].name]).to eq([%i[a b], :b])
  end

  it "has no steps when it is created" do
    expect([described_class.new.sorted_steps, described_class.new.levels, described_class.new.validate!]).to eq([[], [], true])
  end

  it "refuses a wrong step when it is added" do
    expect { described_class.new.add(:a) }.to refuse(/step a has nothing to call/)
    expect { described_class.new.add(:a, retires: 1) { 1 } }.to refuse(/unknown option retires:/)
  end

  describe "errors of a graph" do
    it "name a missing step, its dependent and the nearest name" do
      missing = dag(fetch: [])
      location = line(1)
      missing.add(:load, depends_on: :fetchh) { 1 }

      expect { missing.sorted_steps }.to raise_error(Flowline::MissingDependencyError) { |error|
        expect(error).to have_attributes(step_name: :load, dependency: :fetchh, suggestion: :fetch, location: location)
        expect(error.problems).to match([an_instance_of(Flowline::MissingDependencyError)])
        expect(error.message).to eq("step load depends on fetchh, which doesn't exist; did you mean fetch? (#{location})")
      }
      expect(error_of { dag(a: [:zzzzzz]).validate! }).to have_attributes(suggestion: nil, message: /define it, or include a pipeline that has it/)
    end

    it "suggest a nested pipeline" do
      inner = Flowline.define { step(:x) { 1 } }
      pipeline = Flowline.define do
        step :clean, inner
        step(:load, depends_on: :claen) { 1 }
      end

      expect(error_of { pipeline.validate! }).to have_attributes(suggestion: :clean)
    end

    it "show a cycle in the direction of the data, with the first step repeated at its end" do
      {
        { a: [:a] } => %i[a a], { a: [:b], b: [:a] } => %i[a b a], { x: [], a: %i[x c], b: [:a], c: [:b] } => %i[a b c a]
      }.each do |edges, path|
        error = error_of { dag(edges).validate! }

        expect(error).to be_a(Flowline::CycleError).and have_attributes(path: path)
        expect(error.message).to start_with("steps depend on each other in a cycle: #{path.join(" → ")}; remove one of these dependencies")
        expect(path.each_cons(2)).to all(satisfy { |from, to| edges[to].include?(from) })
      end
    end

    it "shorten a cycle of 100,000 steps" do
      steps = Array.new(100_000) { |n| :"s#{n}" }
      error = error_of { dag(steps.zip(steps.rotate(-1).map { |name| [name] }).to_h).validate! }

      expect(error.path.size).to eq(100_001)
      expect(error.message).to include("s0 → s1 →", "→ … (100000 steps) →")
      expect(error.message.size).to be < 400
    end

    it "name the source locations of both duplicates" do
      made = described_class.new
      made.add(:a) { 1 }
      made.add(:a) { 2 }

      locations = [line(-3), line(-2)]

      expect(error_of { made.validate! }).to be_a(Flowline::DuplicateStepError)
        .and have_attributes(step_name: :a, locations: locations, message: /step a is defined twice: #{locations.join(" and ")}; rename one/)
    end

    it "are listed in one error, of their class if they share one" do
      made = dag(a: [:b], b: [:a], c: [:c], d: %i[nowhere elsewhere])
      made.add(:d) { 1 }
      error = error_of { made.validate! }

      expect(error).to be_an_instance_of(Flowline::DefinitionError)
      expect(error.problems.map(&:class)).to contain_exactly(Flowline::DuplicateStepError, Flowline::CycleError, Flowline::CycleError,
                                                             Flowline::MissingDependencyError, Flowline::MissingDependencyError)
      expect(error.message.lines.size).to eq(6)
      expect(error.problems.map(&:message)).to all(include(__FILE__))
      expect(error_of { dag(a: %i[x y]).validate! }).to be_an_instance_of(Flowline::MissingDependencyError)
    end

    it "are raised at the user's line by every call" do
      pipeline = Flowline.define { step(:a, depends_on: :b) { 1 } }
      lines = [[error_of { pipeline.validate! }, line], [error_of { pipeline.run }, line], [error_of { pipeline.dag.sorted_steps }, line]]

      lines.each { |error, location| expect(error.backtrace.first).to start_with("#{location}:") }
    end
  end
end
