# frozen_string_literal: true

require "flowline/cli"

# Says that it was chosen.
class Told
  def initialize(name = :class, told = [])
    @name = name
    @told = told
  end

  attr_reader :told

  def open_pool(*arguments)
    @told << @name
    Flowline::Executor::Sequential.new.open_pool(*arguments)
  end
end

RSpec.describe "Choosing an executor" do
  let(:told) { [] }

  def chosen(define: {}, **options)
    run(define: define, **options) { step(:a) { 1 } }
    told.last
  end

  around do |example|
    before = ENV.fetch("FLOWLINE_EXECUTOR", nil)
    example.run
  ensure
    ENV["FLOWLINE_EXECUTOR"] = before
  end

  before do
    allow(Flowline).to receive(:config).and_return(Flowline::Configuration.new)
    stub_const("Known", Flowline::Executor.instance_variable_get(:@known).dup)
    Flowline::Executor.instance_variable_set(:@known, Known.dup)
    %i[by_run by_define by_configure by_environment].each { |name| Flowline::Executor.register(name) { Told.new(name, told) } }
  end

  after { Flowline::Executor.instance_variable_set(:@known, Known) }

  it "prefers run, then define, then Flowline.configure, then FLOWLINE_EXECUTOR, then :sequential" do
    ENV.delete("FLOWLINE_EXECUTOR")
    expect(run { step(:a) { Thread.current } }[:a].output).to equal(Thread.current)
    ENV["FLOWLINE_EXECUTOR"] = "by_environment"
    expect(chosen).to eq(:by_environment)
    Flowline.configure { |config| config.executor = :by_configure }
    expect(chosen).to eq(:by_configure)
    expect(chosen(define: { executor: :by_define })).to eq(:by_define)
    expect(chosen(define: { executor: :by_define }, executor: "by_run")).to eq(:by_run)
    expect(chosen(define: { executor: :by_define }, executor: nil)).to eq(:by_configure)
  end

  it "is also making one with a graph, a pipeline or a class of pipelines to run, and with nothing else" do
    import = stub_const("Import", Class.new(Flowline::Pipeline))
    import.step(:a) { 1 }
    dag = Flowline::DAG.new.add(:a, -> { 1 })
    [Flowline::Executor::Sequential, Flowline::Executor::Parallel, Flowline::Executor::Process].each do |executor|
      expect([dag, Flowline.define { step(:a) { 1 } }, import].map { |what| executor.new(what).run.outputs }).to eq([{ a: 1 }] * 3)
      expect { executor.new(:import) }.to raise_error(ArgumentError, "#{executor}: new takes a graph (Flowline::DAG) or a pipeline, not :import")
      expect { executor.new.run }.to raise_error(ArgumentError, "#{executor}: new takes the graph to run, as in #{executor}.new(dag)")
    end
  end

  it "accepts registered classes, objects and blocks, and unregistered executors" do
    object = Told.new(:object, told)
    expect(Flowline::Executor.register(:object, object)).to eq(:object)
    expect(chosen(executor: :object)).to eq(:object)
    Flowline::Executor.register("class", Told)
    expect(run(executor: :class) { step(:a) { 1 } }).to be_success
    options = nil
    Flowline::Executor.register(:block) { |given| (options = given) && object }
    expect(chosen(executor: :block, max_threads: 3)).to eq(:object)
    expect(options).to eq(max_threads: 3)
    expect(chosen(executor: object)).to eq(:object)
    expect(run(executor: Told) { step(:a) { 1 } }).to be_success
    expect(Flowline::Executor.names).to include(:sequential, :parallel, :process, :object, :class, :block)
  end

  it "refuses to register objects without open_pool" do
    [3, Object.new, String].each { |wrong| expect { Flowline::Executor.register(:wrong, wrong) }.to raise_error(ArgumentError, /no `open_pool`/) }
  end

  it "suggests a known name for an unknown one" do
    expect { run(executor: :paralel) { step(:a) { 1 } } }.to raise_error(Flowline::ParamError, /unknown executor :paralel; did you mean parallel\?/)
    expect { Flowline.define(executor: :paralel) { step(:a) { 1 } } }.to refuse(/executor: must be the name of an executor.*not :paralel/)
    ENV["FLOWLINE_EXECUTOR"] = "proces"
    expect { run { step(:a) { 1 } } }.to raise_error(Flowline::ParamError, /unknown executor "proces"; did you mean process\?/)
    expect { run(executor: Object.new) { step(:a) { 1 } } }.to raise_error(Flowline::ParamError, /give an object with `open_pool`/)
  end

  it "accepts whole numbers from 1 up as workers" do
    [0, -1, 1.5, "2", Float::INFINITY].each do |wrong|
      %i[max_threads max_processes].each do |option|
        expect { run(option => wrong) { step(:a) { 1 } } }.to raise_error(Flowline::ParamError, /#{option}: must be a whole number from 1 up/)
        expect { Flowline.define(option => wrong) { step(:a) { 1 } } }.to refuse(/#{option}: must be a whole number from 1 up/)
      end
    end
  end

  it "takes the number of workers from run, then define, then the machine" do
    resolve = ->(name, **options) { Flowline::Executor.resolve(name, options).workers }
    expect([resolve[:parallel], resolve[:process]]).to eq([[16, 2 * Etc.nprocessors].min, Etc.nprocessors])
    expect([resolve[:parallel, max_threads: 300], resolve[:process, max_processes: 7]]).to eq([300, 7])
    Flowline::Executor.register(:looks) { |options| Told.new(options[:max_threads], told) }
    expect(chosen(define: { executor: :looks, max_threads: 3 })).to eq(3)
    expect(chosen(define: { executor: :looks, max_threads: 3 }, max_threads: 5)).to eq(5)
  end

  it "is not inherited by a run within a step", executor: :sequential do
    inner = Flowline.define { step(:i) { Thread.current } }
    result = run(executor: :parallel) { step(:o) { [Thread.current, inner.run[:i].output] } }
    expect(result[:o].output.uniq.size).to eq(1)
  end

  describe "on the command line" do
    def flowline(*arguments)
      Processes.flowline(*arguments)
    end

    around { |example| Dir.mktmpdir { |directory| Dir.chdir(directory) { example.run } } }

    before do
      allow(Flowline).to receive(:config).and_call_original
      File.write("at_once.rb", <<~RUBY)
        Flowline.define do
          gates = Array.new(3) { Queue.new }
          3.times { |i| step(:"s\#{i}") { gates.each { |gate| gate << i } && Array.new(3) { gates[i].pop } } }
        end
      RUBY
    end

    it "obeys --executor and --max-threads" do
      expect(flowline("run", "at_once.rb", "--executor", "parallel", "--max-threads", "3").first).to eq(0)
    end

    it "reports wrong values of both" do
      status, _, err = flowline("run", "at_once.rb", "--executor", "paralel")
      expect([status, err]).to match([2, a_string_including("did you mean parallel?")])
      status, _, err = flowline("run", "at_once.rb", "--executor", "parallel", "--max-threads", "0")
      expect([status, err]).to match([2, a_string_including("--max-threads 0 is not a whole number from 1 up")])
      expect(flowline("run", "at_once.rb", "--max-threads", "many").first).to eq(2)
      expect { Flowline::Executor::Parallel.new(max_threads: 0) }.to raise_error(ArgumentError, "max_threads: must be a whole number from 1 up, not 0")
      expect { Flowline::Executor::Process.new(max_processes: "2") }.to raise_error(ArgumentError, /\Amax_processes: .* not "2"\z/)
    end
  end
end
