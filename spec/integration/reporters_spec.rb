# frozen_string_literal: true

require "json"
require "logger"
require "stringio"

RSpec.describe Flowline::Reporter do
  # An IO that claims to be a terminal.
  let(:tty) { StringIO.new.tap { |io| def io.tty? = true } }
  let(:out) { StringIO.new }

  def with_durations(text)
    text.gsub(/\d+\.\d\ds/, "0.00s")
  end

  def console(io = out, **options, &definition)
    run(reporter: Flowline::Reporter::Console.new(io), **options, &definition)
    with_durations(io.string)
  end

  def mixed
    proc do
      step(:fetch_users) { Array.new(1234) }
      step(:fetch_products) { Array.new(5678) }
      step(:one) { { a: 1 } }
      step(:transform, depends_on: :fetch_users) { |_| :done }
    end
  end

  describe "Console" do
    it "writes a line for each step between two rules", executor: :sequential do
      expect(console(define: { name: "data_import" }, &mixed)).to eq(<<~TEXT)
        Pipeline: data_import
        ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
        ✓ fetch_users      0.00s   1,234 records
        ✓ fetch_products   0.00s   5,678 records
        ✓ one              0.00s
        ✓ transform        0.00s
        ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
        Elapsed: 0.00s | Steps: 4/4
      TEXT
    end

    it "aligns the columns to the longest name, and titles a pipeline without a name \"unnamed\"" do
      text = console do
        step(:a) { 1 }
        step(:a_step_with_a_rather_long_name) { 1 }
      end
      expect(text).to start_with("Pipeline: unnamed\n")
      expect(text.lines.grep(/✓/).map { |line| line.index("0.00s") }.uniq).to eq([2 + 30 + 3])
    end

    it "writes the number of records, of attempts and a timeout after the time", executor: :sequential do
      tries = 0
      text = console do
        step(:rows, retries: 1) { (tries += 1) > 1 ? [1, 2] : raise(IOError) }
        step(:slow, timeout: 0.01, optional: true) { sleep }
      end
      expect(text).to match(/^✓ rows +0\.00s   2 records, 2 attempts$/).and match(/^✗ slow +0\.00s   timed out$/)
    end

    it "lists other failures", executor: :sequential do
      text = console(on_error: :continue) { 6.times { |n| step(:"bad#{n}") { raise "no #{n}" } } }
      block = text[/^$.*?(?=^━)/m]
      expect(block).to include("✗ step bad0 failed: RuntimeError: no 0", "  also: step bad1 failed: RuntimeError: no 1", "  also: step bad2 failed", "  also: 3 more\n")
      expect(block.lines.size).to be <= 12
      expect(console(StringIO.new, on_error: :continue) { 4.times { |n| step(:"bad#{n}") { raise "no #{n}" } } }.scan(/^  also: step/).size).to eq(3)
    end

    it "names the failed item, the step that called exit, and the way to resume once" do
      expect(console { step(:rows) { [7] } and step(:map, each: :rows) { |_| raise "no" } })
        .to match(/✗ step map failed at item 1 \(7\).*\n.*\n  attempt 1 of 1, after 0\.\d\ds\n  0 of 1 item is recorded; resume tries 1$/)
      left = StringIO.new
      expect { console(left, define: { name: "left" }) { step(:leave) { exit(3) } } }.to raise_error(SystemExit)
      expect(left.string).to include("✗ the run was cancelled (interrupted: SystemExit while leave ran) before every step had ended\n")
      expect(left.string.scan("resume: true").size).to eq(1)
    end

    it "only appends lines" do
      seen = []
      io = StringIO.new
      pipeline = Flowline.define(&mixed)
      pipeline.run(reporter: [Flowline::Reporter::Console.new(io), ->(_) { seen << io.string.dup }])
      expect(seen.each_cons(2)).to(be_all { |before, after| after.start_with?(before) })
      expect(seen).to all(satisfy { |text| text.empty? || text.end_with?("\n") })
      expect(seen.uniq.size).to eq(1 + 4 + 1)
      expect(seen.last).not_to match(/[\r\e]/)
    end

    it "writes a failure block of at most 12 lines: the error, its line, what was done and what was not" do
      text = console do
        step(:rows) { [1, 2] }
        step(:bad, depends_on: :rows) { |_| raise ArgumentError, "a line\n" * 40 } # the very line
        step(:rest, depends_on: :bad) { |_| 1 }
      end
      expect(text).to match(/^✗ bad +0\.00s$/).and match(/^⏸ rest +run_failed$/).and include("Steps: 1/3")
      block = text[/^\n.*(?=^━+$)/m]
      expect(block.lines.size).to be_between(4, 12)
      expect(block).to include("bad", "ArgumentError", "a line", "# the very line", "rows: Array (2)", "1 succeeded, 1 failed, 1 cancelled")
    end

    it "reports a failure outside of steps" do
      text = console do
        before_run { raise "no disk" }
        step(:a) { 1 }
      end
      expect(text).to match(/^⏸ a +run_failed$/).and match(/^✗ hook before_run failed: RuntimeError: no disk/)
      expect(text).to start_with("Pipeline: unnamed\n━")
    end

    it "reports an interruption" do
      expect { console { step(:a) { raise Interrupt } } }.to raise_error(Interrupt)
      expect(out.string).to match(/^⏸ a +\d\.\d\ds +interrupted$/).and match(/^✗ the run was cancelled/)
    end

    it "writes warnings, and indents their further lines" do
      text = console do
        after_step { raise "two\nlines" }
        step(:a) { 1 }
      end
      expect(text).to match(/^⚠ hook after_step failed: RuntimeError: two\n  lines \(spec.+:\d+\)\n/)
      expect(text.lines.size).to eq(7)
    end

    it "uses colours on a terminal only, and not with NO_COLOR" do
      definition = proc do
        step(:ok) { 1 }
        step(:skip, when: ->(_) { false }) { 1 }
        step(:may, optional: true) { raise "x" }
      end
      before = ENV.fetch("NO_COLOR", nil)
      ENV.delete("NO_COLOR")
      text = console(tty, &definition)
      expect(text).to include("\e[32m✓\e[0m ok", "\e[33m⏸\e[0m skip", "\e[31m✗\e[0m may", "\e[33m⚠\e[0m ")
      expect(console(StringIO.new, &definition)).not_to include("\e")
      ENV["NO_COLOR"] = ""
      expect(console(StringIO.new.tap { |io| def io.tty? = true }, &definition)).to include("\e")
      ENV["NO_COLOR"] = "1"
      expect(console(StringIO.new.tap { |io| def io.tty? = true }, &definition)).not_to include("\e")
    ensure
      ENV["NO_COLOR"] = before
    end

    it "writes to standard error" do
      expect { run(reporter: :console) { step(:a) { 1 } } }.to output(/✓ a/).to_stderr.and output("").to_stdout
    end

    it "redacts secrets" do
      text = console(token: "hunter2", pin: "hunter2-and-more") do
        param :token, secret: true
        param :pin, secret: true
        after_step { raise "hook hunter2-and-more" }
        step(:a) { raise "step hunter2-and-more \"hunter2\"" }
      end
      expect(text.lines.grep_v(/raise "/).join).to include("[secret]").and(satisfy { |all| !all.match?(/hunter2|and-more/) })
    end

    it "starts counting again with each run" do
      reporter = Flowline::Reporter::Console.new(out)
      pipeline = Flowline.define { step(:a) { 1 } }
      2.times { pipeline.run(reporter: reporter) }
      expect(out.string.scan("Steps: 1/1").size).to eq(2)
    end

    it "accepts names and outputs of any kind" do
      text = console do
        step(:"é\nñ") { BasicObject.new }
        step(:"日本") { nil }
        step(:"") { "text" }
      end
      expect(text.lines.size).to eq(7)
      expect(text).to include("✓ é\\nñ", "✓ 日本", '✓ ""')
    end
  end

  describe "JSON" do
    def json(**options, &definition)
      run(reporter: Flowline::Reporter::JSON.new(out), **options, &definition)
      out.string.lines.map { |line| JSON.parse(line) }
    end

    it "writes one object a line, with the same keys in the same order" do
      lines = json(define: { name: "j" }, on_error: :continue, p: 1) do
        param :p
        step(:ok) { 1 }
        step(:skip, depends_on: :ok, when: ->(_) { false }) { |_| 1 }
        step(:bad, depends_on: :skip, run_if: :always) { |_| raise "two\nlines" }
      end
      every = %w[event number time run_id pipeline]
      finished = %w[step status reason attempts started_at duration report error items]
      expect(lines.map { |line| [line["event"], line.keys - every] }.uniq)
        .to eq([["run_started", %w[params steps resumed]], ["step_started", %w[step]], ["step_finished", finished],
                ["run_finished", %w[status started_at duration error warnings steps resumed]]])
      expect(lines.map { |line| line.keys.first(5) }.uniq).to eq([every])
      expect(lines.map { |line| line.values_at("run_id", "pipeline") }.uniq).to eq([[lines[0]["run_id"], "j"]])
      expect(lines.map { |line| line["step"] }.compact).to eq(%w[ok ok skip bad bad])
      expect(lines.first).to include("params" => { "p" => 1 }, "steps" => 3)
      expect(lines.last["error"]).to include("original" => "RuntimeError", "message" => a_string_matching(/two \(.+:\d+\)\nlines\z/))
    end

    it "writes times in ISO 8601" do
      lines = json { step(:a) { 1 } }
      times = lines.map { |line| line["time"] } + lines.last["steps"].map { |step| step["started_at"] } + [lines.last["started_at"]]
      expect(times.map { |time| Time.iso8601(time) }).to all(be_within(60).of(Time.now))
      expect(times).to all(match(/T\d\d:\d\d:\d\d\.\d{6}/))
    end

    it "writes params of any kind in types that JSON has" do
      params = { date: Time.at(0).utc, nan: Float::NAN, bin: "\xff".b, bad: "\xff", sym: :s, list: [1, { a: nil }], big: 10**30 }
      line = json(params: params) do
        params.each_key { |name| param name }
        step(:a) { 1 }
      end.first
      expect(line["params"]).to eq("date" => "1970-01-01T00:00:00.000000Z", "nan" => "NaN", "bin" => "\uFFFD", "bad" => "\uFFFD", "sym" => "s",
                                   "list" => [1, { "a" => nil }], "big" => 10**30)
    end

    it "redacts secrets and leaves out outputs" do
      json(token: "hunter2") do
        param :token, secret: true
        after_run { raise "hook hunter2" }
        step(:out) { "the output" }
        step(:bad, depends_on: :out) { |_| raise KeyError, "step hunter2" }
      end
      expect(out.string).to include("[secret]")
      expect(out.string).not_to match(/hunter2|the output/)
    end

    it "writes to standard output" do
      expect { run(reporter: :json) { step(:a) { 1 } } }.to output(/\A(\{.+\}\n){4}\z/).to_stdout.and output("").to_stderr
    end
  end

  describe "Logger" do
    let(:logger) { Logger.new(out).tap { |logger| logger.formatter = ->(severity, _, _, text) { "#{severity} #{with_durations(text)}\n" } } }

    # Each line without what is the same in all of them.
    def logged(name: "import", **options, &definition)
      result = run(define: { name: name }, reporter: Flowline::Reporter::Logger.new(logger), **options, &definition)
      out.string.lines(chomp: true).map { |line| line.sub("[Flowline] [#{name || "unnamed"}] [#{result.run_id}] ", "").gsub(result.run_id, "RUN") }
    end

    it "writes a line for each thing that happens, with a level", executor: :sequential do
      lines = logged(id: "8", on_error: :continue) do
        param :id
        step(:fetch) { [1, 2] }
        step(:skip, when: ->(_) { false }) { 1 }
        step(:load, depends_on: :fetch, retries: 1, retry_if: ->(_) { true }) { |_, ctx| ctx.log.info("try") && raise(KeyError, "no key\nat all") }
        step(:after, depends_on: :load) { |_| nil }
        step(:report) { |ctx| ctx.report(rows: 1234) }
        step(:each, each: :fetch, on_item_error: :collect) { |item| item == 1 ? raise("odd") : item }
      end
      expect(lines).to match([
                               "INFO started (id: 8)", "DEBUG [fetch] started", "INFO [fetch] succeeded in 0.00s, 2 records", "DEBUG [load] started", "INFO [load] try",
                               "WARN [load] attempt 1 failed: KeyError: no key; again at once", "INFO [load] try",
                               "ERROR [load] failed after 2 attempts in 0.00s: KeyError: no key (spec/integration/reporters_spec.rb:#{__LINE__ - 8})",
                               "INFO [after] cancelled (upstream_failed)", "DEBUG [skip] skipped (condition)", "DEBUG [report] started",
                               "INFO [report] succeeded in 0.00s, rows: 1,234", "DEBUG [each] started", "INFO [each] succeeded in 0.00s, 2 records, 1 item failed",
                               a_string_starting_with("WARN 1 of 2 items of step each failed"),
                               "ERROR failed in 0.00s: 3 succeeded, 1 skipped, 1 failed, 1 cancelled; run(resume: \"RUN\") resumes it"
                             ])
    end

    it "writes warnings, what is resumed, and why a run that no step failed did not succeed" do
      pipeline = Flowline.define(name: "slow") { step(:a, retries: 1, retry_if: ->(_) { raise "odd" }) { sleep } }
      pipeline.run(timeout: 0.05)
      pipeline.run(timeout: 0.05, resume: true, reporter: described_class::Logger.new(logger))
      expect(out.string).to match(/INFO .*\] resuming run \d{8}T\d{6}-\h{8} of .*: 0 steps restored\n/).and match(/ERROR .*\] timed out in 0.00s: 1 timed out; run\(resume: /)
    end

    it "keeps every line one line, whatever is in names and messages" do
      expect(logged(name: "a\nb\e[31m") { step(:"x\ny") { raise "\e[2J" } }.size).to eq(4)
      expect(out.string).not_to include("\e")
    end

    it "is asked for as :logger, with the logger of the context, the configuration, or standard error" do
      pipeline = Flowline.define { step(:a) { 1 } }
      expect { pipeline.run(reporter: :logger) }.to output(/\[Flowline\] \[unnamed\] \[.*\] \[a\] succeeded/).to_stderr
      pipeline.run(reporter: :logger, context: { logger: logger })
      expect(out.string.lines.size).to eq(4)
      allow(Flowline).to receive(:config).and_return(Flowline::Configuration.new.tap { |config| config.logger = logger })
      pipeline.run(reporter: :logger)
      expect(out.string.lines.size).to eq(8)
    end

    it "uses the tags of a logger that has some" do
      tags = []
      logger.define_singleton_method(:tagged) { |*given, &block| (tags << given) && block.call }
      result = run(define: { name: "t" }, reporter: Flowline::Reporter::Logger.new(logger)) { step(:a) { 1 } }
      expect(tags).to eq([["Flowline", "t", result.run_id], *[["Flowline", "t", result.run_id, "a"]] * 2, ["Flowline", "t", result.run_id]])
      expect(out.string).to start_with("INFO started\n")
    end
  end

  it "is that of the configuration unless the run has one" do
    seen = []
    allow(Flowline).to receive(:config).and_return(Flowline::Configuration.new.tap { |config| config.reporter = ->(event) { seen << event.name } })
    run { step(:a) { 1 } }
    expect(seen).to eq(%i[run_started step_started step_finished run_finished])
    [nil, false, []].each { |none| run(reporter: none) { step(:a) { 1 } } }
    expect(seen.size).to eq(4)
    Flowline.config.reporter = :consle
    expect { run { step(:a) { 1 } } }.to raise_error(Flowline::ParamError, /unknown reporter :consle; did you mean/)
  end

  describe "a custom reporter" do
    it "may be a lambda, an object, or a list that is notified in order" do
      log = []
      object = Object.new.tap { |o| o.define_singleton_method(:call) { |event| log << [:object, event.name] } }
      run(reporter: [->(event) { log << [:lambda, event.name] }, object, nil, Flowline::Reporter::JSON.new(out)]) { step(:a) { 1 } }
      expect(log.each_slice(2).map { |pair| pair.map(&:first) }.uniq).to eq([%i[lambda object]])
      expect(out.string.lines.size).to eq(log.size / 2)
    end

    it "is skipped with one warning after it raised, and the others are still notified" do
      calls = []
      bad = Struct.new(:number) do
        define_method(:call) do |event|
          calls << number
          raise "broken" if event.name == :step_started
        end
      end
      twin = bad.new(1)
      still = []
      # The two are equal, but only one of them is broken.
      good = bad.new(1).tap { |b| b.define_singleton_method(:call) { |event| still << event.name } }
      result = run(reporter: [twin, good]) do
        after_step { still << :hook }
        step(:a) { 1 }
      end
      expect(result).to be_success
      expect(calls.size).to eq(2)
      expect(still).to eq(%i[run_started step_started hook step_finished run_finished])
      expect(result.warnings).to match([a_string_including("left out", "RuntimeError", "broken")])
    end

    it "is skipped after it raised an exception without a message" do
      mute = Class.new(StandardError) { def message = raise("no message") }
      result = run(reporter: ->(_) { raise mute }) { step(:a) { 1 } }
      expect(result.outputs).to eq(a: 1)
      expect(result.warnings).to match([a_string_including("left out")])
    end

    {
      "calls a method that is not there yet" => ->(_) { raise NotImplementedError, "later" },
      "requires a library that is not there" => ->(_) { require "flowline/no_such_library" },
      "never ends to call itself" => (endless = ->(event) { endless.call(event) })
    }.each do |what, broken|
      it "is left out, and fails nothing, when it #{what}" do
        result = run(reporter: broken) { step(:a) { 1 } }
        expect([result.status, result.outputs]).to eq([:succeeded, { a: 1 }])
        expect(result.warnings).to match([/left out: (NotImplementedError|LoadError|SystemStackError)/])
      end
    end

    it "ends the run when it exits", executor: :sequential do
      expect { run(reporter: ->(_) { exit 3 }) { step(:a) { 1 } } }.to raise_error(SystemExit)
    end

    it "causes a warning when it raises at the end of the run" do
      result = run(reporter: ->(event) { raise "late" if event.name == :run_finished }) { step(:a) { 1 } }
      expect(result.warnings).to match([a_string_including("late")])
    end

    it "ends the run in good order when it is interrupted" do
      log = []
      pipeline = Flowline.define do
        after_run { |result| log << result.status }
        step(:a) { 1 }
        step(:b, depends_on: :a) { |_| 1 }
      end
      once = [Interrupt]
      reporter = ->(event) { raise once.pop if event.name == :step_finished && once.any? }
      expect { pipeline.run(reporter: reporter) }.to raise_error(Interrupt)
      expect(log).to eq([:cancelled])
    end

    it "is skipped with a warning when its pipe is closed" do
      [Flowline::Reporter::Console, Flowline::Reporter::JSON].each do |type|
        reader, writer = IO.pipe
        reader.close
        result = run(reporter: type.new(writer.tap { |io| io.sync = true })) { step(:a) { 1 } }
        expect(result.outputs).to eq(a: 1)
        expect(result.warnings).to match([a_string_including("left out", "EPIPE")])
      ensure
        writer.close
      end
    end
  end

  it "may be nil, false or an empty list" do
    [nil, false, []].each { |none| expect(run(reporter: none) { step(:a) { 1 } }).to be_success }
  end

  it "suggests known reporters for an unknown one" do
    expect { run(reporter: :consle) { step(:a) { 1 } } }.to raise_error(Flowline::ParamError, /did you mean console\?/)
    expect { run(reporter: [3]) { step(:a) { 1 } } }.to raise_error(Flowline::ParamError, /one of console, progress, json/)
  end
end
