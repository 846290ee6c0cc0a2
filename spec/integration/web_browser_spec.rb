# frozen_string_literal: true

require_relative "../support/browser"
require_relative "../support/web"

# Every page in a real browser: what a reader sees, on a large and on a small screen, in the dark, by keyboard, without scripts.
RSpec.describe "The web page in a browser", :browser do
  hostile = "\"><img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"
  kinds = { "light" => {}, "dark" => { dark: true }, "phone" => { width: 390, height: 844 }, "zoomed to 200 %" => { width: 640, height: 450 } }

  def import(broken)
    Flowline.define(name: "import", description: "Loads a day", on_error: :continue) do
      param :date, type: :date, default: "2024-01-31", description: "The day"
      param :rows, type: :integer, default: 3, in: 1..100
      param :mode, type: :symbol, default: :full, in: %i[full delta]
      param :tags, type: :array, default: %w[a b]
      param :token, type: :string, secret: true, default: "s3cr3t-default"
      step(:fetch, description: "All of today") { |ctx, rows:| Array.new(rows) { |row| row.tap { ctx.log.info "row #{row}" } } }
      step(:each_row, each: :fetch, on_item_error: :collect) { |row| row == 2 ? raise("bad row") : row }
      step(:load, depends_on: :each_row, retries: 1, retry_delay: 0) { |ctx, each_row:| broken.empty? ? each_row.size : (ctx.log.error("refused") && raise("HTTP 503")) }
      step(:notify, depends_on: :load) { 1 }
      step(:rest, when: -> { false }) { 1 }
    end
  end

  # Names that are no plain words, also of params, in outputs, logs and errors.
  def evil(text)
    Flowline.define(name: text, description: text, on_error: :continue) do
      param text.to_sym, default: text, description: text
      step(:"a#{text}", description: text) { |ctx| text.tap { ctx.log.error(text) } }
      step(:"b#{text}", depends_on: :"a#{text}") { |_| raise text }
      step(:"تقرير المبيعات \u202E", depends_on: :"a#{text}") { |_| "تقرير" }
      step(:"rapport d'été", depends_on: :"a#{text}") { |_| "données" }
      step(:"#{"long_name_" * 1_000}", depends_on: :"a#{text}") { |_| "x" * 10_000 }
    end
  end

  let(:broken) { [] }
  let(:pipeline) { import(broken) }
  let(:hostile_pipeline) { evil(hostile) }
  let(:enqueue) { ->(pipeline, params, resume) { pipeline.start(params: params, resume: resume || false).tap(&:wait) } }
  let(:web) { Flowline::Web.new(authorize: ->(_) { [:act, "alice"] }, enqueue: enqueue, pipelines: [pipeline, hostile_pipeline], audit: ->(_) {}) }
  let(:port) { serve(web) }

  def last(name)
    Flowline::History.runs(pipeline: name, limit: 1).first
  end

  def segment(name)
    Flowline::Web::Names.segment(name)
  end

  # The addresses of all pages of a pipeline and its latest run.
  def pages(name)
    run = last(name)
    ["/", "/runs", "/runs?status=unsuccessful&text=#{segment(name)[0, 60]}", "/pipelines/#{segment(name)}", "/pipelines/#{segment(name)}/grid", "/pipelines/#{segment(name)}/start",
     "/runs/#{run.run_id}", "/runs/#{run.run_id}/cancel", "/runs/#{run.run_id}/resume", *run.steps.map { |step| "/runs/#{run.run_id}/steps/#{segment(step.name)}" }]
  end

  def visit(browser, path)
    browser.get("http://127.0.0.1:#{port}#{path}")
  end

  # Presses a button or a link, also by a key, and waits for the next page.
  def press(browser, element, key = nil)
    browser.execute_script("window.before = true")
    key ? element.send_keys(*key) : element.click
    Selenium::WebDriver::Wait.new(timeout: WebServers::LIMIT).until { loaded?(browser) }
  end

  def loaded?(browser)
    browser.execute_script("return !window.before && document.readyState === 'complete'")
  rescue Selenium::WebDriver::Error::WebDriverError # One page goes, and the next one comes.
    false
  end

  def button(browser, text)
    browser.find_element(xpath: "//button[text()='#{text}']")
  end

  # What is wrong with a page for a reader.
  def faults(browser)
    overflow = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
    texts = browser.execute_script(Browser::OVERLAPS)
    { console: Browser.console(browser), overflow: overflow, overlaps: texts, title: browser.title.include?("pwned") && !browser.title.include?("'pwned'") }
  end

  def fine
    { console: [], overflow: be <= 0, overlaps: [], title: false }
  end

  def fail_and_succeed
    [hostile_pipeline, pipeline].each(&:run)
    broken << 1
    [hostile_pipeline, pipeline].each(&:run)
    broken.clear
  end

  kinds.each do |kind, options|
    it "writes nothing to the console, is never wider than the screen, and has nothing that axe-core finds, #{kind}", :axe do
      fail_and_succeed
      Browser.open(**options) do |browser|
        pages("import").each do |path|
          visit(browser, path)
          expect([path, faults(browser)]).to match([path, fine])
          expect([path, Browser.violations(browser)]).to eq([path, []])
        end
        colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        expect(colour).to eq(options[:dark] ? "rgb(13, 17, 23)" : "rgb(255, 255, 255)")
      end
    end
  end

  it "shows hostile, long and right-to-left names as text, and runs no script of theirs" do
    fail_and_succeed
    [{}, { width: 390, height: 844 }].each do |options|
      Browser.open(**options) do |browser|
        pages(hostile).each do |path|
          visit(browser, path)
          expect([path[0, 60], faults(browser)]).to match([path[0, 60], fine])
          expect(browser.find_elements(css: "main img, main script:not([type]), main [onerror]")).to eq([])
          expect([path[0, 60], browser.execute_script("return document.documentElement.scrollHeight")]).to match([path[0, 60], be < 6_000])
        end
      end
    end
  end

  it "starts a run from the form: a mistake, the plan, then the button" do
    pipeline.run
    Browser.open do |browser|
      visit(browser, "/pipelines/import")
      press(browser, browser.find_element(link_text: "Run…"))
      tags = browser.find_element(name: "param:tags")
      tags.clear
      tags.send_keys("[1,")
      browser.find_element(name: "param:token").send_keys("typed-secret")
      press(browser, button(browser, "Show the plan"))
      problem = browser.find_element(css: "##{browser.find_element(name: "param:tags").attribute("aria-describedby").split.last}")
      expect([problem.text, browser.find_element(name: "param:tags").attribute("value")]).to match([/tags must be an Array/, "[1,"])
      tags = browser.find_element(name: "param:tags")
      tags.clear
      tags.send_keys("x,y")
      browser.find_element(name: "param:token").send_keys("typed-secret")
      press(browser, button(browser, "Show the plan"))
      expect(browser.find_element(css: "main").text).to include("5 steps: 4 to run", "x,y")
      expect([browser.page_source.include?("typed-secret"), Flowline::History.runs.size]).to eq([false, 1])
      browser.find_element(name: "param:token").send_keys("typed-secret")
      press(browser, button(browser, "Start the run"))
      expect([browser.current_url, last("import").params[:tags]]).to match([%r{/runs/#{last("import").run_id}\z}, '["x", "y"]'])
      expect(Browser.console(browser).grep_v(/422/)).to eq([])
    end
  end

  it "resumes a run after its plan was shown" do
    fail_and_succeed
    failed = last("import").run_id
    Browser.open do |browser|
      visit(browser, "/runs/#{failed}")
      press(browser, browser.find_element(link_text: "Resume…"))
      expect(browser.find_element(css: "main").text).to include("1 of 5 steps can be restored")
      press(browser, button(browser, "Show the plan"))
      expect(browser.find_element(css: "tbody").text).to match(/fetch.*is restored.*load.*runs/m)
      press(browser, button(browser, "Resume the run"))
      expect([last("import").status, last("import").resumed]).to eq([:succeeded, failed])
      expect(browser.current_url).to end_with("/runs/#{last("import").run_id}")
    end
  end

  it "selects runs, and opens a step from the runs and steps, by the keyboard alone" do
    fail_and_succeed
    Browser.open do |browser|
      visit(browser, "/runs")
      browser.find_element(css: "body").send_keys(:tab)
      expect(browser.switch_to.active_element.text).to eq("Skip to the content")
      press(browser, browser.find_element(name: "text"), ["HTTP 503", :enter])
      expect(browser.current_url).to include("text=HTTP+503")
      expect(browser.find_elements(css: "tbody tr").map { |row| row.find_element(css: ".state").text }).to eq(["failed"])
      visit(browser, "/pipelines/import/grid")
      press(browser, browser.find_element(css: "td a.failed"), [:enter])
      expect(browser.find_element(css: "h1").text).to eq("load")
      ring = browser.execute_script("const link = document.querySelector('main a'); link.focus({ focusVisible: true }); return getComputedStyle(link).outlineStyle")
      expect(ring).to eq("solid")
    end
  end

  it "has a mark for every status beside its colour" do
    fail_and_succeed
    Browser.open do |browser|
      visit(browser, "/pipelines/import/grid")
      marks = browser.execute_script(<<~JS)
        return Object.fromEntries([...document.querySelectorAll("td a.state")].map((link) => [link.classList[1], getComputedStyle(link, "::before").content.replace(/ \\/.*/, "")]));
      JS
      expect(marks).to eq("failed" => "\"✗\"", "succeeded" => "\"✓\"", "cancelled" => "\"⊘\"", "skipped" => "\"–\"")
      declared = browser.execute_script(<<~JS, Flowline::Report::Markup::MARKS.keys)
        return Object.fromEntries(arguments[0].map((status) => {
          const element = document.body.appendChild(Object.assign(document.createElement("i"), { className: status }));
          return [status, getComputedStyle(element).getPropertyValue("--mark").replaceAll('"', "")];
        }));
      JS
      expect(declared).to eq(Flowline::Report::Markup::MARKS.transform_keys(&:name))
      expect(declared.values.uniq.size).to eq(declared.size)
    end
  end

  it "can be read, searched and acted upon without scripts" do
    fail_and_succeed
    Browser.open(script: false) do |browser|
      pages("import").each do |path|
        visit(browser, path)
        expect([path, browser.find_elements(css: "h1").size]).to eq([path, 1])
      end
      visit(browser, "/pipelines/import/start")
      press(browser, button(browser, "Show the plan"))
      press(browser, button(browser, "Start the run"))
      expect(browser.current_url).to end_with("/runs/#{last("import").run_id}")
    end
  end

  it "shows a pipeline of 5,000 steps" do
    Flowline.define(name: "wide") { 5_000.times { |at| step(:"load_table_#{at}", depends_on: at < 50 ? [] : :"load_table_#{at - 50}") { at == 4_000 ? raise("x") : 1 } } }.run(on_error: :continue)
    Browser.open do |browser|
      ["/pipelines/wide", "/pipelines/wide/grid", "/runs/#{last("wide").run_id}/steps/load_table_4000"].each do |path|
        visit(browser, path)
        expect([path, faults(browser)]).to match([path, fine])
        expect(browser.execute_script("return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")).to be < 1_500 * Browser::PATIENCE
      end
    end
  end
end
