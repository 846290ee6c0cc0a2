# frozen_string_literal: true

# Records the live terminal as an animated SVG, from a real run of the pipeline below in a pseudo-terminal.
#
#   ruby -Ilib benchmarks/live_recording.rb docs/images/live.svg
#
# The bytes that the run writes go through the terminal emulator of the specs. Each picture of its screen is a group of the SVG,
# shown by an animation of its opacity for as long as it was on the screen.

require "cgi"
require "flowline"
require "rbconfig"
require "tmpdir"
require_relative "../spec/support/screen"

module LiveRecording
  ROWS = 18
  COLUMNS = 84
  # A character, in pixels.
  WIDTH = 8.4
  HEIGHT = 18
  # Seconds between two pictures, and that the last one stays.
  STEP = 0.2
  PAUSE = 4
  COLOURS = { "✓" => "#3fb950", "✗" => "#f85149", "⏸" => "#d29922", "↻" => "#d29922", "⚠" => "#d29922" }.freeze
  SPINNER = /\A[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/

  PIPELINE = <<~'RUBY'
    require "flowline"

    Flowline.define(name: "nightly_import") do
      pool :db, 1

      step(:fetch_users) { |ctx| sleep 1.4; ctx.report(rows: 18_204) }
      step(:fetch_prices) { sleep 0.6; puts "prices: currency EUR has no rate yet, using yesterday's"; sleep 0.5; Array.new(312) }
      step(:page_numbers) { (1..240).to_a }
      step(:pages, each: :page_numbers, concurrency: 4, retries: 2, retry_delay: 0) { |page| sleep 0.06; page }
      step(:exchange, retries: 3, retry_strategy: :linear, retry_delay: 1) { (@calls = @calls.to_i + 1) < 3 ? raise(IOError, "connection reset") : 1 }
      step(:load_users, depends_on: :fetch_users, uses: :db) { system("for n in 1 2 3; do echo \"psql: COPY $((n * 6068)) rows\"; sleep 0.4; done") }
      step(:load_prices, depends_on: %i[fetch_prices exchange], uses: :db) { |_| sleep 0.8 }
      step(:report, depends_on: %i[load_users load_prices pages]) { |_| sleep 0.4 }
    end
  RUBY

  module_function

  # @param path [String] of the SVG
  def write(path)
    pictures = record
    File.write(path, svg(pictures))
    puts "#{path}: #{pictures.size} pictures of #{pictures.last.last.round(1)} s, #{File.size(path) / 1000} KB"
  end

  # @return [Array<Array(Array<String>, Float)>] screens, and when they were there
  def record
    Dir.mktmpdir do |directory|
      file = File.join(directory, "nightly_import.rb")
      File.write(file, PIPELINE)
      run(file, directory) # So that the times of the steps are known.
      run(file, directory)
    end
  end

  def run(file, directory)
    root = File.expand_path("..", __dir__)
    command = [RbConfig.ruby, "-I#{root}/lib", "#{root}/exe/flowline", "run", file, "--executor", "parallel", "--max-threads", "8"]
    env = { "FLOWLINE_ROOT" => File.join(directory, "store"), "TERM" => "xterm-256color", "LC_ALL" => "C.UTF-8", "NO_COLOR" => nil }
    program = Screen::Program.new(*command, rows: ROWS, columns: COLUMNS, env: env)
    pictures(program)
  ensure
    program&.close
  end

  def pictures(program)
    began = now
    pictures = []
    following = 0
    until program.ended?
      program.read { now - began >= following }
      pictures << [program.screen.lines, now - began]
      following += STEP
    end
    pictures << [program.screen.lines, now - began]
    pictures = pictures.drop_while { |lines, _| lines.empty? }
    start = pictures.first.last
    pictures.chunk_while { |before, after| before.first == after.first }.map { |same| [same.first.first, same.first.last - start] }
  end

  def svg(pictures)
    total = pictures.last.last + PAUSE
    starts = pictures.map(&:last)
    ends = [*starts.drop(1), total]
    groups = pictures.each_with_index.map { |(lines, _), index| group(lines, index) }
    styles = starts.zip(ends).each_with_index.map { |(from, to), index| style(index, from * 100 / total, to * 100 / total, total) }
    <<~SVG
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 #{(COLUMNS * WIDTH).ceil + 24} #{(ROWS * HEIGHT) + 24}" role="img" aria-label="A run of Flowline in a terminal">
      <style>
      text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #c9d1d9; white-space: pre; }
      g { visibility: hidden; }
      #{styles.join("\n")}
      </style>
      <rect width="100%" height="100%" rx="8" fill="#0d1117"/>
      #{groups.join("\n")}
      </svg>
    SVG
  end

  def style(index, from, to, total)
    before = "0% { visibility: hidden; } " if from.positive?
    after = " #{percent(to)} { visibility: hidden; }" if to < 100
    "@keyframes p#{index} { #{before}#{percent(from)} { visibility: visible; }#{after} }\n" \
      "#p#{index} { animation: p#{index} #{total.round(1)}s step-end infinite; }"
  end

  def percent(number)
    "#{number.clamp(0, 100).round(2)}%"
  end

  def group(lines, index)
    rows = lines.each_with_index.map { |line, row| text(line, row) unless line.empty? }
    "<g id=\"p#{index}\">#{rows.join}</g>"
  end

  def text(line, row)
    colour = COLOURS[line[0]] || (SPINNER.match?(line) ? "#58a6ff" : nil)
    words = colour ? "<tspan fill=\"#{colour}\">#{line[0]}</tspan>#{CGI.escapeHTML(line[1..])}" : CGI.escapeHTML(line)
    "<text x=\"12\" y=\"#{26 + (row * HEIGHT)}\" textLength=\"#{(Flowline::Text.width(line) * WIDTH).round(1)}\">#{words}</text>"
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end

LiveRecording.write(ARGV.fetch(0, File.expand_path("../docs/images/live.svg", __dir__))) if $PROGRAM_NAME == __FILE__
