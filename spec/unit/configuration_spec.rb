# frozen_string_literal: true

RSpec.describe Flowline::Configuration do
  subject(:config) { described_class.new }

  it "takes what a framework sets only if neither the program nor the environment says anything" do
    config.default(root: "storage", reporter: :logger)
    expect([config.root, config.reporter]).to eq([ENV.fetch("FLOWLINE_ROOT"), :logger])
    ENV.delete("FLOWLINE_ROOT")
    expect(config.root).to eq("storage")
    config.root = "mine"
    config.reporter = false
    expect([config.root, config.reporter]).to eq(["mine", false])
  end

  it "takes a cache, or says none, and refuses what is no cache" do
    [nil, false, true, :rails, Flowline::Cache::Memory.new].each { |cache| expect((config.cache = cache)).to eq(config.cache) }
    ["tmp/cache", :memory, {}].each do |wrong|
      expect { config.cache = wrong }
        .to raise_error(ArgumentError, "cache: must be a cache, false for none or nil for one in memory, not #{wrong.inspect}")
    end
  end

  it "says how many threads runs have that don't say it" do
    allow(Flowline).to receive(:config).and_return(config)
    expect(Flowline::Executor.resolve(:parallel).workers).to eq(Flowline::Executor::Parallel.usual)
    config.max_threads = 3
    expect(Flowline::Executor.resolve(:parallel).workers).to eq(3)
    expect(Flowline::Executor.resolve(:parallel, max_threads: 5).workers).to eq(5)
  end
end
