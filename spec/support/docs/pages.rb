# frozen_string_literal: true

require "date"
require "fileutils"
require "open3"
require "rbconfig"
require "tmpdir"
require_relative "others"

# The code in the README and the guides is run, in a directory that looks like a clone:
#
# - `ruby` blocks of a page, one after the other in one process. Where a line ends in `# => value`, its value must be
#   that one; in `# raises Class: message`, it must raise that.
# - A `ruby` or `sh` block that begins with a comment that names a file, `# import.rb`, is written there instead.
# - An `output` block is what the `ruby` block before it prints; what it raises counts as printed.
# - In `console` blocks, lines that begin with `$` are typed, and what follows is what they print. One that ends in `&` runs to
#   the end of the block.
# - Blocks in another language are checked by {Docs::OTHERS}.
#
# The directories /srv, /var/lib and /etc are in that directory as well. {Docs::RAILS} is run in a new Rails application.
module Docs
  ROOT = File.expand_path("../../..", __dir__)
  PAGES = ["README.md", *Dir.glob("docs/*.md", base: ROOT)].freeze
  RAILS = "docs/rails.md"
  # Seconds that a program in the background may take until it is as far as the page says.
  PATIENCE = 30
  RUBY = [RbConfig.ruby, "-w", "-I#{ROOT}/lib"].freeze

  Block = Struct.new(:language, :line, :text) do
    # The file that its first line names: `# import.rb`, `# /etc/systemd/system/import.timer`, `-- models/days.sql`.
    def named
      text[/\A(?:#|--) (\S+)$/, 1]
    end

    # The name of the file that it is to be written to.
    def file
      named if language == "sh" || (language == "ruby" && named&.end_with?(".rb", "Rakefile"))
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
    text.to_enum(:scan, /^```(\w*)\n(.*?)^```$/m).map do
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
    text.gsub(%r{#{File.realpath(directory)}/(?=(?:srv|var/lib|etc)/)}, "/").gsub("#{File.realpath(directory)}/", "/home/you/flowline/")
        .gsub(/\b\d+\.\d\ds\b/, "0.00s").gsub(/\b\d+\.\ds +/, "0.0s ").gsub(/^\d\d:\d\d:\d\d\.\d{3} /, "TIME ").gsub(/\bprocess \d+/, "process 1")
        .gsub(/\d{8}T\d{6}-\h{8}/, "RUN")
        .gsub(/\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d)| \d\d:\d\d:\d\d)/, "TIME")
        .gsub(/"duration":[\d.e-]+/, '"duration":0').gsub(Date.today.to_s, "2026-11-24")
        .gsub(/^⚠ the output of step .* took longer to record .*\n/, "") # On a slow machine.
        .gsub(/:(\w+)=>/, '\1: ').gsub(/(?<=["\d])=>/, " => ") # As Ruby 3.4 shows a Hash.
        .lines.map(&:rstrip).join("\n").sub(/\A\n+/, "").rstrip
  end

  # @return [Array<String>] the libraries that the blocks of a page require and that are not installed
  def missing(page)
    names = blocks(page).select { |block| block.language == "ruby" }.flat_map { |block| block.text.scan(%r{^require "([\w/-]+)"}).flatten }.uniq
    names.grep_v(/\Aflowline/).reject { |name| $LOAD_PATH.resolve_feature_path(name) || Gem::Specification.find_by_path(name) }
  end

  # Runs the blocks of a page.
  # @return [Array<String>] what is not as the page says
  def problems(page)
    folder(page) do |directory|
      FileUtils.cp_r(File.join(ROOT, "examples"), directory)
      FileUtils.rm_rf(File.join(directory, "examples/output"))
      File.write(File.join(directory, "sync.rb"), "$stdout.sync = true\n")
      all = blocks(page)
      all.select(&:file).reverse_each { |block| write_file(block, directory) }
      shims(directory)
      ruby_problems(all, directory) + all.flat_map { |block| other_problems(block, all, directory) }
    end
  end

  # The directory in which a page is run, and the variables of its processes: that of RAILS is a new application.
  def folder(page)
    Dir.mktmpdir do |directory|
      next yield directory unless page == RAILS

      app = RailsApp.new(File.join(directory, "shop"))
      @application = { **RailsApp.environment, "BUNDLE_GEMFILE" => app.path("Gemfile") }
      yield app.folder
    ensure
      @application = nil
    end
  end

  # A page may show several versions of a file: the first counts until the next one is reached.
  def write_file(block, directory)
    write(directory, block.file, within(block.text, directory))
    []
  end

  def write(directory, file, text, mode = 0o644)
    path = File.join(directory, file)
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, text)
    File.chmod(mode, path)
  end

  def other_problems(block, all, directory)
    write_file(block, directory) if block.file
    case block.language
    when "ruby", "output", "text" then [] # A `text` block shows what cannot be repeated.
    when "console" then console_problems(block, directory)
    else
      check = OTHERS[block.language]
      check ? check.call(block, all, directory).map { |problem| "line #{block.line}: #{problem}" } : ["line #{block.line}: no check of #{block.language}"]
    end
  end

  def ruby_problems(all, directory)
    code = all.select { |block| block.language == "ruby" && !block.file }
    script = File.join(directory, "page.rb")
    File.write(script, PREAMBLE + code.map { |block| "Doc.block(#{block.line}, #{instrument(block).dump})\n" }.join)
    program = @application ? [RbConfig.ruby, "bin/rails", "runner"] : RUBY
    printed, = Open3.capture2e({ "NO_COLOR" => "1", "FLOWLINE_ROOT" => nil, **@application.to_h }, *program, script, chdir: directory)
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
    background = []
    typed.flat_map do |command, expected|
      if command.end_with?(" &")
        background << start(command, directory)
        next []
      end
      wrong = difference_of(command, expected.to_s, block, directory, background.any? ? PATIENCE : 0)
      wrong.map { |problem| "$ #{command}\n#{problem}" }
    end
  ensure
    background&.each { |pid| stop(pid) }
  end

  # Types the command; while a program runs in the background, again until what it prints is right.
  # @param patience [Numeric] for how many seconds
  def difference_of(command, expected, block, directory, patience)
    give_up = Process.clock_gettime(Process::CLOCK_MONOTONIC) + patience
    loop do
      actual, = shell(command.sub(%r{\Abin/run\b}, "flowline run examples/weather_report.rb"), directory)
      wrong = difference(block.line, expected, actual, directory)
      return wrong if wrong.empty? || Process.clock_gettime(Process::CLOCK_MONOTONIC) > give_up
    end
  end

  # Starts a command in the background, in a process group of its own.
  # @return [Integer] its id
  def start(command, directory)
    Process.spawn(variables(directory), "/bin/sh", "-c", within("exec #{command.delete_suffix("&")}", directory),
                  chdir: directory, pgroup: true, in: File::NULL, %i[out err] => File::NULL)
  end

  def stop(pid)
    Process.kill(:KILL, -pid)
    Process.wait(pid)
  rescue SystemCallError
    nil # It has ended.
  end

  # Runs a command, with the programs of {Docs.shims}.
  # @return [Array(String, Process::Status)] what it has printed
  def shell(command, directory, environment = {}, folder: directory)
    said, status = Open3.capture2e({ **variables(directory), **environment }, "/bin/sh", "-c", within(command, directory), chdir: folder)
    [said.force_encoding("UTF-8"), status]
  end

  def variables(directory)
    { **@application.to_h, "NO_COLOR" => "1", "FLOWLINE_ROOT" => nil, "PATH" => "#{directory}/.bin:#{ENV.fetch("PATH")}" }
  end

  # The text with /srv and so on as directories of that directory.
  def within(text, directory)
    text.gsub(%r{(?<![\w.])/(?=(srv|var/lib|etc/systemd)/)}, "#{File.realpath(directory)}/")
  end
end
