# frozen_string_literal: true

require "erb"
require "fileutils"
require "kramdown"
require "kramdown-parser-gfm"
require "rouge"
require_relative "guides"

# Makes a site of static pages from the guides: a page is one file, and makes no request. `rake docs:site` calls it.
class Site
  REPOSITORY = Gem::Specification.load(File.join(Guides::ROOT, "flowline.gemspec")).homepage
  TEMPLATE = ERB.new(File.read(File.join(__dir__, "page.html.erb")), trim_mode: "-")
  STYLE = File.read(File.join(__dir__, "site.css"))
  OPTIONS = {
    input: "GFM", hard_wrap: false, smart_quotes: %w[apos apos quot quot],
    typographic_symbols: { hellip: "...", mdash: "---", ndash: "--" }
  }.freeze

  # Makes HTML of Markdown: links lead to pages of the site or to the repository, headings can be linked to.
  class Html < Kramdown::Converter::Html
    def convert_header(element, indent)
      id = Guides.anchor(element.options[:raw_text])
      element.attr["id"] = id
      html = super
      element.options[:level] == 1 ? html : html.sub(/<h\d[^>]*>/, %(\\0<a class="anchor" href="##{id}" aria-hidden="true" tabindex="-1">#</a>))
    end

    def convert_a(element, indent)
      element.attr["href"] = Site.target(element.attr["href"])
      super
    end

    # In a table, `\|` is a bar, in code too.
    def convert_codespan(element, indent)
      element.value = element.value.gsub("\\|", "|") if @stack.any? { |outer| outer.type == :table }
      super
    end

    def convert_table(element, indent)
      %(<div class="scroll" tabindex="0" role="region" aria-label="Table">#{super}</div>\n)
    end

    def convert_codeblock(element, _indent)
      language = element.options[:lang].to_s
      code = language == "console" ? session(element.value) : highlighted(element.value, language)
      %(<pre tabindex="0" class="#{ERB::Util.h(language)}"><code>#{code}</code></pre>\n)
    end

    private

    def highlighted(text, language)
      lexer = Rouge::Lexer.find(language == "output" ? "text" : language) || Rouge::Lexers::PlainText
      Rouge::Formatters::HTML.new.format(lexer.lex(text))
    end

    # A console session: commands are bold.
    def session(text)
      text.lines.map do |line|
        line.start_with?("$ ") ? "<b>#{ERB::Util.h(line.chomp)}</b>\n" : ERB::Util.h(line)
      end.join
    end
  end

  # A page of the site.
  Entry = Struct.new(:page, :file, :before, :after) do
    def title = page.title

    # @return [Array<String>] its headings of the second level
    def sections = page.prose.scan(/^## (.+)$/).flatten

    # @return [String] HTML; the link to the next page at its end is made by the template
    def body
      text = page.text.sub(/^Next: .*\n\z/, "")
      root, = Kramdown::Parser::GFM.parse(text, Kramdown::Options.merge(OPTIONS))
      Html.convert(root, Kramdown::Options.merge(OPTIONS)).first
    end
  end

  # @param target [String] where a link of a guide leads to
  # @return [String] where that link leads to in the site
  def self.target(target)
    return target if target.match?(/\A([a-z]+:|#)/)

    path, anchor = target.split("#", 2)
    address = if path.match?(/\A[a-z-]+\.md\z/)
                file(path)
              else
                "#{REPOSITORY}/blob/main/#{path.start_with?("../") ? path.delete_prefix("../") : "docs/#{path}"}"
              end
    [address, anchor].compact.join("#")
  end

  # @return [String] the file of the site that is made of a guide
  def self.file(markdown)
    markdown == Guides::INDEX ? "index.html" : markdown.sub(/\.md\z/, ".html")
  end

  # @param directory [String] is made, and emptied if it exists
  def initialize(directory)
    @directory = directory
  end

  # @return [Array<String>] the files that were written
  def write
    FileUtils.rm_rf(@directory)
    FileUtils.mkdir_p(@directory)
    entries.map do |entry|
      File.join(@directory, entry.file).tap { |path| File.write(path, html(entry)) }
    end
  end

  private

  def entries
    @entries ||= begin
      pages = [Guides.index, *Guides.pages]
      pages.each_with_index.map do |page, at|
        Entry.new(page, Site.file(page.file), at.zero? ? nil : pages[at - 1], pages[at + 1])
      end
    end
  end

  # @return [Hash{String => Array<Entry>}] the entries below the headings of the index
  def groups
    parts = Guides.index.text.split(/^## (.+)$/).drop(1).each_slice(2)
    parts.to_h.transform_values { |text| entries.select { |entry| text.include?("(#{entry.page.file})") } }
  end

  def html(entry)
    TEMPLATE.result_with_hash(entry: entry, groups: groups, style: STYLE, repository: REPOSITORY)
  end
end
