# frozen_string_literal: true

require "date"
require "fileutils"
require "json"
require "open3"
require "rbconfig"
require "tmpdir"

# The chain of tasks and the pipeline do the same work. The specs show what the comments of Rakefile.before claim.
RSpec.describe "examples/rake", executor: :in_process do
  root = File.expand_path("../..", __dir__)

  around do |example|
    Dir.mktmpdir do |directory|
      @directory = directory
      FileUtils.mkdir("#{directory}/site")
      example.run
    end
  end

  # @return [Array(String, Integer)] output and exit status
  define_method(:rake) do |file, *arguments, drops: 0|
    environment = { "DROPS" => drops.to_s, "FLOWLINE_ROOT" => "#{@directory}/store", "NO_COLOR" => "1", "YEAR" => nil, "SITE" => nil }
    output, status = Open3.capture2e(environment, RbConfig.ruby, "-w", "-I#{root}/lib", "-S", "rake", "-f", "#{root}/examples/rake/#{file}", *arguments,
                                     chdir: @directory)
    [output.force_encoding("UTF-8"), status.exitstatus]
  end

  def twins(site = "site")
    JSON.parse(File.read("#{@directory}/#{site}/twins.json"))
  end

  # The days of a year with their twins, from the file.
  define_method(:expected) do |year|
    days = File.readlines("#{root}/examples/data/seattle-weather.csv", chomp: true).drop(1).map do |line|
      date, *numbers = line.split(",")
      [date.tr("/", "-"), numbers.first(3).map { |number| Float(number) }]
    end
    earlier = days.select { |date, _| date < year.to_s }
    days.select { |date, _| date.start_with?(year.to_s) }.each_slice(40).map(&:first).to_h.transform_values do |figures|
      earlier.min_by { |_, other| figures.zip(other).sum { |a, b| (a - b)**2 } }.first
    end
  end

  describe "Rakefile.before" do
    it "publishes the twins of a year on a good day" do
      expect(rake("Rakefile.before", "publish", "YEAR=2014")).to match([a_string_ending_with("comparing days\npublished\n"), 0])
      expect(twins.size).to eq(365)
      expect(twins.to_h).to include(expected(2014))
    end

    it "publishes the year before when the year changes" do
      rake("Rakefile.before", "publish", "YEAR=2015")
      expect(rake("Rakefile.before", "publish", "YEAR=2014")).to eq(["published\n", 0])
      expect(twins.first.first).to eq("2015-01-01")
    end

    it "publishes nothing as if it were a list, after a download that broke off or for a year that is mistyped" do
      expect(rake("Rakefile.before", "publish", drops: 9).last).to eq(1)
      expect(rake("Rakefile.before", "publish").last).to eq(0)
      expect(twins).to eq([])
      FileUtils.rm_rf("#{@directory}/work")
      expect(rake("Rakefile.before", "publish", "YEAR=201S").last).to eq(0)
      expect(twins).to eq([])
    end
  end

  describe "Rakefile" do
    it "publishes the twins of any year, and compares the days of a year once" do
      expect(rake("Rakefile", "publish", "YEAR=2015")).to match([a_string_including("comparing days", "Steps: 4/4"), 0])
      expect(twins.to_h).to include(expected(2015))
      expect(rake("Rakefile", "publish[2014]").last).to eq(0)
      expect(twins.size).to eq(365)
      expect(twins.to_h).to include(expected(2014))
      output, status = rake("Rakefile", "publish")
      expect(status).to eq(0)
      expect(output).to match(/✓ twins +cached/)
      expect(output).not_to include("comparing days")
      expect(twins.first.first).to eq("2015-01-01")
    end

    it "refuses a year that is mistyped before anything runs" do
      expect(rake("Rakefile", "publish", "YEAR=201S")).to eq(["publish: param year must be a whole number, not \"201S\"\n", 2])
      expect(Dir.exist?("#{@directory}/store")).to be(false)
    end

    it "uses no part of a download that broke off" do
      output, status = rake("Rakefile", "publish", drops: 9)
      expect(status).to eq(1)
      expect(output).to include("step download failed after 4 attempts: IOError: connection reset", "Resume with: rake \"publish:resume[")
      expect(rake("Rakefile", "publish:resume", drops: 2)).to match([a_string_including("↻ download", "3 attempts"), 0])
      expect(twins.to_h).to include(expected(2015))
    end

    it "publishes without another download when the site is back" do
      output, status = rake("Rakefile", "publish", "SITE=new")
      expect(status).to eq(1)
      expect(output).to include("step publish failed: Errno::ENOENT", "3 succeeded, 1 failed")
      expect(rake("Rakefile", "publish:status")).to match([a_string_including("resume restores 3 steps"), 1])
      FileUtils.mkdir("#{@directory}/new")
      output, status = rake("Rakefile", "publish:resume", drops: 9)
      expect(status).to eq(0), output
      expect(output).to match(/✓ download +restored/)
      expect(output).not_to include("comparing days")
      expect(twins("new").to_h).to include(expected(2015))
    end
  end
end
