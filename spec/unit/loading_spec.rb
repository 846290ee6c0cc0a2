# frozen_string_literal: true

require "open3"
require "rbconfig"

RSpec.describe "The loading of files that not every run needs" do
  loading = Flowline::Loading

  def ruby(program)
    Open3.capture2e({ "RUBYOPT" => nil }, RbConfig.ruby, "-W", "-I", File.expand_path("../../lib", __dir__), "-e", program).first
  end

  it "is finished before an exception that arrives meanwhile is raised" do
    output = ruby(<<~RUBY)
      require "flowline"
      pipeline = Flowline.define { |p| p.step(:a) { 1 } }
      main = Thread.current
      strike = TracePoint.new(:class) do |point|
        Thread.new { main.raise(Interrupt) }.join if point.path.end_with?("planning/forecast.rb") && point.self.name.end_with?("Forecast")
      end
      strike.enable do
        pipeline.run(dry_run: true)
      rescue Interrupt
        puts "interrupted"
      end
      puts pipeline.run(dry_run: true).steps.size
    RUBY

    expect(output).to eq("interrupted\n1\n")
  end

  it "is finished before an exception interrupts the first definition" do
    output = ruby(<<~RUBY)
      require "flowline"
      main = Thread.current
      strike = TracePoint.new(:class) do |point|
        Thread.new { main.raise(Interrupt) }.join if point.path.end_with?("execution/state.rb") && point.self.name.end_with?("State")
      end
      strike.enable do
        Flowline.define { |p| p.step(:a) { 1 } }
      rescue Interrupt
        puts $LOADED_FEATURES.grep(%r{execution/coordinator.rb}).size
      end
      puts Flowline.define { |p| p.step(:a) { 1 } }.run.status
    RUBY

    expect(output).to eq("1\nsucceeded\n")
  end

  it "happens when the first pipeline of a process is defined, as far as every run needs them" do
    output = ruby(<<~RUBY)
      loaded = -> { $LOADED_FEATURES.grep(%r{/flowline/}) }
      need = %w[coordinator environment result run_options memory sequential]
      require "flowline"
      puts need.select { |name| loaded.call.any? { |path| path.end_with?("/\#{name}.rb") } }
      pipeline = Flowline.define { |p| p.step(:a) { 1 } }
      puts need.reject { |name| loaded.call.any? { |path| path.end_with?("/\#{name}.rb") } }
      before = loaded.call
      pipeline.run.success? or abort "failed"
      puts loaded.call - before
    RUBY

    expect(output).to be_empty
  end

  it "includes what plans, records and hands over attempts only where a run needs that" do
    output = ruby(<<~RUBY)
      require "flowline"
      Flowline.define { |p| p.step(:a) { 1 } }.run.success? or abort "failed"
      loaded = $LOADED_FEATURES.grep(%r{/flowline/}).map { |path| File.basename(path, ".rb") }
      puts loaded & %w[planner forecast journal attempt works batches notifier reporter sqlite set]
    RUBY

    expect(output).to be_empty
  end

  {
    "fails" => "p.step(:b, depends_on: :a) { raise 'down' }",
    "is retried" => "p.step(:b, depends_on: :a, retries: 1) { raise 'down' }",
    "exceeds its time limit" => "p.step(:b, depends_on: :a, timeout: 0.05) { sleep }",
    "has items that fail" => "p.step(:b, each: :a) { raise 'down' }",
    "is cached" => "p.step(:b, depends_on: :a, cache: true) { 1 }"
  }.each do |what, step|
    it "is over when a run calls its first step, even if another step #{what}" do
      output = ruby(<<~RUBY)
        require "flowline"
        pipeline = Flowline.define do |p|
          p.step(:a) { [$LOADED_FEATURES.dup] }
          #{step}
        end
        result = pipeline.run
        result.error&.message
        puts $LOADED_FEATURES - result[:a].output.first
      RUBY

      expect(output).to be_empty
    end
  end

  it "needs no file when a step fails because too many files are open" do
    output = ruby(<<~RUBY)
      require "flowline"
      Process.setrlimit(Process::RLIMIT_NOFILE, 40)
      files = []
      result = Flowline.define { |p| p.step(:a) { loop { files << File.open(File::NULL) } } }.run
      files.each(&:close)
      puts result[:a].error.original.class
    RUBY

    expect(output).to eq("Errno::EMFILE\n")
  end

  it "keeps children from being forked for steps meanwhile" do
    loads = Queue.new
    loader = Thread.new { loading.now { loads.pop } }
    Thread.pass until loader.stop?
    forks = Thread.new { Flowline::Executor::Isolation.call { Process.pid } }
    Thread.pass until forks.backtrace.nil? || (forks.stop? && forks.backtrace.join.include?("flowline/loading.rb"))
    expect(forks).to be_alive
    loads << :loaded

    expect(forks.value).not_to eq(Process.pid)
  end
end
