# frozen_string_literal: true

require "cgi"
require "rack"
require "rack/lint"
require "rack/mock"
require "zlib"
require_relative "../support/processes"

RSpec.describe "The web page" do
  # A pipeline with params of every kind; its step load fails as long as the list has an element.
  def import(broken)
    Flowline.define(name: "import", description: "Loads a day", on_error: :continue) do
      param :date, type: :date, default: -> { Date.new(2024, 1, 31) }, description: "The day"
      param :rows, type: :integer, default: 3, in: 1..100
      param :mode, type: :symbol, default: :full, in: %i[full delta]
      param :dry, type: :boolean, default: false
      param :tags, type: :array, default: %w[a b]
      param :note, type: :string
      param :token, type: :string, secret: true, default: "s3cr3t-default"
      step(:fetch, description: "All of today") { |ctx, rows:| Array.new(rows) { |row| row.tap { ctx.log.info "row #{row}" } } }
      step(:each_row, each: :fetch, on_item_error: :collect, label: ->(row) { "row <#{row}>" }) { |row| row == 2 ? raise("bad row") : row }
      step(:load, depends_on: :each_row, retries: 1, retry_delay: 0) { |ctx, each_row:| broken.empty? ? each_row.size : (ctx.log.error("refused") && raise("HTTP 503")) }
      step(:notify, depends_on: :load) { 1 }
      step(:rest, when: -> { false }) { 1 }
    end
  end

  let(:broken) { [] }
  let(:pipeline) { import(broken) }
  let(:asked) { [] }
  let(:entries) { [] }
  let(:level) { :act }
  let(:enqueue) { ->(*given) { (asked << given) && nil } }
  let(:web) do
    Flowline::Web.new(authorize: ->(_) { [level, "alice"] }, enqueue: enqueue, pipelines: [pipeline], audit: ->(entry) { entries << entry })
  end
  let(:client) { Rack::MockRequest.new(Rack::Lint.new(web)) }

  # @return [String] the main part of a page
  def get(path, status: 200)
    answer = client.get(path)
    expect([answer.status, answer.headers["content-type"]]).to eq([status, "text/html; charset=utf-8"])
    answer.body[%r{<main.*</main>}m]
  end

  def post(path, **fields)
    client.post(path, params: fields.transform_keys(&:to_s), "HTTP_SEC_FETCH_SITE" => "same-origin")
  end

  def failed_run(**params)
    broken << 1
    pipeline.run(**params)
  ensure
    broken.clear
  end

  def last(**query)
    Flowline::History.runs(limit: 1, **query).first
  end

  # The rows of a table, each as the texts of its cells.
  def rows(html)
    html[%r{<tbody>.*?</tbody>}m].to_s.scan(%r{<tr.*?</tr>}m).map { |row| row.scan(%r{<t[hd].*?</t[hd]>}m).map { |cell| CGI.unescapeHTML(cell.gsub(/<.*?>/m, "")) } }
  end

  it "says in which directory it has looked for runs, before the first one" do
    web = Flowline::Web.new(authorize: ->(_) { :read }, pipelines: [], root: "not/there")
    expect(Rack::MockRequest.new(web).get("/").body).to include("No pipeline has run yet in <code>#{Dir.pwd}/not/there</code>.")
  end

  describe "of past runs" do
    it "lists the latest first, with status, error, params and who started them" do
      pipeline.run(rows: 4)
      failed_run
      html = get("/runs")
      expect(rows(html).map { |row| row.values_at(1, 5) }).to eq([%w[failed ruby], %w[succeeded ruby]])
      expect(html).to include("HTTP 503", "date: 2024-01-31, rows: 4, mode: full, …", %(href="/runs/#{last.run_id}"))
    end

    it "selects by status, pipeline, param, trigger and text, and keeps what was selected in the form" do
      pipeline.run(rows: 4)
      failed_run
      failed = last.run_id
      Flowline.define(name: "other") { step(:a) { 1 } }.run
      found = ->(query) { rows(get("/runs?#{query}")).map(&:first) }
      expect([found["status=unsuccessful"].size, found["status=succeeded"].size, found["status=failed&pipeline=import"].size]).to eq([1, 2, 1])
      expect([found["pipeline=other"], found["param=rows%3D4"].size, found["trigger=web"], found["text=http+503"].size, found["text=#{failed}"].size]).to eq([["other"], 1, [], 1, 1])
      html = get("/runs?text=http+503&status=unsuccessful&param=rows%3D3")
      expect(html).to include('value="http 503"', '<option value="unsuccessful" selected>', 'value="rows=3"')
    end

    it "says what is wrong with a selection, and shows no run" do
      pipeline.run
      expect(get("/runs?status=%3Cb%3E")).to include("There is no status &lt;b&gt;.").and(satisfy { |html| rows(html).empty? })
      expect(get("/runs?param=rows")).to include("Write a param as name=value.")
      expect(get("/runs?trigger=%3Cx%3E")).to include("No run is like that.", 'value="&lt;x&gt;"')
      expect(get("/runs?text=#{"x" * 12_000}")).to include("The text has more than 1000 characters.")
      expect(get("/runs?text=none")).to include("No run is like that.")
    end

    it "leads from page to page with what is selected" do
      small = Flowline.define(name: "small") { step(:a) { 1 } }
      52.times { small.run }
      first = get("/runs?pipeline=small")
      older = CGI.unescapeHTML(first[/href="([^"]*)" rel="next"/, 1])
      expect([rows(first).size, older]).to match([50, %r{\A/runs\?pipeline=small&before=\d{8}T}])
      second = get(older)
      expect([rows(second).size, second.include?('rel="next"')]).to eq([2, false])
      expect(second).to include(">Latest runs</a>")
    end
  end

  it "finds runs among 100,000 quickly, whatever is selected" do
    require "sqlite3"
    failed_run
    pipeline.run
    database = SQLite3::Database.new(File.join(ENV.fetch("FLOWLINE_ROOT"), "flowline.db"))
    columns = (database.execute("PRAGMA table_info(runs)").map { |row| row[1] } - %w[id run_id]).join(", ")
    database.execute("PRAGMA synchronous = OFF")
    database.execute(<<~SQL)
      WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
      INSERT INTO runs (run_id, #{columns}) SELECT format('20200101T000000-%08x', n), #{columns} FROM numbers JOIN runs ON id = 1 + (n % 40 > 0)
    SQL
    database.close
    pipeline.run
    paths = ["", "?status=unsuccessful", "?text=nowhere", "?param=rows%3D99", "?trigger=web", "?status=running", "?pipeline=import&before=#{last.run_id}"].map { |query| "/runs#{query}" }
    times = [*paths, "/", "/pipelines/import", "/pipelines/import/grid"].to_h do |path|
      get(path)
      start = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
      get(path)
      [path, Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) - start]
    end
    expect(times.values).to all(be < 0.05 * 4) # With a development build, next to other programs.
  rescue LoadError
    skip "needs sqlite3"
  end

  describe "of runs and steps" do
    it "has a column for each run and a row for each step, those first that failed, with a mark for each status" do
      pipeline.run
      failed_run
      html = get("/pipelines/import/grid")
      expect(rows(html).map(&:first)).to eq(%w[load notify fetch each_row rest])
      line = html[%r{<tr><th scope="row">load.*?</tr>}m]
      expect(line).to match(/class="state failed" aria-label="failed, [^"]*".*class="state succeeded"/m).and(include("/runs/#{last.run_id}/steps/load"))
      expect(html).to include("The latest run is on the left.")
    end

    it "shows a page of many steps, and finds steps by a part of their name" do
      Flowline.define(name: "wide") { 130.times { |at| step(:"load_#{at}") { at == 99 ? raise("x") : 1 } } }.run(on_error: :continue)
      html = get("/pipelines/wide/grid")
      expect([rows(html).size, rows(html).first.first]).to eq([60, "load_99"])
      expect(html).to include("Steps 1 to 60 of 130 steps", "from=60")
      expect(rows(get("/pipelines/wide/grid?from=120")).size).to eq(10)
      expect(rows(get("/pipelines/wide/grid?text=LOAD_12")).map(&:first)).to eq(%w[load_12 load_120 load_121 load_122 load_123 load_124 load_125 load_126 load_127 load_128 load_129])
      expect(get("/pipelines/wide/grid?from=99999999999999999999")).to include("Steps 1 to 60 of 130")
      expect(get("/pipelines/wide/grid?from=5000")).to include("No step is like that.")
    end

    it "says that a pipeline has no runs, or does not exist" do
      expect(get("/pipelines/import/grid")).to include("It has no runs.")
      expect(get("/pipelines/gone/grid", status: 404)).to include("There is no pipeline gone.")
      Flowline.define(name: "gone") { step(:a) { 1 } }.run
      expect(get("/pipelines/gone/grid")).to include("The latest run is on the left.")
      expect(get("/pipelines/gone/grid?before=0")).to include("It has no earlier runs.")
    end
  end

  describe "of a step" do
    it "has the error and the log first, then the attempts, inputs, and other runs" do
      pipeline.run
      failed_run
      html = get("/runs/#{last.run_id}/steps/load")
      places = ["It failed", "HTTP 503", "<h2>Log</h2>", "refused", "Why it was called", "Attempts that failed", "<h2>Inputs</h2>", "Array (3) [0, 1, #&lt;Flowline::ItemError&gt;]", "In the last runs"]
      expect(places.map { |part| html.index(part) }).to all(be_an(Integer)).and(satisfy { |list| list == list.sort })
      expect(html).to include("2 attempts", "web_pages_spec.rb:", "Attempt 1 ended after")
      expect(rows(html[/In the last runs.*/m]).map { |row| row.values_at(0, 1) }).to match([["this run", "failed"], [/\A\d{8}T/, "succeeded"]])
    end

    it "has its output, its items, and those that failed" do
      pipeline.run
      html = get("/runs/#{last.run_id}/steps/each_row")
      expect(html).to include("2 done, 1 failed, of 3", "Item 3 (row &lt;2&gt;): RuntimeError: bad row", "<h2>Output</h2>", "each item of <a href=\"/runs/#{last.run_id}/steps/fetch\">fetch</a>")
      expect(get("/runs/#{last.run_id}/steps/fetch")).to include("All of today", "<code>Array (3) [0, 1, 2]</code>")
    end

    it "says why it was called, or was not" do
      failed_run
      at = ->(step) { get("/runs/#{last.run_id}/steps/#{step}")[%r{<h2>Why it was.*?</section>}m] }
      expect(at["notify"]).to include("<h2>Why it was not called</h2><p>Because load, which it depends on, failed: RuntimeError: HTTP 503")
      expect(at["rest"]).to match(%r{<h2>Why it was not called</h2><p>Because its condition when: \(.*\) was not met\.</p>})
      expect(at["fetch"]).to include("<h2>Why it was called</h2><p>Because it is not cached, and the run resumed no other run")
    end

    it "shows the end of a long log, by bytes, and more on request" do
      Flowline.define(name: "chatty") { step(:talk) { |ctx| 400.times { |n| ctx.log.info("line #{n} #{"x" * 80}") } } }.run
      path = "/runs/#{last.run_id}/steps/talk"
      html = get(path)
      shown = html.scan(/line \d+ x/).size
      expect([shown.between?(50, 100), html.include?("line 399"), html.include?("line 0 ")]).to eq([true, true, false])
      expect(html).to include("#{400 - shown} earlier lines.", "#{path}?log=64000")
      expect(get("#{path}?log=64000").scan(/line \d+ x/).size).to eq(400)
      expect(get("#{path}?log=999999999999999999999").scan(/line \d+ x/).size).to eq(shown)
      expect(get("#{path}?log=1").scan(/line \d+ x/).size).to be_between(1, 10)
    end

    it "says where it stands in a run that goes on" do
      reader, writer = IO.pipe
      waiting = Flowline.define(name: "alive") do
        pool :db, 1
        step(:hold, uses: :db) { writer.write("x") && sleep }
        step(:queued, uses: :db) { 1 }
        step(:later, depends_on: :hold) { |_| 1 }
      end
      pid = fork { waiting.run(executor: :parallel) }
      reader.read(1)
      eventually { last&.live&.step(:queued) }
      at = ->(step) { get("/runs/#{last.run_id}/steps/#{step}") }
      expect(at["hold"]).to include('<span class="state running">running</span>', "<h2>Why it is running</h2>")
      expect(at["queued"]).to include('<span class="state waiting">waiting</span></b> for pool db', "<h2>Why it is waiting</h2><p>Because it waits for pool db.")
      expect(at["later"]).to include('<span class="state pending">pending</span>', "<h2>Why it has not started</h2><p>Because hold, which it depends on, has not ended.")
      expect(get("/runs/#{last.run_id}/resume", status: 404)).to include("cannot be started here")
      Flowline.define(name: "alive") { step(:hold) { 1 } }.run(exclusive: false)
      expect(get("/pipelines/alive/grid")).to match(/class="state running" aria-label="running"/)
    ensure
      Process.kill(:KILL, pid)
      Process.wait(pid)
    end

    it "says that the process of the run ended before the step did, and what it had logged" do
      pid = fork do
        Flowline.define(name: "crash") do
          step(:first) { |ctx| ctx.log.info("page 17") || 1 }
          step(:second, depends_on: :first) { |ctx, _| ctx.log.info("page 18") && sleep }
        end.run
      end
      eventually { last&.live&.step(:second)&.running? && last.log(:second).first.any? }
      Process.kill(:KILL, pid)
      Process.wait(pid)
      html = get("/runs/#{last.run_id}")
      first = html[/<div id="failures">.*?page 1\d/m]
      expect(first).to match(%r{The process ended before the run did.*>second</a> for .*The last lines of.*page 18\z}m)
      html = get("/runs/#{last.run_id}/steps/second")
      expect(html).to include("not ended when the process of the run did", "page 18")
    end

    it "does not exist in a run without it" do
      pipeline.run
      expect(get("/runs/#{last.run_id}/steps/nope", status: 404)).to include("has no step nope")
      expect(get("/runs/20200101T000000-00000000/steps/load", status: 404)).to include("There is no run")
    end
  end

  describe "of a pipeline" do
    it "lists the mistakes of one that cannot run, in place of its graph" do
      mistaken = Flowline.define(name: "mistaken") { step(:load, depends_on: :fetch) { |rows| rows } }
      pages = Rack::MockRequest.new(Rack::Lint.new(Flowline::Web.new(authorize: ->(_) { :act }, pipelines: [mistaken])))
      answer = pages.get("/pipelines/mistaken")
      expect(answer.status).to eq(200)
      expect(answer.body).to include("It cannot run", "step load depends on fetch, which doesn&#39;t exist").and include("It has not run yet.")
    end

    it "has its description, last runs, graph, params with types and defaults, and times" do
      3.times { pipeline.run }
      html = get("/pipelines/import")
      expect(html).to include("Loads a day", "<h2>Last runs</h2>", %(<a class="step succeeded" href="/runs/#{last.run_id}/steps/load">))
      params = html[%r{<h2>Params</h2>.*?</section>}m]
      expect(rows(params)).to eq([["date", "a date such as 2024-01-31", "decided by each run", "", "The day"], ["rows", "a whole number", "3", "1..100", ""],
                                  ["mode", "text", "full", "full, delta", ""], ["dry", "true or false", "false", "", ""], ["tags", "an Array, or a,b,c", '["a","b"]', "", ""],
                                  ["note", "text", "", "", ""], ["token", "text", "secret", "secret", ""]])
      expect(rows(html[%r{<h2>Steps</h2>.*}m]).map { |row| [row.first, row.last] }).to contain_exactly(["the whole run", "3"], ["fetchAll of today", "3"], %w[each_row 3], %w[load 3], %w[notify 3], ["rest", ""])
      expect(html).not_to include("s3cr3t")
    end

    it "has its graph and params before its first run" do
      expect(get("/pipelines/import")).to include("It has not run yet.", ">each_row<", "<h2>Params</h2>", '<th scope="row">fetch<p class="quiet">All of today</p></th>')
    end

    it "is shown from history if the application does not have it" do
      Flowline.define(name: "gone") { step(:a) { 1 } }.run
      expect(get("/pipelines/gone")).to include('<a class="step succeeded"').and(satisfy { |html| !html.include?("Run…") })
      expect(get("/pipelines/never", status: 404)).to include("There is no pipeline never.")
    end
  end

  describe "that starts a run" do
    let(:path) { "/pipelines/import/start" }

    it "has a field for each param, of its type, with its default" do
      html = get(path)
      expect(html).to include('name="param:date"', 'type="date"', 'type="number" value="3" step="1" min="1" max="100"', '<option value="full" selected>', '<option value="false" selected>')
      expect(html).to match(%r{<textarea[^>]*name="param:tags"[^>]*>\n\[&quot;a&quot;,&quot;b&quot;\]</textarea>})
      expect(html).to match(/name="param:token"[^>]*type="password" autocomplete="off">/)
      expect(html).not_to include("s3cr3t")
    end

    it "says beside the field what is wrong, and keeps what was typed" do
      answer = post(path, do: "start", "param:date": "soon", "param:rows": "500", "param:note": "keep <me>", "param:token": "typed-secret")
      expect([answer.status, asked]).to eq([422, []])
      expect(answer.body).to include("2 values are wrong", '<span id="field-0-error" class="problem">date must be a date such as 2024-01-31, not &quot;soon&quot;.</span>',
                                     'aria-describedby="field-1-hint field-1-error" aria-invalid="true" type="text" value="500"', 'value="keep &lt;me&gt;"')
      expect(answer.body).not_to include("typed-secret")
    end

    it "shows the plan first, with what was typed, and starts nothing" do
      pipeline.run
      answer = post(path, do: "plan", "param:date": "2024-02-29", "param:rows": "3", "param:mode": "delta", "param:token": "typed-secret")
      expect([answer.status, asked, entries]).to eq([200, [], []])
      rest = ["rest", "is decided by the run", "depends on when:"]
      expect(rows(answer.body).map { |row| row.first(3) }).to eq([*%w[fetch each_row load notify].map { |step| [step, "runs", ""] }, rest])
      expect(answer.body).to include('<input type="hidden" name="param:date" value="2024-02-29">', '<input type="hidden" name="again:token" value="1">', "so type it again", 'value="start"')
      expect(answer.body).not_to match(/typed-secret|param:rows/)
    end

    it "starts the run through the block of the application, with what was typed and nothing else" do
      answer = post(path, do: "start", "param:date": "2024-02-29", "param:rows": "3", "param:mode": "delta", "param:tags": "x,y", "param:token": "typed-secret", class: "Kernel")
      expect(asked).to eq([[pipeline, { date: Date.new(2024, 2, 29), mode: :delta, tags: %w[x y], token: "typed-secret" }, nil]])
      expect([answer.status, answer.headers["location"]]).to eq([303, "/pipelines/import?asked=1"])
      expect(entries).to match([include(action: :start, who: "alice", pipeline: "import", params: include(mode: :delta, token: "[secret]"))])
      expect(get("/pipelines/import?asked=1")).to include("The application was asked to start a run.")
    end

    it "takes values of every type as they are typed, and defaults that were not changed as given by nobody" do
      require "bigdecimal"
      require "set"
      given = []
      odd = Flowline.define(name: "odd") do
        param :time, type: :time, default: Time.utc(2024, 1, 31, 12)
        param :decimal, type: :decimal, default: BigDecimal("1.50")
        param :symbols, type: :hash, default: { a: 1 }
        param :range, type: :date, in: Date.new(2024, 1, 1)..Date.new(2024, 12, 31)
        param :set, type: :string, in: Set["a", "b"]
        param :any, default: 3, in: [1, 2, 3, :x]
        param :float, type: :float, in: (0.5..)
        param :lines, type: :string, default: "a\nb"
        param :control, type: :string, default: "x\0y"
        param :count, type: Integer, required: true
        step(:a) { 1 }
      end
      client = Rack::MockRequest.new(Flowline::Web.new(authorize: ->(_) { :act }, enqueue: ->(_, params, _) { (given << params) && nil }, pipelines: [odd]))
      html = client.get("/pipelines/odd/start").body
      expect(html).to include('value="2024-01-31T12:00:00Z"', 'value="1.5"', 'min="2024-01-01" max="2024-12-31"', '<option value="b">', 'step="any" min="0.5"')
      expect(html).to include("a date such as 2024-01-31, in 2024-01-01..2024-12-31")
      same = { "param:time": "2024-01-31T12:00:00Z", "param:decimal": "1.5", "param:any": "3", "param:lines": "a\r\nb", "param:count": "7" }
      others = { "param:time": "2024-02-01T00:00:00Z", "param:symbols": '{"b":2}', "param:range": "2024-03-01", "param:set": "b", "param:any": "x", "param:float": "2", "param:control": "z", "param:count": "8" }
      [same, others].each { |fields| client.post("/pipelines/odd/start", params: { do: "start", **fields }.transform_keys(&:to_s), "HTTP_SEC_FETCH_SITE" => "same-origin") }
      expect(given).to eq([{ count: 7 }, { time: Time.utc(2024, 2, 1), symbols: { "b" => 2 }, range: Date.new(2024, 3, 1), set: "b", any: :x, float: 2.0, control: "z", count: 8 }])
    end

    it "asks again for a secret that was typed before" do
      answer = post(path, do: "start", "again:token": "1", "param:token": "")
      expect([answer.status, asked]).to eq([422, []])
      expect(answer.body).to include("token has to be typed again.")
    end

    it "returns to the form with what was typed" do
      answer = post(path, do: "change", "param:note": "later")
      expect(answer.body).to include('value="later"', "Show the plan")
      expect(asked).to eq([])
    end

    context "when the block returns a run" do
      let(:enqueue) { ->(pipeline, params, _) { pipeline.start(params: params).tap(&:wait) } }

      it "leads to that run" do
        answer = post(path, do: "start", "param:rows": "5")
        expect(answer.headers["location"]).to eq("/runs/#{last.run_id}")
        expect(last.params[:rows]).to eq("5")
      end
    end

    context "when the block raises" do
      let(:enqueue) { ->(*) { raise "no queue, and typed-secret" } }

      it "says so, without secrets" do
        answer = post(path, do: "start", "param:note": "n", "param:token": "typed-secret")
        expect([answer.status, entries]).to eq([422, []])
        expect(answer.body).to include("It could not be started: RuntimeError: [secret]", 'value="n"')
        expect(answer.body).not_to include("typed-secret")
      end
    end

    context "when the audit raises after the run was started" do
      let(:web) do
        Flowline::Web.new(authorize: ->(_) { :act }, enqueue: enqueue, pipelines: [pipeline], audit: ->(_) { raise "disk full" })
      end

      it "does not say that the run could not be started" do
        expect { post(path, do: "start") }.to raise_error(RuntimeError, "disk full")
        expect(asked.size).to eq(1)
      end
    end

    context "without a block" do
      let(:enqueue) { nil }

      it "says what to set" do
        expect(get(path, status: 403)).to include("Set enqueue:")
        expect(get("/pipelines/import")).not_to include("Run…")
      end
    end

    context "when the visitor may only look" do
      let(:level) { :read }

      it "is refused" do
        expect(get(path, status: 403)).to include("You may look and not start runs")
        expect([post(path, do: "start").status, asked]).to eq([403, []])
      end
    end

    it "exists only for pipelines that the application has" do
      Flowline.define(name: "gone") { step(:a) { 1 } }.run
      expect(get("/pipelines/gone/start", status: 404)).to include("Add it to pipelines:")
      expect([post("/pipelines/Kernel/start", do: "start").status, asked]).to eq([404, []])
    end
  end

  describe "that resumes a run" do
    before { failed_run(rows: 4) }

    let(:path) { "/runs/#{last.run_id}/resume" }

    it "says what is recorded, without loading it" do
      allow(Marshal).to receive(:load).and_raise("loaded")
      expect(get(path)).to include("1 of 5 steps can be restored", "Restored, unless their code has changed: fetch.",
                                   "The others run, if their conditions are met: each_row, load, notify, rest.", "<dt>rows</dt><dd><code>4</code>")
    end

    it "shows the plan first, then resumes through the block of the application" do
      answer = post(path, do: "plan")
      expect(rows(answer.body).map { |row| row.first(2) }).to eq([["fetch", "is restored"], %w[each_row runs], %w[load runs], %w[notify runs], ["rest", "is decided by the run"]])
      expect([answer.body.include?("Resuming run #{last.run_id}"), asked]).to eq([true, []])
      expect(post(path, do: "start").headers["location"]).to eq("/pipelines/import?asked=1")
      expect(asked).to eq([[pipeline, {}, last.run_id]])
      expect(entries).to match([include(action: :resume, who: "alice", run: last.run_id)])
    end

    it "plans with the records of the store that it shows, if that is not the one of the process" do
      id = last.run_id
      elsewhere = Flowline::Web.new(authorize: ->(_) { :act }, enqueue: enqueue, pipelines: [pipeline], root: Flowline.config.root)
      Dir.mktmpdir do |empty|
        before = Flowline.config.replace(root: empty)
        answer = Rack::MockRequest.new(elsewhere).post("/runs/#{id}/resume", params: { "do" => "plan" }, "HTTP_SEC_FETCH_SITE" => "same-origin")
        expect([answer.status, answer.body]).to match([200, include("Resuming run #{id}")])
        expect(Dir.children(empty)).to eq([])
      ensure
        Flowline.config.replace(**before)
      end
    end

    it "says that a run cannot be resumed" do
      failed = last.run_id
      pipeline.run(resume: true)
      expect(get("/runs/#{failed}/resume")).to include("It was resumed by <a href=\"/runs/#{last.run_id}\">")
      expect(get("/runs/#{last.run_id}/resume")).to include("It succeeded, so there is nothing to resume.")
      expect([post("/runs/#{failed}/resume", do: "start").status, asked]).to eq([200, []])
    end

    it "says why the plan cannot be made" do
      failed = last.run_id
      pipeline.run(rows: 4)
      answer = post("/runs/#{failed}/resume", do: "plan")
      expect(answer.status).to eq(422)
      expect(answer.body).to match(/role="alert">run #{failed} cannot be resumed: run .* has replaced it/)
    end
  end

  it "shows names of any kind as text on every page" do
    name = "\"><img src=x onerror=alert(1)>"
    steps = ["<script>alert(1)</script>", "../../etc/passwd", "تقرير \u202E", "été", "x " * 5_000, ".."]
    evil = Flowline.define(name: name) { |p| [p.param(:"a\"><b>", default: "</textarea><script>"), *steps.map { |step| p.step(step.to_sym) { "<script>alert(2)</script>" } }] }
    evil.run
    web = Flowline::Web.new(authorize: ->(_) { :act }, enqueue: enqueue, pipelines: [evil])
    client = Rack::MockRequest.new(Rack::Lint.new(web))
    escaped = Flowline::Web::Names.segment(name)
    paths = ["/", "/runs", "/runs?text=%3Cscript%3E&pipeline=#{escaped}", "/pipelines/#{escaped}", "/pipelines/#{escaped}/grid", "/pipelines/#{escaped}/start", "/runs/#{last.run_id}",
             *steps.map { |step| "/runs/#{last.run_id}/steps/#{Flowline::Web::Names.segment(step)}" }]
    bodies = paths.map { |path| client.get(path).tap { |answer| expect([path, answer.status]).to eq([path, 200]) }.body }
    expect(bodies.map { |body| body.scan(%r{<script(?! type="(?:module|application/json)")|<img|<b>[^<]*<script}i) }).to all(eq([]))
    expect(bodies.join).not_to match(/\u202E/)
    links = bodies.join.scan(%r{href="(/[^"#]*)"}).flatten.uniq.map { |link| CGI.unescapeHTML(link) } - ["/runs/#{last.run_id}/resume", "/runs/#{last.run_id}/cancel"]
    expect(links.size).to be > 20
    expect(links.map { |link| [link, client.get(link).status] }).to all(match([a_kind_of(String), 200]))
  end

  it "takes at most 15 KB of each page, and 60 KB with everything that it loads" do
    Flowline.define(name: "wide") { 5_000.times { |at| step(:"load_table_#{at}", depends_on: at < 50 ? [] : :"load_table_#{at - 50}") { 1 } } }.tap { |wide| 2.times { wide.run } }
    failed_run
    wide = "/runs/#{last(pipeline: "wide").run_id}"
    sizes = ["/", "/runs", "/pipelines/wide", "/pipelines/wide/grid", wide, "#{wide}/steps/load_table_99", "/pipelines/import", "/pipelines/import/start",
             "/runs/#{last.run_id}/steps/load", "/runs/#{last.run_id}/resume"].to_h { |path| [path, client.get(path, "HTTP_ACCEPT_ENCODING" => "gzip").body.bytesize] }
    expect(sizes.values).to all(be <= 15_000)
    loaded = %w[flowline.css flowline.js report.js].sum { |name| Zlib.gzip(Flowline::Web::Assets.fetch(name).body).bytesize }
    expect(loaded + sizes.values.max).to be <= 60_000
  end
end
