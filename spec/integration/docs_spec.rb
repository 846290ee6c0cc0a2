# frozen_string_literal: true

require "fileutils"
require "open3"
require "rbconfig"
require "tmpdir"

# The code in the README and the guides is run, in a directory that looks like a clone:
#
# - `ruby` blocks of a page, one after the other in one process. Where a line ends in `# => value`, its value must be
#   that one; in `# raises Class: message`, it must raise that.
# - A `ruby` block that begins with a comment that names a file, `# import.rb` or `# Rakefile`, is written there instead.
# - An `output` block is what the `ruby` block before it prints; what it raises counts as printed.
# - In `console` blocks, lines that begin with `$` are typed, and what follows is what they print.
module Docs
  ROOT = File.expand_path("../..", __dir__)
  PAGES = ["README.md", *Dir.glob("docs/*.md", base: ROOT)].freeze
  RUBY = [RbConfig.ruby, "-w", "-I#{ROOT}/lib"].freeze

  Block = Struct.new(:language, :line, :text) do
    # The name of the file that it is to be written to.
    def file
      text[/\A# (\S+\.rb|Rakefile)$/, 1] if language == "ruby"
    end
  end

  # Before the blocks of a page: what their instrumented lines call. All it says goes through markers.
  PREAMBLE = <<~'RUBY'
    require "flowline"
    $stdout.sync = true
    module Doc
      def self.value(line, expected, actual)
        same = begin
          TOPLEVEL_BINDING.eval(expected) == actual
        rescue SyntaxError, StandardError
          false
        end
        wrong(line, expected, actual.inspect) unless same || actual.inspect == expected
      end

      def self.raises(line, expected)
        yield
        wrong(line, expected, "nothing raised")
      rescue StandardError => e
        wrong(line, expected, "#{e.class}: #{e.message}") unless [e.class.name, "#{e.class}: #{e.message}"].include?(expected)
      end

      def self.block(line, code)
        puts "\x1eBLOCK #{line}"
        eval(code, TOPLEVEL_BINDING, "pipeline.rb", 1)
      rescue Exception => e
        puts "#{e.class}: #{e.message}", "\x1eRAISED #{line}"
      end

      def self.wrong(line, expected, actual)
        puts "\x1eWRONG #{line}: expected #{expected}, got #{actual}"
      end
    end
  RUBY

  module_function

  # The fenced blocks of a page.
  def blocks(page)
    text = File.read(File.join(ROOT, page), encoding: "UTF-8")
    text.to_enum(:scan, /^```(\w+)\n(.*?)^```$/m).map do
      match = Regexp.last_match
      Block.new(match[1], match.pre_match.count("\n") + 2, match[2])
    end
  end

  # The code with its remarks turned into checks, line by line.
  def instrument(block)
    block.text.lines.each.with_index(block.line).map do |line, at|
      _, indent, code, remark, expected = *line.match(/\A(\s*)(\S.*?)\s+# (=>|raises) (.+)$/)
      case remark
      when "=>" then "#{indent}Doc.value(#{at}, #{expected.inspect}, (#{code}))\n"
      when "raises" then "#{indent}Doc.raises(#{at}, #{expected.inspect}) { #{code} }\n"
      else line
      end
    end.join
  end

  # Replaces parts that differ between two runs or two machines.
  def normalise(text, directory)
    text.gsub("#{File.realpath(directory)}/", "").gsub(%r{/home/you/flowline/}, "")
        .gsub(/\b\d+\.\d\ds\b/, "0.00s")
        .gsub(/\d{8}T\d{6}-\h{8}/, "RUN")
        .gsub(/\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d)| \d\d:\d\d:\d\d)/, "TIME")
        .gsub(/"duration":[\d.e-]+/, '"duration":0')
        .lines.map(&:rstrip).join("\n").sub(/\A\n+/, "").rstrip
  end

  # Runs the blocks of a page.
  # @return [Array<String>] what is not as the page says
  def problems(page)
    Dir.mktmpdir do |directory|
      FileUtils.cp_r(File.join(ROOT, "examples"), directory)
      FileUtils.rm_rf(File.join(directory, "examples/output"))
      File.write(File.join(directory, "sync.rb"), "$stdout.sync = true\n")
      all = blocks(page)
      all.select(&:file).each { |block| write(File.join(directory, block.file), block.text) }
      ruby_problems(all, directory) + all.select { |b| b.language == "console" }.flat_map { |block| console_problems(block, directory) }
    end
  end

  def write(path, text)
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, text)
  end

  def ruby_problems(all, directory)
    code = all.select { |block| block.language == "ruby" && !block.file }
    script = File.join(directory, "page.rb")
    File.write(script, PREAMBLE + code.map { |block| "Doc.block(#{block.line}, #{instrument(block).dump})\n" }.join)
    printed, = Open3.capture2e({ "NO_COLOR" => "1", "FLOWLINE_ROOT" => nil }, *RUBY, script, chdir: directory)
    said = printed.force_encoding("UTF-8").split(/^\x1eBLOCK (\d+)\n/, -1).drop(1).each_slice(2).to_h
    return ["the page did not run: #{printed}"] if said.size != code.size

    code.flat_map { |block| block_problems(block, said.fetch(block.line.to_s), following(all, block), directory) }
  end

  def following(all, block)
    after = all[all.index(block) + 1]
    after if after&.language == "output"
  end

  def block_problems(block, said, output, directory)
    wrong = said.scan(/\x1eWRONG (.*)/).flatten.map { |text| "line #{text}" }
    wrong << "line #{block.line}: #{said}" if (output.nil? && said.include?("\x1eRAISED")) || said.include?("warning: ")
    return wrong unless output

    wrong + difference(output.line, output.text, said.gsub(/^\x1e.*\n/, ""), directory)
  end

  def difference(line, expected, actual, directory)
    expected, actual = [expected, actual].map { |text| normalise(text, directory) }
    expected == actual ? [] : ["line #{line}: expected\n#{expected}\n\ngot\n#{actual}"]
  end

  def console_problems(block, directory)
    typed = block.text.split(/^\$ (.*)\n/).drop(1).each_slice(2)
    typed.flat_map do |command, expected|
      flowline = [*RUBY, "#{ROOT}/exe/flowline"].join(" ")
      shell = command.sub(%r{\Abin/run\b}, "flowline run examples/weather_report.rb")
      environment = { "NO_COLOR" => "1", "FLOWLINE_ROOT" => nil, "RUBYOPT" => "-r#{directory}/sync.rb -I#{ROOT}/lib" }
      actual, = Open3.capture2e(environment, "flowline() { #{flowline} \"$@\"; }\n#{shell}", chdir: directory)
      difference(block.line, expected.to_s, actual.force_encoding("UTF-8"), directory).map { |problem| "$ #{command}\n#{problem}" }
    end
  end
end

RSpec.describe "documentation" do
  Docs::PAGES.each do |page|
    describe page do
      it "shows code and output that are true", executor: :sequential do
        problems = Docs.problems(page)
        expect(problems).to be_empty, problems.join("\n\n")
      end
    end
  end

  it "maps files that exist" do
    page = File.read(File.join(Docs::ROOT, "docs/architecture.md"), encoding: "UTF-8")
    paths = page.scan(%r{`((?:lib|ext|exe|bin|spec|docs|examples|sig|benchmarks)/[\w./{},*-]*)`}).flatten
    expect(paths).not_to be_empty
    expect(paths.reject { |path| Dir.glob(path, base: Docs::ROOT).any? }).to eq([])
  end
end
