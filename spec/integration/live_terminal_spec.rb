# frozen_string_literal: true

require "tmpdir"
require "stringio"
require_relative "../support/screen"

RSpec.describe "the live terminal", executor: :sequential do
  around { |example| Dir.mktmpdir { |dir| Dir.chdir(dir) { example.run } } }
  after { programs.each(&:close) }

  let(:programs) { [] }
  let(:spinner) { /^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] / }

  # Runs a pipeline in a terminal.
  def terminal(definition, *options, rows: 24, columns: 80, **env)
    File.write("live.rb", "Flowline.define(name: \"live\") do\n#{definition}\nend\n")
    env = { "TERM" => "xterm-256color", "LC_ALL" => "C.UTF-8", "NO_COLOR" => nil, **env.transform_keys(&:to_s) }
    Screen::Program.new(*Processes::FLOWLINE, "run", "live.rb", *options, rows: rows, columns: columns, env: env).tap { |program| programs << program }
  end

  it "shows running steps, retries and waits, and in the end only the lines of the run" do
    program = terminal(<<~RUBY, "--executor", "parallel", "--max-threads", "8")
      pool :db, 1
      step(:slow) { sleep(0.05) until File.exist?("go"); [1, 2] }
      step(:flaky, retries: 3, retry_strategy: :linear, retry_delay: 60) { raise IOError, "reset" unless File.exist?("go") }
      step(:first, uses: :db) { sleep(0.05) until File.exist?("go") }
      step(:second, uses: :db) { sleep(0.05) }
    RUBY
    screen = program.read { |seen| seen.lines.grep(/retry in/).any? && seen.lines.grep(/waiting/).any? }
    expect(screen.lines).to include(/\A⠋?.? ?slow +\d\.\ds/, /\A  flaky +\d\.\ds +attempt 2 of 4, retry in \d+s  IOError: reset/, "  … 1 waiting (pool db)", %r{\A─+ 0/4 steps  \d\.\ds})
    expect(screen).not_to be_cursor
    program.signal(:INT)
    File.write("go", "")
    expect(program.wait.exitstatus).to eq(130)
    expect(screen.history.grep(spinner)).to be_empty
    expect(screen).to be_cursor
  end

  it "keeps every line whole that 8 threads and 2 children print" do
    program = terminal(<<~'RUBY', "--executor", "parallel", "--max-threads", "10", columns: 120)
      8.times { |t| step(:"thread#{t}") { 1000.times { |n| (n.odd? ? $stdout : $stderr).puts "thread #{t} line #{n} #{"x" * (n % 80)}." } } }
      2.times { |t| step(:"child#{t}") { system("i=0; while [ $i -lt 1000 ]; do echo child #{t} line $i.; i=$((i+1)); done") } }
    RUBY
    expect(program.wait).to be_success
    wanted = Array.new(8_000) { |n| "thread #{n / 1000} line #{n % 1000} #{"x" * (n % 1000 % 80)}." } + Array.new(2_000) { |n| "child #{n / 1000} line #{n % 1000}." }
    expect(program.screen.history.grep(/ line \d/).sort).to eq(wanted.sort)
    others = program.screen.history.grep_v(/ line \d| would have been as fast as /)
    expect(others).to match(["Pipeline: live", /━/, *[/\A✓ /] * 10, /━/, %r{Steps: 10/10}])
  end

  it "writes at most ten frames a second, each in one piece" do
    program = terminal('step(:a) { 40.times { |n| puts "line #{n}"; sleep 0.05 } }') # rubocop:disable Lint/InterpolationCheck
    started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    program.wait
    seconds = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
    frames = program.bytes.scan("\e[J").size
    expect(frames).to be_between(5, (seconds * 10) + 3)
  end

  it "leaves no stray row in a storm of resizes" do
    program = terminal(<<~'RUBY', "--executor", "parallel", "--max-threads", "9", rows: 30)
      6.times { |n| step(:"step_with_a_long_name_#{n}", retries: 3, retry_delay: 9) { raise IOError, "a long message " * 9 unless File.exist?("go") } }
      step(:"名前が長いステップ") { sleep(0.05) until File.exist?("go") }
      step(:prints) { n = 0; (puts "line #{n += 1} #{"y" * 60}"; sleep 0.02) until File.exist?("go"); n }
    RUBY
    random = Random.new(12)
    program.read { |screen| screen.lines.grep(/retry/).any? }
    20.times do
      program.resize(30 + random.rand(12), 60 + random.rand(100))
      following = program.chunks.size + 2
      program.read { program.chunks.size >= following }
    end
    program.read { |screen| screen.lines.any? { |line| line.include?("名前が長い") } }
    expect(program.screen.history.count { |line| line.include?("名前が長い") }).to eq(1)
    program.signal(:INT)
    File.write("go", "")
    program.wait
    expect(program.screen.history.grep(/retry in|^\W+[a-z_\d]+ +\d+\.\ds( |$)/)).to be_empty
  end

  it "leaves no stray row while an edge of its window is dragged, of which it learns a moment later" do
    program = terminal(<<~'RUBY', "--executor", "parallel", "--max-threads", "9", rows: 30, columns: 120)
      8.times { |n| step(:"a_step_with_a_long_name_#{n}") { sleep(0.05) until File.exist?("go") } }
      step(:prints) { n = 0; (puts "line #{n += 1} #{"y" * 60}"; sleep 0.1) until File.exist?("go"); n }
    RUBY
    program.read { |screen| screen.lines.grep(/a_step/).size >= 8 }
    widths = [*119.downto(30), *31..119]
    widths.each_with_index do |width, index|
      program.drag(30 - (index % 15), width, 0.25)
      give_up = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 0.02
      program.read { Process.clock_gettime(Process::CLOCK_MONOTONIC) > give_up }
    end
    File.write("go", "")
    expect(program.wait).to be_success
    expect(program.screen.history.grep(/^\W+a_step|steps  \d/).grep_v(/✓/)).to be_empty
    expect(program.screen.history.grep(/✓ a_step/).size).to eq(8)
  end

  it "only appends lines when standard output goes through a pipe, which may end in the same terminal" do
    File.write("live.rb", "Flowline.define(name: \"live\") { step(:a) { puts 'hello'; sleep 0.3 } }")
    env = { "TERM" => "xterm-256color", "LC_ALL" => "C.UTF-8" }
    command = ["sh", "-c", '"$@" | cat', "sh", *Processes::FLOWLINE, "run", "live.rb"]
    program = Screen::Program.new(*command, env: env).tap { |started| programs << started }
    program.wait
    expect(program.bytes).not_to match(/\e\[(?!\d*m)/)
    expect(program.screen.history).to include("hello", /✓ a +0.3/)
    program = Screen::Program.new(*command, "--progress", "live", env: env).tap { |started| programs << started }
    program.wait
    expect(program.bytes).to include("\e[J")
  end

  it "prints what a program writes that a step has left behind, after the run as well" do
    File.write("late.rb", <<~RUBY)
      require "flowline"
      run = Flowline.define { step(:a) { spawn("for i in 1 2 3; do sleep 0.3; echo tick $i || exit 3; done") } }.run(reporter: :console)
      puts "after"
      Process.wait(run[:a].output)
      puts "status \#{$?.exitstatus}"
      sleep 0.2
      puts Thread.list.size
    RUBY
    env = { "TERM" => "xterm-256color", "LC_ALL" => "C.UTF-8" }
    program = Screen::Program.new(RbConfig.ruby, *$LOAD_PATH.map { |path| "-I#{path}" }, "late.rb", env: env).tap { |started| programs << started }
    program.wait
    expect(program.screen.history.last(6)).to contain_exactly("after", "tick 1", "tick 2", "tick 3", "status 0", "1") # Two write at a time.
  end

  it "says what still runs in a terminal whose rows are not drawn again" do
    stub_const("Flowline::Reporter::Heartbeat::PAUSES", [0.1, 0.1])
    out = StringIO.new
    def out.tty? = true
    def out.winsize = [24, 80]
    run(reporter: Flowline::Reporter::Console.new(out, progress: :plain)) { step(:slow) { sleep 0.5 } }
    expect(out.string).to match(/still running: slow/)
  end

  it "fits into 40 columns and 10 lines" do
    program = terminal('30.times { |n| step(:"step_number_#{n}_of_many") { sleep(0.05) until File.exist?("go") } }', # rubocop:disable Lint/InterpolationCheck
                       "--executor", "parallel", "--max-threads", "30", rows: 10, columns: 40)
    screen = program.read { |seen| seen.lines.grep(/more running/).any? }
    expect(screen.lines.grep(/more running|steps/)).to match([/… 26 more running/, %r{0/30 steps}])
    File.write("go", "")
    expect(program.wait).to be_success
    expect(screen.history.grep_v(/\A(✓ step_number_.*…|━{39,40}|Pipeline: live|Elapsed.*)/)).to be_empty
  end

  it "shows the unfinished line that a step prints, and a step's output is still a terminal's" do
    program = terminal('step(:asks) { print "Continue? #{$stdout.tty?} #{$stdout.winsize.inspect} "; $stdin.gets }', rows: 20, columns: 70) # rubocop:disable Lint/InterpolationCheck
    program.read { |screen| screen.lines.include?("Continue? true [20, 70]") }
    program.type("yes\n")
    expect(program.wait).to be_success
    expect(program.screen.history).to include(/\AContinue\? true \[20, 70\]/, /✓ asks/)
  end

  { "an interrupt" => 1, "two interrupts" => 2, "three interrupts" => 3 }.each do |what, count|
    it "shows the cursor again after #{what}" do
      program = terminal("step(:a) { sleep 1 }; step(:b, depends_on: :a) { 1 }")
      program.read { |screen| screen.lines.grep(spinner).any? }
      count.times { program.signal(:INT) }
      expect([program.wait.exitstatus, program.screen.cursor?]).to eq([130, true])
      expect(program.screen.history.grep(spinner)).to be_empty
    end
  end

  it "shows the cursor again after SIGTERM, an exit, and an error that ends the program" do
    ["Process.kill(:TERM, Process.pid); sleep 0.3", "sleep 0.3; exit 3", "sleep 0.3; raise NotImplementedError"].each do |call|
      program = terminal("step(:a) { #{call} }")
      program.wait
      expect([program.bytes.include?("\e[?25l"), program.screen.cursor?]).to eq([true, true])
    end
  end

  it "shows the cursor again, and what was printed, after a third interrupt of a step that ignores it" do
    program = terminal(<<~RUBY)
      step(:stubborn) do
        puts "started"
        sleep
      rescue Exception
        puts "ignored"
        retry
      end
    RUBY
    3.times do |count|
      program.read { |screen| screen.history.grep(/started|press Ctrl-C again/).size > count }
      program.signal(:INT)
    end
    expect([program.wait.exitstatus, program.screen.cursor?]).to eq([130, true])
    expect(program.screen.history).to include("ignored", /finishing running steps \(stubborn\); press/, /stopped by SIGINT, although a step did not stop/)
    expect(program.screen.history.grep(spinner)).to be_empty
  end

  it "gives the terminal back to a script that the run's caller ends" do
    File.write("script.rb", "Flowline.define { step(:a) { sleep 0.3; Thread.main.raise(Interrupt); sleep } }.start(reporter: :console).wait")
    program = Screen::Program.new(RbConfig.ruby, "-I#{Processes::LIB}", "-rflowline", "script.rb", env: { "TERM" => "xterm", "LC_ALL" => "C.UTF-8" }).tap { |started| programs << started }
    program.wait
    expect(program.screen.cursor?).to be(true)
    expect(program.screen.history.join("\n")).to include("Interrupt")
  end

  it "estimates the time left from earlier runs" do
    definition = "step(:a) { sleep 1 }; step(:b, depends_on: :a) { sleep 1 }"
    terminal(definition).wait
    took = Flowline::History.runs.first.steps.sum(&:duration)
    left = []
    program = terminal(definition)
    program.read do |screen|
      now = screen.lines.last.to_s
      left << [now[/steps  (\d\.\d)s/, 1].to_f, now[/about (\d+)s left/, 1].to_i] if now.include?("left")
      left.any? && left.last.last == 1
    end
    errors = left.map { |elapsed, rest| rest - (took - elapsed) }
    expect([errors.first, left.last.last]).to match([be_between(-0.6, 1.6), 1])
    expect(errors).to all(be >= -0.6) # On a loaded machine a step starts later, and then more is left.
  end

  it "only appends lines with --progress plain, in a dumb terminal, and elsewhere" do
    program = terminal("step(:a) { sleep 0.2 }", "--progress", "plain")
    program.wait
    expect(program.bytes).not_to match(/\e\[(?!\d*m)/)
    program = terminal("step(:a) { sleep 0.2 }", TERM: "dumb")
    program.wait
    expect(program.bytes).not_to include("\e")
    _, _, err = Processes.flowline("run", "live.rb", "--progress", "live")
    expect(err).to start_with("flowline: --progress live has no effect: standard error is not a terminal that can be redrawn\n").and(satisfy { |text| !text.include?("\e") })
  end

  it "prints only failures with --progress none, and events with --progress json" do
    File.write("live.rb", "Flowline.define { step(:a) { 1 } }")
    expect(Processes.flowline("run", "live.rb", "--progress", "none")).to eq([0, "", ""])
    expect(Processes.flowline("run", "live.rb", "--progress", "json")[1].lines.map { |line| JSON.parse(line)["event"] }).to eq(%w[run_started step_started step_finished run_finished])
  end

  describe "elsewhere" do
    it "says what still runs after 30 seconds of silence, 60, and then every two minutes" do
      board = Struct.new(:running).new(["fetch (31.0s)", "pages (31.0s, 114/240)", *Array.new(5) { |n| "s#{n} (1.0s)" }])
      lines = []
      heartbeat = Flowline::Reporter::Heartbeat.new(board, pauses: [0.1, 0.1, 0.3]) { |line| lines << [line, Process.clock_gettime(Process::CLOCK_MONOTONIC)] }
      eventually { lines.size == 4 }
      heartbeat.stop
      expect(lines.first.first).to match(%r{\A\d\d:\d\d:\d\d still running: fetch \(31\.0s\), pages \(31\.0s, 114/240\), s0 \(1\.0s\), s1 \(1\.0s\), s2 \(1\.0s\) and 2 more\z})
      pauses = lines.map(&:last).each_cons(2).map { |before, after| after - before }
      expect(pauses).to match([be_between(0.09, 0.25), be_between(0.29, 0.5), be_between(0.29, 0.5)])
      expect(Flowline::Reporter::Heartbeat.instance_method(:initialize).parameters).to include(%i[key pauses])
    end

    it "groups and annotates for GitHub Actions" do
      before = ENV.fetch("GITHUB_ACTIONS", nil)
      ENV["GITHUB_ACTIONS"] = "true"
      out = StringIO.new
      pipeline = Flowline.define(name: "ci") do
        after_step { raise "100% of\nhooks" }
        step(:bad) { raise "no: 50%" }
      end
      pipeline.run(reporter: Flowline::Reporter::Console.new(out))
      line = __LINE__ - 3
      expect(out.string).to match(/\A::group::Pipeline: ci\n━+\n✗ bad .*\n::endgroup::\n::warning::hook after_step failed: RuntimeError: 100%25 of%0Ahooks/)
      token = out.string[/^::stop-commands::(\h{16})$/, 1]
      expect(out.string).to match(/^::stop-commands::#{token}\n.*✗ step bad failed: .*::#{token}::\n\z/m)
      expect(out.string).to match(/^::error file=#{Regexp.escape(__FILE__)},line=#{line},title=Step bad::step bad failed: RuntimeError: no: 50%25 /)
    ensure
      ENV["GITHUB_ACTIONS"] = before
    end
  end
end

RSpec.describe "The end of a run", executor: :sequential do
  it "names the steps that took at least twice their median, and a second" do
    pause = [0.4, 0.4, 1.3]
    pipeline = Flowline.define(name: "slower") do
      step(:parse) { sleep pause.shift }
      step(:quick) { pause.empty? ? sleep(0.2) : 1 }
    end
    texts = Array.new(3) { StringIO.new.tap { |out| pipeline.run(reporter: Flowline::Reporter::Console.new(out)) }.string }
    expect(texts[1]).not_to include("median")
    expect(texts[2]).to match(/^parse took 1\.\d\ds, [23]\.\d× its median\n━/)
    expect(texts[2]).not_to include("quick took")
  end

  it "says how many workers would have been as fast" do
    fan = Flowline.define do
      step(:long) { sleep 1.1 }
      4.times { |n| step(:"short#{n}") { sleep 0.5 } }
    end
    texts = [2, 6].map do |threads|
      out = StringIO.new
      fan.run(executor: :parallel, max_threads: threads, reporter: Flowline::Reporter::Console.new(out))
      out.string
    end
    expect(texts[0]).not_to include("would have been")
    expect(texts[1]).to match(/^3 workers would have been as fast as 6\n━/)
  end

  it "estimates nothing after a run that began with an exception of a hook" do
    out = StringIO.new
    Flowline.define { before_run { raise "no" } && step(:a) { 1 } }.run(reporter: Flowline::Reporter::Console.new(out))
    expect(out.string).to include("✗ hook before_run failed", "Steps: 0/1")
  end
end

RSpec.describe "flowline watch in a terminal", executor: :sequential do
  around { |example| Dir.mktmpdir { |dir| Dir.chdir(dir) { example.run } } }
  after { programs.each(&:close) }

  let(:programs) { [] }

  def program(*arguments)
    env = { "TERM" => "xterm-256color", "LC_ALL" => "C.UTF-8", "NO_COLOR" => nil }
    Screen::Program.new(*Processes::FLOWLINE, *arguments, rows: 24, columns: 100, env: env).tap { |known| programs << known }
  end

  # A run of another process that goes on until the file is there.
  def watched
    File.write("watched.rb", <<~RUBY)
      Flowline.define(name: "watched") do
        pool :db, 1
        step(:rows) { (1..40).to_a }
        step(:map, each: :rows, uses: :db) { |n| sleep(n < 10 ? 0.01 : 0.05); n }
        step(:flaky, retries: 3, retry_strategy: :linear, retry_delay: 60) { raise IOError, "reset" unless File.exist?("go") }
        step(:slow) { sleep(0.05) until File.exist?("go"); 1 }
      end
    RUBY
    program("run", "watched.rb", "--executor", "parallel", "--max-threads", "4").tap do |run|
      run.read { Flowline::History.runs(pipeline: "watched").first&.live&.steps&.any? { |step| step.name == :flaky && step.attempt == 2 } }
    end
  end

  it "shows the rows of a run in another process, and in the end only lines" do
    run = watched
    watch = program("watch")
    screen = watch.read { |seen| seen.lines.grep(/retry in/).any? && seen.lines.grep(/slow/).any? }
    expect(screen.lines).to include(/\A[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] slow +\d+\.\ds/, /\A  flaky +\d+\.\ds +attempt 2 of 4, retry in \d+s/, %r{\A[━╸─]+ [12]/4 steps  \d+\.\ds})
    expect(screen).not_to be_cursor
    run.signal(:INT)
    File.write("go", "")
    expect(watch.wait.exitstatus).to eq(1)
    expect(screen.history.grep(/^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] /)).to be_empty
    expect(screen.history).to include(/\Awatched +running/, /\A  ✓ rows/, /\A  ✓ slow/, /\Awatched +cancelled/)
    expect(screen).to be_cursor
  end

  it "shows the cursor again after Ctrl-C" do
    watched
    watch = program("watch")
    watch.read { |seen| seen.lines.grep(/slow/).any? }
    watch.signal(:INT)
    expect(watch.wait.exitstatus).to eq(130)
    expect(watch.screen).to be_cursor
  end

  # A pseudo-terminal that was full may show the last bytes only when the program continues.
  def stop_and_continue(program)
    program.read { |seen| seen.lines.grep(/slow/).any? && !seen.cursor? }
    program.signal(:TSTP)
    expect(program.wait_for_stop).to be(true)
    expect(program.read_rest).to be_cursor
    program.signal(:CONT)
    screen = program.read { |seen| seen.given_back && !seen.cursor? && seen.lines.grep(/slow/).any? }
    expect(screen.given_back.grep(/slow|steps/)).to be_empty
    expect(screen.lines.grep(/^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] slow/).size).to eq(1)
  end

  it "gives the terminal back while it is stopped by Ctrl-Z" do
    watched
    stop_and_continue(program("watch"))
  end

  it "gives the terminal back while the run itself is stopped by Ctrl-Z" do
    stop_and_continue(watched)
  end
end
