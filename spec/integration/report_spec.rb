# frozen_string_literal: true

require "json"
require "rexml/document"
require "zlib"
require_relative "../support/browser"
require_relative "../support/processes"

RSpec.describe "A report of a run" do
  let(:pipeline) do
    inner = Flowline.define do
      step(:trim, &:itself)
      step(:check, depends_on: :trim, &:itself)
    end
    Flowline.define(on_error: :continue) do
      param :date, default: "2024-01-31"
      param :token, default: "s3cr3t-value", secret: true
      step(:fetch, description: "All of today") { [1, 2] }
      step(:clean, inner, depends_on: :fetch)
      step(:load, depends_on: :clean, retries: 1) { raise "HTTP 500 with s3cr3t-value </script><b>" }
      step(:notify, depends_on: :load) { 1 }
      step(:rest, when: -> { false }) { 1 }
    end
  end
  let(:html) { pipeline.run.report }

  def island(html)
    JSON.parse(html[%r{<script type="application/json" id="run">(.*?)</script>}m, 1])
  end

  it "shows the graph with outcomes, the failure with the user's line, params and reasons" do
    expect(html).to include('<a class="step failed" href="#s3">', '<a class="step succeeded" href="#s0">', ">clean</text>")
    expect(html[%r{<section class="failures".*?</section>}m].scan("report_spec.rb:").size).to eq(1)
    expect(html).to include("1 step failed", "HTTP 500", "<dt>date</dt>", "its condition was not met", "a step before it failed")
    expect(html.index('id="s3"')).to be < html.index('id="s0"')
  end

  it "has no secret, no request and no character of the user's that could be markup" do
    expect(html).not_to include("s3cr3t-value")
    expect(html).to include("[secret]", "&lt;/script&gt;&lt;b&gt;", "\\u003c/script\\u003e")
    expect(html.scan(%r{(?:src|href)="(?!#)[^"]*"|url\(|@import|https?://(?!www\.w3\.org/)})).to eq([])
    expect(html).to match(/http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-/)
  end

  it "is written to a file" do
    Dir.mktmpdir do |directory|
      result = pipeline.run
      expect(result.report("#{directory}/run.html")).to eq(File.read("#{directory}/run.html"))
    end
  end

  it "has times, slack and attempts for the timeline" do
    data = island(html)
    expect(data["names"].lines.size).to eq(6)
    expect(data.values_at("status", "attempts")).to eq(["666049", { "3" => 2 }])
    expect([data["called"], data["start"].size, data["duration"].size]).to eq(["111100", 4, 4])
    ends = data["start"].each_index.map { |at| data["start"][0..at].sum + data["duration"][at] }
    expect(data["latest"].zip(ends).map { |latest, ended| latest - ended }).to all(be >= 0)
    expect(data["ready"].each_index.map { |at| data["start"][0..at].sum - data["ready"][0..at].sum }).to all(be >= 0)
    expect(data["critical"]).to eq([0, 1, 2, 3])
  end

  it "can be made of a result that came from another process, without a graph" do
    copy = Marshal.load(Marshal.dump(pipeline.run))
    expect(copy.report).to include("HTTP 500", ">clean.trim<")
    expect(copy.report).not_to include("<h2>Graph</h2>")
  end

  it "takes the time and the bytes that a page of 5,000 steps may take" do
    wide = Flowline.define { 5_000.times { |at| step(:"load_table_#{at}", depends_on: at < 50 ? [] : :"load_table_#{at - 50}") { 1 } } }
    result = wide.run
    result.report
    start = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
    html = result.report
    expect(Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) - start).to be < 1.5 # With a development build of the core.
    expect(html.bytesize).to be < 300_000
  end

  it "takes the bytes that a page of 5,000 recorded steps may take" do
    wide = Flowline.define(name: "wide") { 5_000.times { |at| step(:"load_table_#{at}", depends_on: at < 50 ? [] : :"load_table_#{at - 50}") { at % 10 } } }
    wide.run
    expect(Flowline::History.run(Flowline::History.runs.first.run_id).report.bytesize).to be < 300_000
  end

  it "has at most 12 KB of data about 5,000 steps, however fast they were" do
    random = Random.new(1)
    sizes = [0.09, 0.99, 1.01, 1.99, 4.99, 62.5].map do |length|
      steps = Array.new(5_000) do |at|
        Flowline::Report::Step.new(name: "load_table_#{at}", status: :succeeded, attempts: 1, start: length / 5_000 * at,
                                   duration: length / 5_000 * random.rand, after: at < 50 ? [] : [at - 50], retries: [])
      end
      data = Flowline::Report::Data.new(pipeline: "wide", run_id: "r", duration: length, steps: steps)
      Zlib.gzip(Flowline::Report::Island.new(data, Flowline::Report::Timing.new(data)).to_s).bytesize
    end
    expect(sizes).to all(be_between(1, 12 * 1024))
  end

  it "has a script of at most 8 KB" do
    expect(Zlib.gzip(Flowline::Report::Page.asset("report.js"), level: 9).bytesize).to be <= 8 * 1024
  end

  it "marks the steps that could not have ended later" do
    step = ->(name, start, duration, after) { Flowline::Report::Step.new(name: name, start: start, duration: duration, after: after, retries: []) }
    steps = [step.call("a", 0.0, 1.0, []), step.call("b", 1.0, 3.0, [0]), step.call("c", 1.5, 1.0, [0]), step.call("d", 4.0, 1.0, [1, 2])]
    timing = Flowline::Report::Timing.new(Flowline::Report::Data.new(steps: steps, duration: 5.0))
    expect(timing.critical).to eq([0, 1, 3])
    expect(timing.slack).to eq([0.0, 0.0, 1.5, 0.0])
    expect(timing.ready).to eq([0.0, 1.0, 1.0, 4.0])
    expect(timing.critical_time).to eq(5.0)
  end

  describe "of a recorded run" do
    let(:file) do
      <<~RUBY
        require "flowline"

        Flowline.define(name: "import") do
          param :rows, type: :integer, default: 3
          step(:fetch) { |rows:| Array.new(rows) { |row| row } }
          step(:each_row, each: :fetch, on_item_error: :collect, label: ->(row) { "row <\#{row}>" }) { |row| row == 3 ? raise("bad row") : row }
          step(:flaky, depends_on: :fetch, retries: 2, retry_strategy: :linear, retry_delay: 0.02) { |rows| rows.size < 4 ? rows : raise("no <b>") }
        end
      RUBY
    end

    around do |example|
      Dir.mktmpdir do |directory|
        Dir.chdir(directory) do
          File.write("import.rb", file)
          example.run
        end
      end
    end

    def flowline(*arguments)
      Processes.flowline(*arguments)
    end

    it "shows the last runs, and compares with the latest that succeeded" do
      3.times { flowline("run", "import.rb") }
      flowline("run", "import.rb", "--param", "rows=5")
      status, html, err = flowline("report")
      expect([status, err]).to eq([0, ""])
      expect(html).to include("<h2>Last runs</h2>", "median of the 3 before", "<h2>Compared with run ", "<code>rows</code>: 3 → 5")
      expect(html).to include('<tr id="s2" class="failed">', "next attempt after 0.020s", "item 4 (row &lt;3&gt;): ", "1 failed, of 5", "Array (5)")
      retries = island(html)["more"]["2"]["retries"]
      expect(retries.map { |_, wait, error| [wait, error] }).to all(match([20, /no \\<b\\>|no <b>/]))
    end

    it "compares with a run that has the times of all steps, not with one that restored outputs" do
      flowline("run", "import.rb")
      whole = Flowline::History.runs.first.run_id
      failing = Flowline.define(name: "import") { |p| p.step(:fetch) { 1 } && p.step(:down, depends_on: :fetch) { |_| File.exist?("up") || raise("down") } }
      failing.run
      File.write("up", "")
      failing.run(resume: true)
      expect(flowline("report", "--pipeline", "import")[1]).to include("<h2>Compared with run #{whole}</h2>")
    end

    it "does not show the failure of an optional step as one of the run" do
      Flowline.define(name: "fine") { |p| p.step(:perhaps, optional: true) { raise "no" } && p.step(:sure) { 1 } }.run
      html = flowline("report")[1]
      expect(html).to include("<h2>1 optional step failed</h2>").and(satisfy { |text| !text.include?('class="failures"') })
      result = Flowline.define { |p| p.step(:perhaps, optional: true) { raise "no" } && p.step(:bad) { raise "bad" } }.run
      expect(result.report).to include("<h2>1 step failed</h2>", "<h2>1 optional step failed</h2>")
    end

    it "writes to a file, and compares with the run that is asked for" do
      2.times { flowline("run", "import.rb") }
      first, second = Flowline::History.runs.map(&:run_id).reverse
      expect(flowline("report", second, "--against", first, "-o", "run.html")).to eq([0, "", ""])
      expect(File.read("run.html")).to include("<h2>Compared with run #{first}</h2>", second)
      expect(Flowline::History.run(second).report).to eq(File.read("run.html"))
    end

    it "is made of a run that crashed, whose steps did not all end" do
      pid = fork do
        Flowline.define(name: "crash") do
          step(:first) { 1 }
          step(:second, depends_on: :first) { |_| Process.kill(:KILL, Process.pid) }
          step(:third, depends_on: :second) { |_| 1 }
        end.run
      end
      Process.wait(pid)
      html = flowline("report", "--pipeline", "crash")[1]
      expect(html).to include('<b class="badge crashed">crashed</b>', '<a class="step running" href="#s1">', '<a class="step pending" href="#s2">')
      expect(html).to include("<span>1 left running</span> <span>1 not started</span>")
      expect(island(html)["status"]).to eq("625")
      expect(html[%r{<section class="failures">.*?</section>}m]).to match(%r{The process ended before the run did.*were running.*<li><a href="#s1">second</a>.*report_spec\.rb:\d+</code></li></ul>}m)
    end

    it "is made of a run that goes on" do
      reader, writer = IO.pipe
      pipeline = Flowline.define(name: "goes_on") do |p|
        p.step(:fetch) { 1 }
        p.step(:load, depends_on: :fetch) { |_, ctx| (ctx.log.info("row 1") && writer.write("x") && sleep) }
        p.step(:notify, depends_on: :load) { 1 }
      end
      pid = fork { pipeline.run }
      reader.read(1)
      run = Flowline::History.runs(pipeline: "goes_on").first
      html = run.report
      expect(html).to include('<b class="badge running">running</b>', "1 succeeded", "1 running", "1 pending", 'class="step running"')
      expect(island(html)["status"]).to match(/\A\d{3}\z/)
    ensure
      Process.kill(:KILL, pid)
      Process.wait(pid)
    end

    it "has the last lines of the logs, why steps ran, and what they waited for" do
      broken = [1]
      pipeline = Flowline.define(name: "tells") do |p|
        p.pool :db, 1
        p.step(:first, uses: :db) { |ctx| (25.times { |n| ctx.log.info("line #{n} </script>") } && sleep(0.05)) || 1 }
        p.step(:second, uses: :db) { sleep(0.05) || 2 }
        p.step(:load, depends_on: %i[first second]) { |*| broken.empty? ? 1 : raise("down") }
      end
      pipeline.run(executor: :parallel)
      broken.clear
      pipeline.run(from: :load, resume: true)
      failed, again = Flowline::History.runs(pipeline: "tells").reverse
      html = failed.report
      expect(html).to include("line 24 &lt;/script&gt;", "line 5 ", "waited for: pool db")
      expect(html).not_to include("line 4 ")
      expect(island(html)["more"].values).to include(a_hash_including("log" => /line 24 <.script>/), a_hash_including("wait" => "pool db"))
      expect(again.report(against: failed)).to include("because: asked for", "<th scope=\"col\">Changes</th>")
    end

    it "names what changed since the run that it is compared with" do
      pipeline = Flowline.define(name: "changed") do |p|
        p.param :date, default: "2024-01-01"
        p.step(:fetch) { |date:| date == "2024-01-01" ? [1] : (sleep(0.02) || [1, 2]) }
      end
      pipeline.run
      pipeline.run(date: "2024-01-02")
      expect(Flowline::History.runs(pipeline: "changed").first.report).to include("the param date changed: 2024-01-01 → 2024-01-02")
    end

    it "has the edges that are left when the row of a step is damaged" do
      run = Flowline.define(name: "chain") do
        step(:a) { 1 }
        step(:b, depends_on: :a) { |x| x }
        step(:c, depends_on: :b) { |x| x }
        step(:d, depends_on: :c) { |x| x }
      end.run
      allow_any_instance_of(Flowline::Store::SQLite).to receive(:steps).and_wrap_original do |read, *args|
        read.call(*args).reject { |row| row.name == "b" }
      end
      data = Flowline::Report::Sources.recorded(Flowline::History.run(run.run_id))
      expect(data.steps.map { |step| [step.name, step.after] }).to eq([["a", []], ["c", []], ["d", [1]]])
      expect(Timeout.timeout(10) { Flowline::Report::Timing.new(data).critical }).to eq([1, 2])
    end

    it "has nested pipelines within nested pipelines" do
      inner = Flowline.define { step(:x) { 1 } }
      middle = Flowline.define { step(:in, inner) && step(:y, depends_on: :in) { |_| 1 } }
      result = Flowline.define(name: "nested") { step(:out, middle) && step(:z, depends_on: :out) { |_| 1 } }.run
      data = Flowline::Report::Sources.recorded(Flowline::History.run(result.run_id))
      expect(data.groups).to eq([["out", nil], ["in", 0]])
    end

    it "says what is missing" do
      expect(flowline("report")[2]).to include("there is no store")
      flowline("run", "import.rb")
      expect(flowline("report", "20200101T000000-00000000")).to match([1, "", /there is no run 20200101T000000-00000000/])
      expect(flowline("report", "-o", "missing/run.html")).to match([2, "", %r{missing/run.html cannot be written}])
      expect(flowline("report", "--pipeline", "imprt")[2]).to include("did you mean import?")
    end
  end

  describe "in a browser", :browser do
    around { |example| Dir.mktmpdir { |directory| @directory = directory and example.run } }

    def visit(html, **options)
      path = File.join(@directory, "report.html")
      File.write(path, html)
      Browser.open(**options) do |browser|
        browser.get("file://#{path}")
        yield browser
      end
    end

    it "writes nothing to the console, requests nothing and has no overlapping labels, light, dark and on a phone" do
      [{}, { dark: true }, { width: 390, height: 844 }].each do |options|
        visit(html, **options) do |browser|
          expect(Browser.console(browser)).to eq([])
          expect(Browser.requests(browser).size).to eq(1)
          expect(browser.execute_script(Browser::OVERLAPS)).to eq([])
          expect(browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")).to be(true)
          background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
          expect(background).to eq(options[:dark] ? "rgb(13, 17, 23)" : "rgb(255, 255, 255)")
        end
      end
    end

    it "sorts and filters the table, and leads from the graph to the row" do
      visit(html) do |browser|
        names = -> { browser.find_elements(css: "#steps tbody tr").map { |row| row.find_element(css: "th").text.lines.first.chomp } }
        expect(names.call.first).to eq("load")
        browser.find_element(css: "#steps thead th:nth-child(1) button").send_keys(:enter)
        expect(names.call).to eq(%w[clean.check clean.trim fetch load notify rest])
        browser.find_element(css: "#filters input").send_keys("http 500")
        expect(names.call).to eq(["load"])
        browser.find_element(css: 'a.step[href="#s0"]').click
        expect(browser.switch_to.active_element.attribute("id")).to eq("s0")
      end
    end

    it "draws the timeline, and can be used by the keyboard" do
      visit(html) do |browser|
        colours = <<~JS
          const canvas = document.querySelector("#timeline canvas");
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          const seen = {};
          for (let at = 0; at < pixels.length; at += 4) if (pixels[at + 3] === 255) seen[[pixels[at], pixels[at + 1], pixels[at + 2]]] = (seen[[pixels[at], pixels[at + 1], pixels[at + 2]]] ?? 0) + 1;
          return seen;
        JS
        expect(browser.execute_script(colours)).to include("26,127,55")
        before = browser.execute_script("return document.querySelector('#timeline canvas').toDataURL()")
        browser.find_element(css: "#timeline canvas").send_keys("+", "+")
        expect(browser.execute_script("return document.querySelector('#timeline canvas').toDataURL()")).not_to eq(before)
        browser.find_element(xpath: "//button[text()='By worker']").click
        expect(browser.find_element(xpath: "//button[text()='By worker']").attribute("aria-pressed")).to eq("true")
      end
    end

    it "can be read without a script" do
      visit(html, script: false) do |browser|
        expect(browser.find_element(id: "timeline").displayed?).to be(false)
        expect(browser.find_elements(css: "#steps tbody tr").size).to eq(6)
        expect(browser.find_element(css: "#steps tbody tr th").text).to include("load")
      end
    end

    it "exports what it shows as CSV, as a Chrome trace and as SVG" do
      visit(html) do |browser|
        capture = "window.saved = []; const make = URL.createObjectURL; URL.createObjectURL = (blob) => { window.saved.push(blob); return make(blob); };"
        browser.execute_script(capture)
        browser.find_elements(css: "#exports button").each(&:click)
        read = "const done = arguments[0]; Promise.all(window.saved.map(blob => blob.text())).then(done);"
        svg, csv, trace = browser.execute_async_script(read)
        expect(REXML::Document.new(svg).root.get_elements("//text").map(&:text)).to include("fetch", "trim")
        expect(csv.lines.first).to start_with('"step","status","start_ms"')
        expect(csv).to include('"load","failed"')
        expect(JSON.parse(trace)["traceEvents"].map { |event| event["name"] }).to include("fetch", "load")
      end
    end

    it "has nothing that axe-core finds", :axe do
      [{}, { dark: true }, { width: 390, height: 844 }].each do |options|
        visit(html, **options) { |browser| expect(Browser.violations(browser)).to eq([]) }
      end
    end

    it "shows the first frame of 100,000 bars within a second" do
      steps = Array.new(100_000) do |at|
        Flowline::Report::Step.new(name: "load_table_#{at}", label: "load_table_#{at}", status: :succeeded, attempts: 1, start: at / 16 * 0.01,
                                   duration: 0.01, after: at < 16 ? [] : [at - 16], retries: [])
      end
      data = Flowline::Report::Data.new(pipeline: "large", run_id: "r", status: :succeeded, started_at: Time.now, duration: 62.5, params: {}, warnings: [],
                                        steps: steps, groups: [], runs: [])
      visit(Flowline::Report.new(data).to_s) do |browser|
        expect(browser.execute_script("return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")).to be < 1_000 * Browser::PATIENCE
        expect(browser.execute_script("return document.querySelector('#timeline canvas').width")).to be > 500
      end
    end
  end
end
