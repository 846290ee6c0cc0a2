# frozen_string_literal: true

require "fileutils"
require "json"
require "open3"
require "rbconfig"
require "tmpdir"

# The examples are run as a reader would run them: in a process of their own.
RSpec.describe "examples" do
  root = File.expand_path("../..", __dir__)
  data = File.join(root, "examples/data/seattle-weather.csv")

  around { |example| Dir.mktmpdir { |directory| @directory = directory and example.run } }

  # @return [Array(String, String, Process::Status)] what it prints, whatever the locale
  define_method(:ruby) do |*arguments|
    out, err, status = Open3.capture3({ "FLOWLINE_ROOT" => @root }.compact, RbConfig.ruby, "-w", "-I#{root}/lib", *arguments)
    [out.force_encoding("UTF-8"), err.force_encoding("UTF-8"), status]
  end

  # The weather report, with these params, through the command line.
  define_method(:report) do |**params|
    given = { output: @directory, **params }.flat_map { |name, value| ["--param", "#{name}=#{value}"] }
    ruby("#{root}/exe/flowline", "run", "#{root}/examples/weather_report.rb", *given)
  end

  # Calls the block in a directory and with a store for all examples of a group.
  def self.once(&block)
    before(:context) do
      @home = Dir.mktmpdir
      @root = File.join(@home, "store")
      @directory = @home
      instance_eval(&block)
    end
    before { @directory = @home }
    after(:context) { FileUtils.rm_rf(@home) }
  end

  def written(name)
    File.read(File.join(@directory, name), encoding: "UTF-8")
  end

  def findings
    JSON.parse(written("weather.json"), symbolize_names: true)
  end

  # The file as [date, precipitation, temp_max, temp_min, wind, weather], numbers as exact tenths.
  def rows(path)
    File.readlines(path, chomp: true).drop(1).map do |line|
      date, *numbers, weather = line.split(",")
      [date.tr("/", "-"), *numbers.map { |number| Rational(number) }, weather]
    end
  end

  def average(numbers)
    numbers.sum / numbers.size
  end

  # Damages the data: these lines, by number, become what is given.
  define_method(:damaged) do |replacements|
    lines = File.binread(data).lines
    replacements.each { |number, line| lines[number - 1] = "#{line}\n".b }
    File.join(@directory, "damaged.csv").tap { |path| File.binwrite(path, lines.join) }
  end

  describe "weather_report.rb" do
    context "with the data that comes with it" do
      once { @run = report }
      let(:periods) { findings[:periods].to_h { |row| [row[:period], row] } }

      it "succeeds and prints the paths of its files" do
        out, err, status = @run
        expect(status).to be_success
        expect(out.lines.map(&:chomp)).to eq(%w[periods.csv weather.json report.md].map { |name| File.join(@directory, name) })
        expect(err).to include("Pipeline: weather_report", "✓ parse_rows").and match(/⏸ write_rejected +condition$/)
        expect(err).not_to include("warning:")
      end

      it "reports every year and every month" do
        months = rows(data).map { |date, *| date[0, 7] }.uniq
        expect(months.size).to eq(48)
        expect(periods.keys).to eq(%w[2012 2013 2014 2015] + months)
      end

      it "reports the figures of the file" do
        %w[2013 2012-01 2014-08 2015-12].each do |period|
          days = rows(data).select { |date, *| date.start_with?(period) }
          figures = periods.fetch(period)
          expect(figures[:rain_mm]).to eq(days.sum { |day| day[1] }.to_f)
          expect(figures[:wet_days]).to eq(days.count { |day| day[1].positive? })
          expect(figures[:temp_max]).to be_within(0.0501).of(average(days.map { |day| day[2] }))
          expect(figures[:temp_min]).to be_within(0.0501).of(average(days.map { |day| day[3] }))
          expect(figures[:wind]).to be_within(0.0501).of(average(days.map { |day| day[4] }))
          expect(figures.slice(:drizzle, :fog, :rain, :snow, :sun)).to eq(
            %w[drizzle fog rain snow sun].to_h { |kind| [kind.to_sym, days.count { |day| day[5] == kind }] }
          )
        end
      end

      it "finds the records" do
        by_name = findings[:records].to_h { |day| [day[:record], day] }
        all = rows(data)
        expect(by_name.transform_values { |day| day[:date] }).to eq(
          "hottest" => all.max_by { |day| day[2] }.first, "coldest" => all.min_by { |day| day[3] }.first,
          "wettest" => all.max_by { |day| day[1] }.first, "windiest" => all.max_by { |day| day[4] }.first
        )
      end

      it "finds the longest dry spell and the wettest week" do
        spells = findings[:spells].to_h { |spell| [spell[:spell], spell] }
        wet = rows(data).map { |day| day[1].zero? ? "." : "x" }.join # The data has every day, so this is a calendar.
        longest = wet.scan(/\.+/).max_by(&:size)
        from = rows(data)[wet.index(longest)].first
        expect(spells["longest dry spell"]).to include(days: longest.size, from: from, rain_mm: 0.0)

        days = rows(data)
        start = (0..days.size - 7).max_by { |first| days[first, 7].sum { |day| day[1] } }
        week = days[start, 7]
        expect(spells["wettest week"]).to include(days: 7, from: week.first[0], to: week.last[0], rain_mm: week.sum { |day| day[1] }.to_f)
      end

      it "writes the same figures to all three files" do
        csv = written("periods.csv").lines.map { |line| line.chomp.split(",") }
        expect(csv.drop(1).map { |cells| csv.first.zip(cells).to_h }).to eq(
          findings[:periods].map { |row| row.to_h { |name, value| [name.to_s, value.to_s] } }
        )
        csv.drop(1).each { |cells| expect(written("report.md")).to include("| #{cells.join(" | ")} |") }
        expect(written("report.md")).to include("Rows left out: 0.")
      end
    end

    it "reports on the given days only" do
      report(first_day: "2013-12-30", last_day: "2014-01-02")
      expect(findings[:periods].map { |row| row[:period] }).to eq(%w[2013 2014 2013-12 2014-01])
      expect(findings[:spells].map { |spell| spell[:spell] }).to eq(["longest dry spell"])
    end

    it "leaves out bad rows, counts them, and lists them by line" do
      lines = { 2 => "2012/13/01,0.0,12.8,5.0,4.7,sun", 3 => "2012/01/02,much,10.6,2.8,4.5,rain", 5 => "2012/01/04,20.3,5.6,12.2,4.7,rain",
                7 => "2012/01/06,2.5", 8 => "", 100 => "2012/04/08,0.0,20.0,5.0,2.0,su\xFFn", 1462 => "2015/12/31,0.0,5.6,-2.1,3.5,hail" }
      out, _, status = report(file: damaged(lines))
      expect(status).to be_success
      expect(out).to include(File.join(@directory, "rejected.txt"))
      expect(findings[:rejected].map { |row| row[:line] }).to eq(lines.keys)
      expect(written("report.md")).to include("Rows left out: 7.")
      expect(written("rejected.txt").lines.first(5).map(&:chomp)).to eq(
        ["line 2: invalid date", 'line 3: invalid value for Float(): "much"', "line 5: temp_max is below temp_min",
         "line 7: 2 columns instead of 6", "line 8: 0 columns instead of 6"]
      )
      left = rows(data).reject.with_index(2) { |_, number| lines.key?(number) }
      january = left.select { |date, *| date.start_with?("2012-01") }
      expect(findings[:periods].find { |row| row[:period] == "2012-01" }[:rain_mm]).to eq(january.sum { |day| day[1] }.to_f)
    end

    it "lists the bad rows even when no day is left to report on" do
      path = File.join(@directory, "all_bad.csv")
      File.write(path, "date,precipitation,temp_max,temp_min,wind,weather\nnothing\n")
      out, err, status = report(file: path)
      expect(status.exitstatus).to eq(1)
      expect(out).to eq("#{File.join(@directory, "rejected.txt")}\n")
      expect(err).to include("step days failed: RuntimeError: no day is left to report on")
    end

    it "fails on a file of another format" do
      out, err, status = report(file: __FILE__)
      expect(status.exitstatus).to eq(1)
      expect(out).to eq("")
      expect(err).to include("step read failed", "should begin with the line date,precipitation")
    end

    it "runs as a script" do
      Dir.mktmpdir do |copy|
        FileUtils.cp_r(["#{root}/examples/weather_report.rb", "#{root}/examples/data"], copy)
        out, err, status = ruby("#{copy}/weather_report.rb")
        expect(status).to be_success
        expect(out).to include("output/report.md")
        expect(err).to include("Steps: 15/16")
      end
    end
  end

  describe "nested_pipelines.rb" do
    it "cleans two shops' orders with one pipeline" do
      out, err, status = ruby("#{root}/examples/nested_pipelines.rb")
      expect(status).to be_success
      expect(out).to eq("Lyon     3 orders    43.00\nPorto    2 orders    19.50\n")
      expect(err).to include("✓   lyon.normalise", "✓   porto.deduplicate", "Steps: 8/8")
      expect(err).not_to include("warning:")
    end
  end

  describe "parallel_pages.rb" do
    %w[parallel sequential process].each do |executor|
      it "reads all pages but the broken one: #{executor}" do
        Dir.chdir(@directory) do
          out, err, status = ruby("#{root}/exe/flowline", "run", "#{root}/examples/parallel_pages.rb", "--executor", executor)
          expect(status).to be_success
          expect(out.lines.sort).to eq(["48 pages of 49; the wettest day was 2015/03/15, 55.9 mm\n", "left out: page 20, page 20 is broken\n"])
          expect(err).to match(/✓ page .* retr(y|ies)/).and include("Steps: 5/5")
          expect(err).not_to include("warning:")
        end
      end
    end
  end

  describe "resumable_import.rb", executor: :in_process do
    # One command after the other, with the same store and database.
    define_method(:import) do |*options|
      Dir.chdir(@directory) do
        ruby("#{root}/exe/flowline", "run", "#{root}/examples/resumable_import.rb", "--param", "database=#{@directory}/database", *options)
      end
    end

    context "when run, resumed and run again" do
      once do
        Executors.default(:sequential) do
          @failed = import
          @resumed = import("--resume")
          @twins = written("database/twins.json")
          @again = import
        end
      end

      it "retries the download, and fails on a database that is down" do
        out, err, status = @failed
        expect(status.exitstatus).to eq(1)
        expect(out).to eq("")
        expect(err.scan("↻ download").size).to eq(2)
        expect(err).to match(/✓ download +\d.\d\ds +3 attempts/)
        expect(err).to include("step load failed: RuntimeError: the database is down for maintenance", "3 succeeded, 1 failed, 1 cancelled")
        expect(err).not_to include("warning:")
      end

      it "resumes with --resume" do
        out, err, status = @resumed
        expect(status).to be_success
        expect(out).to eq("365 days in #{@directory}/database/twins.json\n")
        expect(err.scan(/✓ (\w+) +restored/).flatten).to eq(%w[download parse twins])
      end

      it "takes the slow step from the cache in later runs" do
        _, err, status = @again
        expect(status).to be_success
        expect(err).to match(/✓ download +\d.\d\ds/).and match(/✓ twins +cached/)
        expect(written("database/twins.json")).to eq(@twins)
      end

      it "finds for each day of the last year the most similar day before" do
        pairs = JSON.parse(@twins).to_h
        earlier, latest = rows(data).partition { |date, *| date < "2015" }
        expect(pairs.keys).to eq(latest.map(&:first))
        latest.each_slice(60).map(&:first).each do |date, *day|
          expect(pairs[date]).to eq(earlier.min_by { |_, *other| (0..2).sum { |column| (day[column] - other[column])**2 } }.first)
        end
      end
    end

    it "runs as a script that resumes by itself" do
      Dir.mktmpdir do |copy|
        FileUtils.cp_r(["#{root}/examples/resumable_import.rb", "#{root}/examples/data"], copy)
        statuses = Dir.chdir(copy) { Array.new(2) { ruby("#{copy}/resumable_import.rb").last.exitstatus } }
        expect(statuses).to eq([1, 0])
      end
    end
  end
end
