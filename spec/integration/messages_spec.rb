# frozen_string_literal: true

require "open3"
require "stringio"
require "tmpdir"
require "flowline/cli"

RSpec.describe "what people read of a run" do
  let(:own_frame) { /\A#{File.expand_path("../../lib/flowline", __dir__)}/ }

  def fail_deep = raise(ArgumentError, "deep")

  def failing
    Flowline.define do
      step(:work) do
        fail_deep
      rescue ArgumentError
        raise KeyError, "wrapped"
      end
    end
  end

  # An IO that claims to be a terminal so many columns wide.
  def terminal(columns)
    StringIO.new.tap do |io|
      io.define_singleton_method(:tty?) { true }
      io.define_singleton_method(:winsize) { [24, columns] }
    end
  end

  def console(io = StringIO.new, **options, &definition)
    pipeline = Flowline.define(**options, &definition)
    pipeline.run(reporter: Flowline::Reporter::Console.new(io))
    io.string
  end

  describe "the backtrace of run!" do
    %i[sequential parallel process].each do |executor|
      it "has the user's frames of the step, its causes and the call of run!, and none of Flowline, under :#{executor}" do
        error = error_of { failing.run!(executor: executor) }
        line = "#{__FILE__}:#{__LINE__ - 1}:"
        traces = [error, error.original, error.original.cause].map(&:backtrace)
        expect(traces.flatten.grep(own_frame)).to be_empty
        expect(traces.map(&:first)).to match([/messages_spec.rb:.*failing/, /messages_spec.rb:.*failing/, /messages_spec.rb:.*fail_deep/])
        expect(error.backtrace.count { |frame| frame.start_with?(line) }).to be >= 1
      end
    end

    it "has the frames of Flowline with full_backtrace" do
      Flowline.config.full_backtrace = true
      expect(error_of { failing.run! }.backtrace.grep(own_frame)).not_to be_empty
    ensure
      Flowline.config.full_backtrace = false
    end

    it "has only the user's frames of errors before anything runs" do
      expect(error_of { failing.run(x: 1) }.backtrace.first).to start_with("#{__FILE__}:")
      expect(error_of { Flowline.define(name: "x") { step(:a) { 1 } and step(:b, depends_on: :a) { |_| 1 } }.run(only: "b") }.backtrace.first).to start_with("#{__FILE__}:")
    end

    it "is short where nothing rescues the error" do
      Dir.mktmpdir do |dir|
        File.write("#{dir}/script.rb", "def work = raise('no')\npipeline = Flowline.define do\n  step(:a) { work }\nend\npipeline.run!(executor: :parallel)\n")
        _, err, status = Open3.capture3({ "FLOWLINE_STORE" => "off" }, RbConfig.ruby, "-I#{Processes::LIB}", "-rflowline", "#{dir}/script.rb")
        expect([status.exitstatus, err.lines.size]).to eq([1, 3])
        expect(err).to match(/script.rb:1:in .*work'.*step a failed: RuntimeError: no \(.*script.rb:1\).*\n.*script.rb:3:.*\n.*script.rb:5:/)
      end
    end
  end

  describe "a failure block" do
    let(:long) { proc { step(:bad) { raise IOError, "first line\n#{"x" * 10_000}\n\n#{"word " * 500}\nlast" } } }

    it "indents the lines of a message, bounds it, and quotes the user's line once", executor: :sequential do
      rows = console(&long)[/^✗ step.*(?=^━)/m].lines(chomp: true)
      expect(rows[0]).to match(/\A✗ step bad failed: IOError: first line \(spec.*:\d+\)\z/)
      expect(rows[1..3]).to all(start_with("    "))
      expect(rows.map(&:size).max).to be <= 500
      expect(rows.grep(/raise IOError/).size).to eq(1)
      expect(rows.size).to be <= 12
      expect(rows.grep_v(/raise IOError/).join).not_to include('\n')
    end

    it "names the attempt, the time, and what was not done", executor: :sequential do
      text = console do
        step(:rows, retries: 1, retry_delay: 0) { raise IOError, "gone" }
        step(:load, depends_on: :rows) { |_| 1 }
      end
      expect(text).to match(/^  attempt 2 of 2, after \d\.\d\ds$/)
      expect(text).to include("  steps: 1 failed, 1 cancelled; not done: load\n")
    end

    it "names a place once, also of an error that names it itself", executor: :sequential do
      inner = Flowline.define { step(:inside) { raise "boom" } }
      line = __LINE__ - 1
      text = console { step(:outside) { inner.run! } }
      expect(text.scan("messages_spec.rb:#{line}").size).to eq(1)
    end

    it "fits every row into 40 columns, wide characters included", executor: :sequential do
      text = console(terminal(40)) do
        step(:a_step_with_a_name_that_is_longer_than_that) { [1] }
        step(:"名前が長いステップの名前です", retries: 1, retry_delay: 0) { raise IOError, "日本語の長いメッセージ #{"with words " * 20}" }
      end
      rows = text.gsub(/\e\[\d+m/, "").lines(chomp: true)
      expect(rows.map { |row| Flowline::Text.width(row) }.max).to be <= 40
      expect(rows.grep(/…/)).not_to be_empty
      expect(rows[rows.index("")..].size).to be <= 15
    end
  end

  describe "control characters" do
    let(:file) do
      <<~'RUBY'
        Flowline.define(name: "pipe\e]0;title\aline") do
          step("st\e[2Jep") { raise "mess\e[31mage\u202e" }
          step("ok\e[1A", depends_on: "st\e[2Jep") { |_| 1 }
        end
      RUBY
    end

    around { |example| Dir.mktmpdir { |dir| Dir.chdir(dir) { example.run } } }

    it "of names and messages are shown and never reach the terminal" do
      File.write("odd.rb", file)
      commands = [%w[run odd.rb --verbose], %w[run odd.rb --quiet], %w[plan odd.rb], %w[visualize odd.rb], %w[validate odd.rb], %w[status], %w[history],
                  ["run", "odd.rb", "--pipeline", "\e[31m"], ["run", "\e[31m.rb"], ["status", "--pipeline", "\e[31m"], ["run", "odd.rb", "--param", "\e=1"]]
      commands.each do |command|
        _, out, err = Processes.flowline(*command)
        expect(out + err).not_to match(/[\e\a\u202e]/), command.inspect
        expect(out + err).to include('\e')
      end
    end
  end

  describe "bounds" do
    it "of messages hold for thousands of names and problems" do
      names = Array.new(5_000) { |n| :"step_number_#{n}" }
      pipeline = Flowline.define { names.each { |name| step(name) { 1 } } }
      expect(error_of { pipeline.run(from: :zzz) }.message.size).to be < 2_000
      expect(error_of { pipeline.run(**names.to_h { |name| [name, 1] }) }.message.size).to be < 10_000
    end
  end

  it "names FLOWLINE_EXECUTOR and the configuration as the source of an unknown executor" do
    before = ENV.fetch("FLOWLINE_EXECUTOR", nil)
    ENV["FLOWLINE_EXECUTOR"] = "paralel"
    expect(error_of { failing.run }.message).to eq('FLOWLINE_EXECUTOR: unknown executor "paralel"; did you mean parallel?')
    Flowline.config.executor = :proces
    expect(error_of { failing.run }.message).to eq("Flowline.config.executor: unknown executor :proces; did you mean process?")
  ensure
    Flowline.config.executor = nil
    ENV["FLOWLINE_EXECUTOR"] = before
  end

  it "of run! with dry_run: is the plan" do
    expect(failing.run!(dry_run: true)).to be_a(Flowline::Plan)
  end
end

RSpec.describe "The warning of an expensive record", executor: :in_process do
  # A value that takes 150 ms to marshal.
  slow = Class.new do
    def marshal_dump
      sleep 0.15
      "x" * 2_000
    end

    def marshal_load(_) = nil
  end

  before { stub_const("SlowToRecord", slow) }

  def run_of(**options, &definition)
    Flowline.define(name: "expensive", **options, &definition).run
  end

  it "names the output that took longer to record than to make, once a run, with its size and the way out" do
    warnings = run_of { 2.times { |n| step(:"made#{n}") { SlowToRecord.new } } }.warnings
    expect(warnings).to match([/\Athe output of step made\d \(2\.0 KB\) took longer to record \(0\.1\ds\) than to make \(0\.00s\); checkpoint: false leaves it out/])
  end

  it "is missing where making took longer, and where nothing is recorded" do
    expect(run_of { step(:made) { sleep(0.3) && SlowToRecord.new } }.warnings).to be_empty
    expect(run_of { step(:made, checkpoint: false) { SlowToRecord.new } }.warnings).to be_empty
  end
end
