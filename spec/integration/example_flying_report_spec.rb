# frozen_string_literal: true

require "date"
require "fileutils"
require "open3"
require "rbconfig"
require "tmpdir"

RSpec.describe "examples/flying_report.rb" do
  root = File.expand_path("../..", __dir__)
  weather = File.join(root, "examples/data/seattle-weather.csv")
  # Rectangles of text that overlap other text of the same chart, or leave it.
  overlaps = <<~JS
    const found = [];
    for (const svg of document.querySelectorAll("svg.chart")) {
      const frame = svg.getBoundingClientRect();
      const texts = [...svg.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
      texts.forEach(([text, a], i) => {
        if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.bottom > frame.bottom + 1) found.push(text + " leaves its chart");
        texts.slice(i + 1).forEach(([other, b]) => {
          if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4) found.push(text + " / " + other);
        });
      });
    }
    return found;
  JS

  around { |example| Dir.mktmpdir { |directory| @directory = directory and example.run } }

  # @return [Array(String, Process::Status)]
  define_method(:flowline) do |command, **params|
    given = { output: File.join(@directory, "out"), **params }.flat_map { |name, value| ["--param", "#{name}=#{value}"] }
    output, status = Open3.capture2e({ "FLOWLINE_ROOT" => "#{@directory}/store", "NO_COLOR" => "1" }, RbConfig.ruby, "-w", "-I#{root}/lib",
                                     "#{root}/exe/flowline", command, "#{root}/examples/flying_report.rb", *given)
    [output.force_encoding("UTF-8"), status]
  end

  def written(name)
    File.read(File.join(@directory, "out", name), encoding: "UTF-8")
  end

  # The rows of the table, as texts.
  def table
    written("index.html").scan(%r{<tr>(<td>.*?)</tr>}).flatten.map { |row| row.scan(%r{<td>(.*?)</td>}).flatten }
  end

  # The hours of daylight by the sunrise equation, with the declination by its series.
  def daylight(latitude, date)
    angle = 2 * Math::PI * (date.yday - 1) / 365
    declination = 0.006918 - (0.399912 * Math.cos(angle)) + (0.070257 * Math.sin(angle)) - (0.006758 * Math.cos(2 * angle)) +
                  (0.000907 * Math.sin(2 * angle)) - (0.002697 * Math.cos(3 * angle)) + (0.00148 * Math.sin(3 * angle))
    Math.acos(-Math.tan(latitude * Math::PI / 180) * Math.tan(declination)) * 24 / Math::PI
  end

  # The days that are good to fly, from the file.
  define_method(:good_days) do |wind|
    File.readlines(weather, chomp: true).drop(1).map { |line| line.split(",") }
        .select { |_, rain, *, speed, kind| Float(rain) < 1 && Float(speed) <= wind && kind != "fog" }.map { |date, *| Date.strptime(date, "%Y/%m/%d") }
  end

  it "joins airports and days, and prints the paths of the page and its charts" do
    output, status = flowline("run")
    expect(status).to be_success, output
    expect(output).to include("✓ hours", "11 records").and include(*%w[index.html map.svg hours.svg weather.svg].map { |name| "#{@directory}/out/#{name}\n" })
    expect(output).not_to include("warning:")

    expect(table.map(&:first)).to match_array(%w[SEA BFI RNT 2S1 S50 TIW S60 PWT 1S0 PAE S43])
    expect(table.map { |row| Float(row[3]) }).to eq(table.map { |row| Float(row[3]) }.sort)
    expect(table.to_h { |row| [row[0], Float(row[3])] }).to include("SEA" => 0, "TIW" => be_within(0.3).of(28.6), "PAE" => be_within(0.3).of(51.0))
    good = good_days(5.0)
    expect(written("index.html")).to include("#{good.size} of 1461 days were good to fly")
    { "SEA" => 47.449, "PAE" => 47.908, "1S0" => 47.104 }.each do |code, latitude|
      expected = good.sum { |date| daylight(latitude, date) } / 4
      expect(Float(table.find { |row| row[0] == code }.last)).to be_within(0.005 * expected).of(expected)
    end
  end

  it "draws what the data says" do
    flowline("run")
    good = good_days(5.0).select { |date| date.month == 7 }
    hours = written("hours.svg").scan(%r{<title>(\w+): hours ([\d.]+) h</title>}).to_h
    expect(hours.keys).to eq(Date::ABBR_MONTHNAMES.compact)
    expect(Float(hours["Jul"])).to be_within(3).of(good.sum { |date| daylight(47.449, date) } / 4)

    kinds = File.readlines(weather, chomp: true).drop(1).select { |line| line[5, 2] == "01" }.map { |line| line[/\w+\z/] }.tally
    shares = written("weather.svg").scan(%r{<title>Jan: (\w+) ([\d.]+) %</title>}).to_h.transform_values { |share| Float(share) }
    expect(shares).to eq(kinds.transform_values { |count| (100.0 * count / 124).round(1) })
    expect(written("map.svg").scan(%r{<title>\w+ [^<]+: \d+ km</title>}).size).to eq(11)
  end

  it "follows its params" do
    output, status = flowline("run", home: "GEG", radius: 200, max_wind: 3)
    expect(status).to be_success, output
    expect(table.first.first(3)).to eq(["GEG", "Spokane Intl", "Spokane"])
    expect(table.map { |row| row[2] }).to include("Pullman/Moscow,ID")
    expect(written("index.html")).to include("#{good_days(3.0).size} of 1461 days")
  end

  it "names an airport that does not exist, and the line of a bad row" do
    expect(flowline("run", home: "XYZ").first).to include("step nearby failed: RuntimeError: there is no airport XYZ; there are 0S7, 0S9")
    File.write("#{@directory}/bad.csv", "#{File.read(weather).lines.first(9).join}2012/01/09,4.3,9.4,5.0,,rain\n")
    expect(flowline("run", weather_file: "#{@directory}/bad.csv").first).to include("bad.csv, line 10: invalid value for Float()")
  end

  it "draws no chart again when the page could not be written" do
    File.write("#{@directory}/out", "a file where the directory should be")
    output, status = flowline("run")
    expect(status.exitstatus).to eq(1)
    expect(output).to include("step write_charts failed: Errno::EEXIST")
    FileUtils.rm("#{@directory}/out")
    output, status = flowline("resume")
    expect(status).to be_success, output
    expect(output.scan(/✓ (\w+) +restored/).flatten).to include("read_airports", "hours", "map", "chart_hours", "chart_weather", "charts")
    expect(table.size).to eq(11)
  end

  describe "in a browser", :browser do
    [[1280, false, "SEA", 60], [360, true, "GEG", 200]].each do |width, dark, home, radius|
      it "shows the page without requests, errors or text that overlaps: #{width} pixels#{", dark" if dark}, around #{home}" do
        output, status = flowline("run", home: home, radius: radius)
        expect(status).to be_success, output
        page = "file://#{File.realpath(@directory)}/out/index.html"
        Browser.open(width: width, dark: dark) do |browser|
          browser.get(page)
          expect(Browser.console(browser)).to eq([])
          expect(Browser.requests(browser)).to eq([page])
          expect(browser.execute_script(overlaps)).to eq([])
          expect(browser.execute_script("return document.documentElement.scrollWidth - innerWidth")).to be <= 0
          expect(browser.find_elements(css: "svg.chart").map(&:size).map(&:height).min).to be > 100
          background, text = browser.execute_script("return [getComputedStyle(document.documentElement).colorScheme, " \
                                                    "getComputedStyle(document.querySelector('svg text')).fill]")
          expect([background, text]).to eq(["light dark", dark ? "rgb(230, 237, 243)" : "rgb(31, 35, 40)"])
        end
      end
    end
  end
end
