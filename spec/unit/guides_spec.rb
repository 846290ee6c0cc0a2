# frozen_string_literal: true

require_relative "../../docs/site/guides"

RSpec.describe Guides do
  # @return [Array<String>] the links of README and guides of which the block is true
  def links(pages = [described_class::Page.new("README.md"), *described_class.all])
    pages.flat_map do |page|
      page.links.select { |link| yield page, link }.map { |link| "#{page.path}, #{link}" }
    end
  end

  it "names each file after the title of its page" do
    files = described_class.all.to_h { |page| [page.file, described_class.file(page.title)] }
    expect(files.reject { |file, expected| file == expected }).to eq({})
  end

  it "gives each link to a page the title of that page" do
    wrong = links do |page, link|
      target = page.at(link) unless link.external? || link.anchor
      target&.path&.start_with?("docs/") && target.title != link.text
    end
    expect(wrong).to be_empty, wrong.join("\n")
  end

  it "links to pages and headings that exist" do
    wrong = links do |page, link|
      next if link.external?

      target = page.at(link)
      next !File.exist?(File.expand_path(link.path, File.join(described_class::ROOT, File.dirname(page.path)))) unless target

      link.anchor && !target.anchors.include?(link.anchor)
    end
    expect(wrong).to be_empty, wrong.join("\n")
  end

  it "lists every page in the index, once" do
    listed = described_class.index.links.map(&:target)
    expect(listed.sort).to eq(described_class.all.map(&:file).sort - [described_class::INDEX])
  end

  it "ends each page with a link to the next one" do
    guides = described_class.pages
    expected = guides.each_cons(2).to_h { |page, following| [page.file, "Next: [#{following.title}](#{following.file})"] }
    actual = expected.to_h { |file, _| [file, guides.find { |page| page.file == file }.text.lines.last.chomp] }
    expect(actual).to eq(expected)
  end

  it "has no guide of more than 300 lines, apart from the page for contributors" do
    long = described_class.pages.reject { |page| page.file == "architecture.md" }.to_h { |page| [page.file, page.text.count("\n")] }.select { |_, lines| lines > 300 }
    expect(long).to eq({})
  end

  describe "for readers who look something up" do
    let(:text) { described_class.pages.map(&:text).join }

    it "name each option of define, step and run" do
      options = %i[DEFINE STEP RUN].to_h { |table| [table, Flowline::Definition::Options.const_get(table).keys.reject { |name| text.include?("#{name}:") }] }
      expect(options).to eq(DEFINE: [], STEP: [], RUN: [])
    end

    it "name each setting of the process" do
      settings = Flowline::Configuration.instance_methods(false).grep(/=\z/).map { |name| "config.#{name.to_s.delete_suffix("=")}" }
      expect(settings.reject { |setting| text.include?(setting) }).to eq([])
    end

    it "name each option of the web page" do
      options = Flowline::Web.instance_method(:initialize).parameters.map(&:last)
      expect(options.reject { |name| text.include?("`#{name}:`") }).to eq([])
    end

    it "name each command of the command line with its options" do
      missing = Flowline::CLI::Commands::NAMES.flat_map do |name|
        options = help(name).scan(/^ +(-.+?)(?:  |$)/).flatten.map { |option| option.scan(/-{1,2}[a-z][a-z-]*/) }
        [["flowline #{name}"], *options].reject { |forms| forms.any? { |form| text.include?(form) } }
      end
      expect(missing).to eq([])
    end

    def help(command)
      out = StringIO.new
      Flowline::CLI.start([command, "--help"], out: out, err: out)
      out.string
    end
  end

  it "makes anchors as GitHub does" do
    anchors = ["Under `:parallel`", "status, history, show and stats", "ActiveSupport::Notifications", "One [run](a.md) at a time"].map { |text| described_class.anchor(text) }
    expect(anchors).to eq(%w[under-parallel status-history-show-and-stats activesupportnotifications one-run-at-a-time])
  end
end
