# frozen_string_literal: true

# The guides as data: their order, titles, headings and links. docs/guides.md has the order. Read by the specs of the guides
# and by the site that is made from them.
module Guides
  ROOT = File.expand_path("../..", __dir__)
  INDEX = "guides.md"

  # A link in a page: the line it is in, its text, and where it leads to.
  Link = Struct.new(:line, :text, :target) do
    # @return [String] the file, relative to the page; "" is the page itself
    def path = target[/\A[^#]*/]

    # @return [String, nil] the heading that it leads to
    def anchor = target[/#(.+)/, 1]

    def external? = target.match?(/\A[a-z]+:/)

    def to_s = "line #{line}: [#{text}](#{target})"
  end

  # A Markdown file.
  class Page
    attr_reader :path

    # @param path [String] relative to the root, such as "docs/resuming.md"
    def initialize(path)
      @path = path
    end

    def file = File.basename(path)

    def text = @text ||= File.read(File.join(ROOT, path), encoding: "UTF-8")

    # @return [String] the text of its first heading
    def title = headings.first

    # @return [Array<String>]
    def headings = prose.scan(/^\#{1,6} (.+)$/).flatten

    # @return [Array<String>] as GitHub makes them
    def anchors = headings.map { |heading| Guides.anchor(heading) }

    # @return [Array<Link>] images included
    def links
      prose.lines.each.with_index(1).flat_map do |line, number|
        line.gsub(/`[^`]*`/) { |code| code.tr("[]", "  ") }.scan(/\[([^\]]*)\]\(([^)\s]+)\)/).map { |text, target| Link.new(number, text, target) }
      end
    end

    # @return [Page, nil] the page that a link leads to
    def at(link)
      return self if link.path.empty?

      found = File.expand_path(link.path, File.join(ROOT, File.dirname(path))).delete_prefix("#{ROOT}/")
      Page.new(found) if found.end_with?(".md") && File.file?(File.join(ROOT, found))
    end

    # @return [String] the same lines, those of code left empty
    def prose
      @prose ||= text.gsub(/^(```+).*?^\1$/m) { |block| "\n" * block.count("\n") }
    end

    def ==(other) = other.is_a?(Page) && path == other.path
  end

  module_function

  # @return [Page]
  def index = Page.new("docs/#{INDEX}")

  # @return [Array<Page>] the guides in the order in which they are read
  def pages
    index.links.map { |link| index.at(link) }
  end

  # @return [Array<Page>] every Markdown file of docs/
  def all
    Dir.glob("docs/*.md", base: ROOT).sort.map { |path| Page.new(path) }
  end

  # @return [String] the anchor of a heading, as GitHub makes it
  def anchor(heading)
    heading.gsub(/\[([^\]]*)\]\([^)]*\)/, '\1').downcase.gsub(/[^\p{L}\p{N}_ -]/, "").tr(" ", "-")
  end

  # @return [String] the file that a title belongs to
  def file(title)
    "#{title.downcase.gsub(/[^a-z0-9]+/, "-")}.md"
  end
end
