# frozen_string_literal: true

require "json"
require "rexml/document"
require_relative "../support/browser"

RSpec.describe "Pictures of a pipeline" do
  let(:pipeline) do
    inner = Flowline.define do
      step(:trim, &:itself)
      step(:check, depends_on: :trim, &:itself)
    end
    Flowline.define do
      step(:fetch, description: "All of <today>", output: Array) { [1] }
      step(:clean, inner, depends_on: :fetch)
      step(:pages, each: :clean) { |page| page }
    end
  end
  let(:fan) do
    Flowline.define do
      step(:start) { 1 }
      40.times { |at| step(:"page_#{at}", depends_on: :start, &:itself) }
      step(:end, depends_on: Array.new(40) { |at| :"page_#{at}" }) { |**| 1 }
    end
  end

  def texts(svg)
    REXML::Document.new(svg).root.get_elements("//text").map(&:text)
  end

  it "shows steps with their source locations, hints and frames as SVG" do
    svg = pipeline.dag.to_svg
    expect(texts(svg)).to include("fetch", "→ Array", "clean", "trim", "check", "pages", "each clean")
    links = REXML::Document.new(svg).root.get_elements("//a").map { |link| link.attributes["href"] }
    expect(links).to all(match(%r{\Aspec/integration/pictures_spec\.rb#L\d+\z}))
    expect(svg).to include("All of &lt;today&gt;", "<style>")
  end

  it "links to where a template says" do
    svg = pipeline.dag.to_svg(link: "https://example.com/{path}?line={line}&x")
    expect(svg).to match(%r{href="https://example\.com/spec/integration/pictures_spec\.rb\?line=\d+&amp;x"})
    expect(pipeline.dag.to_svg(link: nil)).not_to include("href")
  end

  it "folds a wide fan, and shows what is in it on a page" do
    expect(texts(fan.dag.to_svg)).to contain_exactly("start", "page_* ×40", "end")
    expect(texts(fan.dag.to_svg(folded: false))).to include("page_0", "page_39")
    expect(fan.dag.to_html).to include('href="#sheet-1"', ">page_39</text>")
  end

  it "describes the graph and its geometry as JSON" do
    graph = JSON.parse(JSON.generate(pipeline.dag))
    expect(graph["steps"].map { |step| step.values_at("name", "depends_on") }).to include(["fetch", []], ["clean.check", ["clean.trim"]])
    expect(graph["boxes"].map { |box| box["steps"] }).to eq([[0], [1], [2], [3]])
    expect(graph["lines"].first["points"].size).to be > 1
  end

  it "raises for a picture with every step of a very large graph" do
    chain = Flowline.define { 6_000.times { |at| step(:"s#{at}", depends_on: at.zero? ? [] : :"s#{at - 1}") { 1 } } }
    expect { chain.dag.to_svg(folded: false) }.to raise_error(Flowline::Error, /too large/)
    expect(texts(chain.dag.to_svg)).to include("5998 steps")
  end

  it "keeps hostile names as text" do
    names = ["<script>alert(1)</script>", %("><img src=x onerror=alert(1)>), "a\u202Eb\u0000c", "x" * 10_000]
    hostile = Flowline.define { names.each { |name| step(name, description: name) { 1 } } }
    html = hostile.dag.to_html(title: names[1])
    expect(html.scan(/<script|<img/)).to be_empty
    expect(html).not_to match(/[\u202E\u0000]/)
    expect(html.bytesize).to be < 30_000
    expect(hostile.dag.to_svg).to be_a(String).and(satisfy { |svg| REXML::Document.new(svg).root.name == "svg" })
  end

  describe "in a browser", :browser do
    around { |example| Dir.mktmpdir { |directory| @directory = directory and example.run } }

    def page(name, html)
      path = File.join(@directory, name)
      File.write(path, html)
      "file://#{path}"
    end

    it "have no overlapping labels, no console message and no request" do
      names = %w[日本語の名前 🎉🎉🎉🎉🎉🎉 ｗｉｄｅｗｉｄｅ iiiiiiiiiiii WWWWWWWWWWWW עברית_שלום العربية a̐éö̲] + ["<b>bold</b>", "x" * 5_000]
      wide = Flowline.define do
        step(:start) { 1 }
        names.each { |name| step(name, depends_on: :start, &:itself) }
      end
      Browser.open do |browser|
        [wide, pipeline, fan].each_with_index do |shown, at|
          url = page("#{at}.html", shown.dag.to_html)
          browser.get(url)
          expect(browser.execute_script(Browser::OVERLAPS)).to eq([])
          expect(Browser.console(browser)).to eq([])
          expect(Browser.requests(browser)).to eq([url])
        end
      end
    end

    it "open a fold on a click and by the keyboard, and lead back, without any script" do
      Browser.open(script: false) do |browser|
        browser.get(page("fan.html", fan.dag.to_html))
        shown = -> { browser.find_elements(css: ".sheet").select(&:displayed?).map { |sheet| sheet.attribute("id") } }
        expect(shown.call).to eq(["sheet-0"])
        browser.find_element(css: "a.fold").click
        expect(shown.call).to eq(["sheet-1"])
        expect(browser.execute_script(Browser::OVERLAPS)).to eq([])
        browser.find_element(css: "#sheet-1 .way a").send_keys(:enter)
        expect(shown.call).to eq(["sheet-0"])
      end
    end

    it "are dark for a reader who prefers that, also as an SVG of its own" do
      svg = page("picture.svg", pipeline.dag.to_svg)
      fills = [false, true].map do |dark|
        Browser.open(dark: dark) do |browser|
          browser.get(svg)
          browser.execute_script("return getComputedStyle(document.querySelector('.step rect')).fill")
        end
      end
      expect(fills).to eq(["rgb(255, 255, 255)", "rgb(28, 33, 40)"])
    end
  end
end
