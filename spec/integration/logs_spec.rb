# frozen_string_literal: true

RSpec.describe "The log of a run" do
  # The lines of a run as stream, text, attempt and item, by step.
  def lines(run_id = nil)
    run = run_id ? Flowline::History.run(run_id) : Flowline::History.runs(limit: 1).first
    run.logs.group_by(&:step).transform_values { |found| found.map { |line| [line.stream, line.text, line.attempt, line.item] } }
  end

  def texts(step = :a)
    (lines[step] || []).map { |_, text| text }
  end

  # A run whose prints reach nobody.
  def quiet(name: "logs", define: {}, **options, &definition)
    before = [$stdout, $stderr]
    $stdout, $stderr = StringIO.new, StringIO.new
    result = Flowline.define(name: name, **define, &definition).run(**options)
    [result, $stdout.string, $stderr.string]
  ensure
    $stdout, $stderr = before
  end

  describe "ctx.log" do
    it "adds lines with their step, time, level, attempt and item" do
      quiet(executor: :sequential) do
        step(:rows) { |ctx| (ctx.log.info "two\nlines") && [1, 2] }
        step(:map, each: :rows, retries: 1) do |row, ctx|
          ctx.log.warn { "row #{row}" }
          raise "again" if row == 1 && (@tries = @tries.to_i + 1) == 1
        end
      end
      expect(lines[:rows]).to eq([[:log, "two", 1, nil], [:log, "lines", 1, nil]])
      expect(lines[:map]).to contain_exactly([:log, "row 1", 1, 0], [:log, "row 1", 2, 0], [:log, "row 2", 1, 1])
      line = Flowline::History.runs.first.logs(:map).first
      expect(line).to have_attributes(level: :warn, time: be_within(60).of(Time.now), number: 0)
    end

    it "has the levels of a Logger" do
      quiet do
        step(:a) do |ctx|
          log = ctx.log
          log.debug "d"
          log.level = :warn
          log.info "hidden"
          log.warn { "w" }
          log.error KeyError.new("gone")
          log.add(:fatal, nil, "f")
          log << "raw" << 5
          log.info { raise "not called" } unless log.info?
        end
      end
      expect(Flowline::History.runs.first.logs.map { |line| [line.level, line.text] })
        .to eq([[:debug, "d"], [:warn, "w"], [:error, "KeyError: gone"], [:fatal, "f"], [:unknown, "raw"], [:unknown, "5"]])
    end

    it "refuses a level that there is not" do
      result, = quiet { step(:a) { |ctx| ctx.log.add(:wran, "x") } }
      expect(result.error.original.message).to match(/\Athere is no level :wran; did you mean :?warn\?/)
    end

    it "is that of the run in hooks, and writes nothing where nobody reads it" do
      quiet do
        before_run { |ctx| ctx.log.info "hook" }
        step(:a) { 1 }
      end
      expect(lines).to eq(nil => [[:log, "hook", nil, nil]])
      expect(Flowline.define { step(:a) { |ctx| ctx.log.info("nobody") } }.run.success?).to be(true)
    end

    it "comes from forked children" do
      quiet(executor: :process) do
        step(:rows) { |ctx| (ctx.log.info "child") && [1] }
        step(:map, each: :rows) { |row, ctx| ctx.log.error("row #{row}") }
      end
      expect(lines).to eq(rows: [[:log, "child", 1, nil]], map: [[:log, "row 1", 1, 0]])
    end

    it "reaches observers of the event log while the step runs", executor: :in_process do
      seen = Queue.new
      go = Queue.new
      pipeline = Flowline.define { |p| p.step(:a) { |ctx| ctx.log.info("now") && go.pop } }
      run = pipeline.start(executor: :parallel, reporter: Flowline::Reporter.for(:log) { |event| seen << event })
      event = seen.pop
      expect(event.to_h).to include(event: :log, step: :a, stream: :log, level: :info, text: "now", attempt: 1, item: nil)
      go << 1
      run.wait(10)
    end
  end

  describe "capture: true" do
    it "adds what steps print, and prints it as well" do
      _, out, err = quiet(define: { capture: true }, executor: :parallel) do
        step(:a) do
          puts "one"
          print "t", "w"
          $stdout << "o\n"
          printf("%<n>d\n", n: 3)
          p :four
          $stdout.putc "5"
          warn "err"
        end
      end
      expect([out, err]).to eq(["one\ntwo\n3\n:four\n5", "err\n"])
      expect(lines[:a]).to contain_exactly(*%w[one two 3 :four 5].map { |text| [:out, text, 1, nil] }, [:err, "err", 1, nil])
    end

    it "is for single steps, too, and off unless it is asked for" do
      quiet do
        step(:a, capture: true) { puts "a" }
        step(:b) { puts "b" }
      end
      expect(lines.keys).to eq([:a])
      quiet(define: { capture: true }, capture: false) { step(:a) { puts "a" } }
      expect(lines).to be_empty
    end

    it "is the default in forked children" do
      quiet(executor: :process) { step(:a) { puts "child" } }
      expect(lines[:a]).to eq([[:out, "child", 1, nil]])
      quiet(executor: :process, capture: false) { step(:a) { puts "child" } }
      expect(lines).to be_empty
    end

    it "has what native code and other programs write, in a process of their own" do
      _, out, err = quiet(define: { capture: true }, executor: :process) do
        step(:a) do
          puts "before"
          system("echo program; echo error >&2")
          STDOUT.write("constant\n") # rubocop:disable Style/GlobalStdStream
          puts "after"
        end
      end
      expect(out).to eq("before\nprogram\nconstant\nafter\n")
      expect(err).to eq("error\n")
      expect(texts - ["error"]).to eq(%w[before program constant after])
    end

    it "has what a process printed that was killed" do
      result, = quiet(define: { capture: true }, executor: :process) do
        step(:a) { puts("last words") || (Process.kill(:KILL, Process.pid) && sleep) }
      end
      expect(result.error.message).to match(/SIGKILL/)
      expect(texts).to eq(["last words"])
    end

    it "keeps lines whole and with their step, however many threads print" do
      count = 200
      quiet(define: { capture: true }, executor: :parallel, max_threads: 8) do
        8.times { |i| step(:"s#{i}") { count.times { |n| print "s#{i} ", "line #{n}\n" } } }
      end
      8.times { |i| expect(texts(:"s#{i}")).to eq(Array.new(count) { |n| "s#{i} line #{n}" }) }
    end

    it "adds what is printed with a chain of calls, and lets the stream be asked, copied, redirected and closed as without it" do
      file = "#{ENV.fetch("FLOWLINE_ROOT")}-streams.rb"
      File.write(file, <<~'RUBY')
        require "flowline"
        require "fcntl"
        result = Flowline.define(name: "streams", capture: true) do
          step(:chain) { $stdout.binmode.flush.puts("x") || $stdout.fcntl(Fcntl::F_GETFL, 0) }
          step(:quiet, depends_on: :chain) { |_| (saved = $stdout.dup) && $stdout.reopen("/dev/null") && puts("hidden") || ($stdout.reopen(saved) && saved.close) }
          step(:after, depends_on: :quiet) { |_| puts "after" }
        end.run
        puts [result.status, *Flowline::History.runs.first.logs.map(&:text)].join(" ")
      RUBY
      out, status = Open3.capture2(RbConfig.ruby, *$LOAD_PATH.map { |path| "-I#{path}" }, file)
      expect([status.success?, out]).to eq([true, "x\nafter\nsucceeded x hidden after\n"])
    ensure
      FileUtils.rm_f(file)
    end

    it "leaves $stdout and $stderr as they were" do
      before = [$stdout, $stderr]
      Flowline.define(name: "logs", capture: true) { step(:a) { raise "no" } }.run
      expect([$stdout, $stderr]).to eq(before)
      expect($stdout).to equal(before.first)
    end
  end

  describe "whatever is logged" do
    it "is bounded: the first and the last lines of a step stay" do
      quiet { step(:a) { |ctx| 5_000.times { |n| ctx.log.info("line #{n}") } } }
      expect(texts.size).to be_between(1_000, 1_499) # They are removed in the pieces in which they were written, if it took some time.
      expect([texts.first, texts[499], texts[-500], texts.last]).to eq(["line 0", "line 499", "line 4500", "line 4999"])
      _, out, = flowline("logs")
      expect(out.lines[500]).to eq("… #{5_000 - texts.size} lines of a left out\n")
    end

    it "is bounded by the configured number" do
      Flowline.configure { |config| config.log_lines = 2 }
      quiet { step(:a) { |ctx| 9.times { |n| ctx.log.info(n.to_s) } } }
      expect(texts).to eq(%w[0 1 7 8])
      expect { Flowline.config.log_lines = 0 }.to raise_error(ArgumentError, "log_lines: must be a whole number from 1 up, not 0")
    ensure
      Flowline.config.log_lines = 500
    end

    it "takes no more memory than that, of a gigabyte as of a line" do
      context = Flowline::Context.new("p", {}, {}, nil, {})
      lines = Flowline::Recording::Lines.new(context, 10, keeps: true, recalls: false)
      text = "x" * 1_000
      20_000.times { lines.add([0, 1, nil], :out, text) }
      GC.start
      expect(lines.store { |rows| rows }.sum { |row| row[3].bytesize }).to be < 25_000
      expect(ObjectSpace.each_object(Flowline::Event::Line).count).to be < 5_000
    end

    it "may have very long lines, of which the beginning stays" do
      quiet(define: { capture: true }) { step(:a) { |ctx| ctx.log.info("x" * 10_000_000) && print("y" * 10_000_000, "\nz\n") } }
      expect(texts.map(&:size).max).to be < 5_000
      expect(texts).to match([match(/\Ax{4096} … \(10000000 characters\)\z/), match(/\Ay{4096} … \(\d+ characters\)\z/), "z"])
    end

    it "may be any bytes" do
      quiet(define: { capture: true }) { step(:a) { |ctx| ctx.log.info("a\xFF\x00b".b) && $stdout.write("\xE6\x97".b, "\xA5\n".b, "\xFE\n") } }
      expect(texts).to eq(["a\uFFFD\u0000b", "日", "\uFFFD"])
    end

    it "may be in any encoding" do
      text = "plain\nlines"
      encodings = [Encoding::UTF_16, Encoding::UTF_16LE, Encoding::UTF_32BE, Encoding::IBM037, Encoding::ISO_2022_JP]
      quiet { step(:a) { |ctx| encodings.each { |encoding| ctx.log.info(text.encode(encoding)) } && ctx.log.info("x".dup.force_encoding("UTF-7")) } }
      expect(texts).to eq([*%w[plain lines] * encodings.size, "x"])
    end

    it "keeps the last state of a bar of progress" do
      quiet(define: { capture: true }) { step(:a) { 20_000.times { |n| print "\r#{n} of 20000" } } }
      expect(texts).to eq(["19999 of 20000"])
    end

    it "keeps the last state of a bar of progress of whatever length" do
      [3_000, 5_000, 9_000].each do |count|
        quiet(define: { capture: true }) { step(:a) { |ctx| count.times { |n| print "\rstate #{n}" } && ctx.log.info("x\ry\r" * count) } }
        expect(texts).to eq(["y", "state #{count - 1}"])
      end
    end

    it "is no command for a terminal when it is shown" do
      quiet { step(:a) { |ctx| ctx.log.info("\e[2Jgone\u202E") } }
      _, out, = flowline("logs")
      expect(out).to end_with("a info  \\e[2Jgone\\u202E\n")
      _, out, = flowline("logs", "--json")
      expect(JSON.parse(out)["text"]).to eq("\e[2Jgone\u202E")
    end

    it "contains no secrets, in one piece, in several, or over several lines" do
      key = "-----BEGIN\nabcdef\n-----END"
      quiet(define: { capture: true }, token: "hunter2", key: key) do
        param :token, secret: true
        param :key, secret: true
        step(:a) do |ctx|
          ctx.log.info "token hunter2"
          print "hun"
          print "ter2\n"
          puts ctx.params[:key]
          ctx.log.info ctx.params[:key]
        end
      end
      expect(texts.join("\n")).not_to match(/hunter2|abcdef/)
      expect(Dir[File.join(ENV.fetch("FLOWLINE_ROOT"), "**", "*")].select { |path| File.file?(path) && File.binread(path).match?(/hunter2|abcdef/) }).to be_empty
    end

    it "does not keep the run from being recorded if there is no room for it" do
      allow_any_instance_of(Flowline::Store::SQLite).to receive(:finish_run).and_wrap_original do |original, ended, *rest, **options|
        raise Flowline::StoreError.new("/s", "the disk is full", :full) if ended.lines.any?

        original.call(ended, *rest, **options)
      end
      result, = quiet { step(:a) { |ctx| ctx.log.info("x\ny") } }
      expect(result.status).to eq(:succeeded)
      expect(result.warnings).to eq(["2 lines of the log of the run are not recorded: the disk is full; everything else is"])
      expect(Flowline::History.runs.first).to have_attributes(status: :succeeded, warnings: result.warnings)
    end

    it "is written while the run goes on, so that it survives a process that is killed" do
      run = child do
        Flowline.define(name: "long") { step(:a) { |ctx| ctx.log.info("alive") && sleep } }.run
      end
      eventually { Flowline::History.runs.first&.logs&.any? }
      run.kill
      expect([Flowline::History.runs.first.status, texts]).to eq([:crashed, ["alive"]])
    end
  end

  describe "flowline logs" do
    it "shows the latest run, one run, or one step" do
      2.times { |n| quiet { step(:a) { |ctx| ctx.log.info("run #{n}") } && step(:b, depends_on: :a) { |_, ctx| ctx.log.warn("b") } } }
      first = Flowline::History.runs.last.run_id
      expect(flowline("logs")[1]).to match(/\A\d\d:\d\d:\d\d\.\d{3} a info  run 1\n\d\S+ b warn  b\n\z/)
      expect(flowline("logs", first)[1]).to match(/run 0/)
      expect(flowline("logs", "b")[1].lines.size).to eq(1)
      expect(flowline("logs", first, "a")[1]).to match(/\A\S+ a info  run 0\n\z/)
    end

    it "shows the last lines only with --tail or -n, also of a run that it follows with -f" do
      quiet { step(:a) { |ctx| 5.times { |n| ctx.log.info("line #{n}") } } }
      [%w[--tail 2], %w[-n 2], %w[-f -n2], %w[--follow --tail=2]].each do |options|
        expect(flowline("logs", *options)[1].lines.map { |line| line[/line \d/] }).to eq(["line 3", "line 4"])
      end
      expect(flowline("logs", "--tail", "9")[1].lines.size).to eq(5)
      expect(flowline("history", "-n", "1")[1].lines.size).to eq(1)
    end

    it "says what there is not" do
      expect(flowline("logs")).to match([1, "", /logs: there is no store at /])
      quiet { step(:fetch) { 1 } }
      expect(flowline("logs", "fetsh")).to match([1, "", /neither a run fetsh nor a step of that name in run \S+; did you mean fetch\?/])
      expect(flowline("logs")).to match([0, "", /no lines of any step in run/])
    end

    it "follows a run to its end" do
      run = child do
        Flowline.define(name: "long") { step(:a) { |ctx| 3.times { |n| ctx.log.info("line #{n}") && sleep(0.3) } } }.run
      end
      eventually { Flowline::History.runs.first }
      code, out, = flowline("logs", "--follow")
      run.value
      expect([code, out.scan(/line \d/)]).to eq([0, ["line 0", "line 1", "line 2"]])
    end
  end

  describe "at the end of a failed run" do
    # @return [String] what the console says of a run
    def console(**define, &definition)
      out = StringIO.new
      quiet(name: nil, define: define, reporter: Flowline::Reporter::Console.new(out, progress: @progress || :auto), &definition)
      out.string
    end

    it "is shown below the failure: the last ten lines of the failed step" do
      text = console do
        step(:before) { |ctx| ctx.log.info("not of the step that failed") && 1 }
        step(:load, depends_on: :before) do |_, ctx|
          12.times { |n| ctx.log.info "row #{n}\e[31m" }
          raise "down"
        end
      end
      expect(text).to match(/^  steps: 1 succeeded, 1 failed\n  the last 10 lines of its log:\n    row 2\\e\[31m\n(    row \d+\\e\[31m\n){8}    row 11\\e\[31m\n/)
      expect(text).not_to include("not of the step")
    end

    it "is shown with the items that the lines are of, also of a run that shows failures only" do
      @progress = :none
      text = console do
        step(:rows) { [1, 2] }
        step(:map, each: :rows) { |row, ctx| ctx.log.info("row #{row}") && row == 2 ? raise("no") : row }
      end
      expect(text).to include("  the last 2 lines of its log:\n    [1] row 1\n    [2] row 2\n")
    end

    it "is shown with what the step printed, if that was captured, and without secrets", executor: :in_process do
      text = console(capture: true) do
        param :token, default: "sesame-open", secret: true
        step(:load) { |token:| puts("token #{token}") || raise("down") }
      end
      expect(text).to include("  the last line of its log:\n    token [secret]\n")
    end

    it "is not shown when the step has logged nothing" do
      expect(console { step(:load) { raise "down" } }).not_to include("of its log:\n")
    end
  end
end
