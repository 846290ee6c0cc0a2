# frozen_string_literal: true

require "open3"
require "rbconfig"
require "tmpdir"
require_relative "../../docs/site/guides"

# The site of the guides, as `rake docs:site` makes it, and what a reader sees of it in a browser.
RSpec.describe "site of the guides" do
  before(:all) do
    missing = %w[kramdown kramdown-parser-gfm rouge].reject { |name| Gem::Specification.find_all_by_name(name).any? }
    skip "needs #{missing.join(", ")}" if missing.any? && !ENV["CI"]

    @directory = File.join(Dir.mktmpdir, "site")
    said, status = Open3.capture2e({ "OUTPUT" => @directory, "RUBYOPT" => nil }, RbConfig.ruby, "-S", "rake", "docs:site", chdir: Guides::ROOT)
    raise said unless status.success?
  end

  after(:all) { FileUtils.rm_rf(File.dirname(@directory)) if @directory }

  def html(file)
    File.read(File.join(@directory, file), encoding: "UTF-8")
  end

  def pages
    @pages ||= Dir.children(@directory).sort.to_h { |file| [file, html(file)] }
  end

  # @param ids [Hash{String => Array<String>}] the anchors of each page
  def leads?(link, file, ids)
    path, anchor = link.split("#", 2)
    anchors = ids[path.empty? ? file : path]
    anchors && (anchor.nil? || anchors.include?(anchor))
  end

  it "has a page for each guide, and leads through them in their order" do
    expected = ["index.html", *Guides.pages.map { |page| page.file.sub(".md", ".html") }]
    expect(pages.keys).to eq(expected.sort)
    expect(expected.each_cons(2).reject { |file, following| html(file).include?(%(rel="next" href="#{following}")) }).to eq([])
  end

  it "leads each link to a page and a heading that exist, or to another site" do
    ids = pages.transform_values { |text| text.scan(/ id="([^"]+)"/).flatten }
    broken = pages.flat_map do |file, text|
      links = text.scan(/ href="([^"]+)"/).flatten.grep_v(/\Ahttps:/)
      links.reject { |link| leads?(link, file, ids) }.map { |link| "#{file}: #{link}" }
    end
    expect(broken).to be_empty, broken.join("\n")
  end

  it "leads links out of the guides to files of the repository that exist" do
    repository = Gem::Specification.load(File.join(Guides::ROOT, "flowline.gemspec")).homepage
    paths = pages.values.flat_map { |text| text.scan(%r{ href="#{repository}/blob/main/([^"#]+)}) }.flatten.uniq
    expect(paths).to include("README.md")
    expect(paths.reject { |path| File.exist?(File.join(Guides::ROOT, path)) }).to eq([])
  end

  it "gives no two headings of a page the same anchor" do
    twice = pages.transform_values { |text| text.scan(/ id="([^"]+)"/).flatten.tally.select { |_, times| times > 1 }.keys }
    expect(twice.reject { |_, ids| ids.empty? }).to eq({})
  end

  it "loads nothing, and takes at most 60 KB a page" do
    expect(pages.select { |_, text| text.match?(/<(?:link|script|img|iframe|object|video)\b|\bsrc=|@import|url\(/) }.keys).to eq([])
    expect(pages.select { |_, text| text.bytesize > 60 * 1024 }.transform_values(&:bytesize)).to eq({})
  end

  it "shows text, code and tables as they are in the guide" do
    hooks = html("conditions-and-hooks.html")
    expect(hooks).to include("<code>before_run { |ctx| }</code>", %(<h2 id="hooks">))
    expect(html("command-line.html")).to include("<b>$ flowline validate import.rb</b>\nimport: 2 steps, valid")
    expect(pages.values.grep(/```|\]\([a-z-]+\.md/)).to eq([])
  end

  describe "in a browser", browser: true do
    def visit(browser, file)
      browser.navigate.to("file://#{File.join(@directory, file)}")
    end

    it "overflows on no page at the width of a phone" do
      wide = Browser.open(width: 360, height: 740) do |browser|
        pages.keys.select do |file|
          visit(browser, file)
          browser.execute_script("return document.documentElement.scrollWidth > innerWidth")
        end
      end
      expect(wide).to eq([])
    end

    it "requests nothing but the page, and opens the menu of a phone without scripts" do
      Browser.open(width: 360, height: 740, script: false) do |browser|
        visit(browser, "resuming.html")
        expect(Browser.requests(browser).grep_v(%r{/resuming\.html\z|\Adata:|\Achrome})).to eq([])
        link = browser.find_element(css: "nav a[href='caching-strategies.html']")
        expect(link).not_to be_displayed
        browser.find_element(css: "nav label").click
        expect(link).to be_displayed
        link.click
        expect(browser.title).to eq("Caching strategies · Flowline")
      end
    end

    it "breaks no rule of accessibility in light and dark colours", axe: true do
      [false, true].each do |dark|
        Browser.open(dark: dark) do |browser|
          %w[index.html conditions-and-hooks.html getting-started.html].each do |file|
            visit(browser, file)
            expect(Browser.violations(browser)).to eq([]), "#{file}, #{dark ? "dark" : "light"}: #{Browser.violations(browser)}"
          end
        end
      end
    end
  end
end
