# frozen_string_literal: true

require "flowline/cli"
require "flowline/rake_task"
require "flowline/testing"
require "ripper"

# Where the library's code is: a file defines the constant that its path says, and folders do not import each other in
# circles.
module Layout
  ROOT = File.expand_path("../../lib", __dir__)
  # Acronyms in names of constants.
  WORDS = { "dag" => "DAG", "cli" => "CLI", "json" => "JSON", "sqlite" => "SQLite" }.freeze
  # Files of several constants, or of methods for another file's class: the errors of a part, and parts of large classes.
  EXEMPT = %w[flowline/errors flowline/errors/definition flowline/errors/run flowline/errors/portable flowline/version
              flowline/planning/forecast/absence flowline/planning/forecast/left_out flowline/otlp flowline/rspec flowline/minitest].freeze
  # Files that need a library to be loaded: Rails loads the generators by their paths, and defines what the Railtie inherits from.
  FOREIGN = %r{\A(generators/|flowline/integrations/railtie\z)}

  module_function

  # @return [Array<String>] the paths of all files, without +lib/+ and +.rb+
  def files
    Dir.glob("**/*.rb", base: ROOT).map { |file| file.delete_suffix(".rb") }.sort
  end

  # @return [String] the constant that a file is named after
  def constant(path)
    path.split("/").map { |part| WORDS.fetch(part) { part.split("_").map(&:capitalize).join } }.join("::")
  end

  # @return [Hash{String => String}] by constant, the folder below +lib/flowline+ that its file is in
  def homes
    @homes ||= files.grep(%r{\Aflowline/[^/]+/[^/]+\z}).to_h { |path| [constant(path).delete_prefix("Flowline::"), path.split("/")[1]] }
  end

  # @return [Array<String>] the folders whose constants a file names
  def imports(path)
    tokens = Ripper.lex(File.read("#{ROOT}/#{path}.rb")).reject { |_, type| type == :on_comment }.map { |token| token[2] }
    tokens.each_cons(3).filter_map { |namespace, colons, name| homes["#{namespace}::#{name}"] if colons == "::" }.uniq
  end

  # @return [Hash{String => Array<String>}] by folder, those it imports
  def graph
    files.grep(%r{\Aflowline/[^/]+/}).group_by { |path| path.split("/")[1] }.to_h do |folder, paths|
      [folder, paths.flat_map { |path| imports(path) }.uniq - [folder]]
    end
  end
end

RSpec.describe "The layout of lib/" do
  it "has a constant for each path" do
    wrong = (Layout.files - Layout::EXEMPT).grep_v(Layout::FOREIGN).reject do |path|
      Object.const_get(Layout.constant(path))
    rescue NameError
      false
    end
    expect(wrong).to be_empty
  end

  it "has no import cycle between folders" do
    graph = Layout.graph
    # Strip folders that import only folders that were stripped (Kahn 1962). Only cycles, and what leads to them, are left.
    until (leaves = graph.select { |_, imported| (imported & graph.keys).empty? }.keys).empty?
      graph = graph.except(*leaves)
    end
    expect(graph).to be_empty
  end

  it "defers exceptions in the places that docs/architecture.md lists" do
    section = File.read("#{Layout::ROOT}/../docs/architecture.md")[/^### Where exceptions are deferred$.*?(?=^##)/m]
    calls = Layout.files.to_h { |path| [path, File.read("#{Layout::ROOT}/#{path}.rb").scan(/^(?! *#).*Thread\.handle_interrupt/).size] }.select { |_, count| count.positive? }
    expect(section.scan(/^\| `(.*)\.rb`/).flatten.map { |path| "flowline/#{path}" }).to match_array(calls.keys)
    expect(section).to include("#{calls.each_value.sum} places of #{calls.size} files")
  end
end
