# frozen_string_literal: true

require_relative "../support/screen"

RSpec.describe "The slowest item of a step" do
  around { |example| Dir.mktmpdir { |folder| Dir.chdir(folder) { example.run } } }
  after { programs.each(&:close) }

  let(:programs) { [] }
  let(:env) { { "TERM" => "xterm-256color", "LC_ALL" => "C.UTF-8", "NO_COLOR" => nil } }

  def program(*arguments)
    Screen::Program.new(*Processes::FLOWLINE, *arguments, rows: 24, columns: 130, env: env).tap { |started| programs << started }
  end

  # Runs a pipeline whose second item waits for the file "go".
  def run(*options, each: "", executor: "parallel")
    File.write("items.rb", <<~RUBY)
      Flowline.define(name: "items") do
        param :token, secret: true, default: "hunter22"
        step(:list) { %w[one two-hunter22 three] }
        step(:load, each: :list, concurrency: 2 #{each}) { |item| sleep(0.02) until item != "two-hunter22" || File.exist?("go"); item }
      end
    RUBY
    program("run", "items.rb", "--executor", executor, *options)
  end

  def live
    Flowline::History.runs(pipeline: "items").first&.live&.step(:load)
  end

  it "is named on the row of the live terminal, on that of flowline watch, and in history while the run goes on" do
    started = run
    row = /load +\d.+slowest: item 2 \("two-\[secret\]"\)/
    expect(started.read { |screen| screen.lines.grep(row).any? }.lines).to include(row)
    expect(program("watch").read { |screen| screen.lines.grep(row).any? }.lines).to include(row)
    expect(live.slowest).to eq('item 2 ("two-[secret]")')
    File.write("go", "")
    expect(started.wait).to be_success
  end

  it "has the name that label: gives it, also in a sequential run" do
    started = run(each: ', label: ->(item) { "shop " + item[0, 3] }', executor: "sequential")
    row = /load +\d.+slowest: item 2 \(shop two\)/
    expect(started.read { |screen| screen.lines.grep(row).any? }.lines).to include(row)
    File.write("go", "")
    expect(started.wait).to be_success
  end

  it "has its number alone if its look would call code of its class, and none of a label: is called for a run without reporter" do
    calls = []
    odd = Class.new { define_method(:inspect) { calls << :inspect } }
    gate = Queue.new
    pipeline = Flowline.define(name: "items") do
      step(:list) { [odd.new] }
      step(:load, each: :list) { |_| gate.pop }
      step(:names) { %w[a] }
      step(:named, each: :names, label: ->(_) { calls << :label }) { |_| 1 }
    end
    started = pipeline.start(executor: :parallel)
    eventually { live&.slowest }
    expect([live.slowest, calls]).to eq(["item 1", []])
  ensure
    gate << 1
    started.wait
  end
end
