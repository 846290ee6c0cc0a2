# frozen_string_literal: true

# Reads four years of Seattle's weather from a CSV file, and writes a table, a JSON document and a report. Run it with
# `flowline run examples/weather_report.rb`, or with `ruby -Ilib`; --param first_day=2015-01-01 selects the last year.
# Invalid rows are skipped and listed. The lines are split without a CSV library, because the file has no quotes and csv
# is not a default gem since Ruby 3.4.

require "date"
require "fileutils"
require "flowline"
require "json"

module WeatherReport
  HEADER = "date,precipitation,temp_max,temp_min,wind,weather"
  KINDS = %w[drizzle fog rain snow sun].freeze

  Day = Struct.new(:date, :precipitation, :temp_max, :temp_min, :wind, :weather) do
    def dry? = precipitation.zero?
  end
  Rejected = Struct.new(:line, :reason)

  class << self
    # Returns a line of the file as a Day. Raises an ArgumentError for an invalid line.
    def parse(line)
      date, *numbers, weather = fields = line.split(",", -1)
      raise ArgumentError, "#{fields.size} columns instead of 6" unless fields.size == 6
      raise ArgumentError, "unknown weather: #{weather}" unless KINDS.include?(weather)

      day = Day.new(Date.strptime(date, "%Y/%m/%d"), *numbers.map { |number| Float(number) }, weather)
      raise ArgumentError, "temp_max is below temp_min" if day.temp_max < day.temp_min

      day
    end

    # Calls the block with the days of each year and month. Returns { "2012" => …, "2012-01" => … }.
    def by_period(days, &)
      %w[%Y %Y-%m].flat_map { |format| days.group_by { |day| day.date.strftime(format) }.to_a }.to_h.transform_values(&)
    end

    def mean(numbers) = (numbers.sum / numbers.size).round(1)
    def rain(days) = days.sum(&:precipitation).round(1)

    def write(directory, name, text)
      FileUtils.mkdir_p(directory)
      File.join(directory, name).tap { |path| File.write(path, text) }
    end

    def markdown_table(rows)
      header = rows.first.keys
      [header, header.map { "---" }, *rows.map(&:values)].map { |cells| "| #{cells.join(" | ")} |" }.join("\n")
    end
  end

  PIPELINE = Flowline.define(name: "weather_report", on_error: :continue) do
    param :file, type: :string, default: File.join(__dir__, "data", "seattle-weather.csv"), description: "The CSV file to read"
    param :output, type: :string, default: File.join(__dir__, "output"), description: "The directory to write to"
    param :first_day, type: :date, description: "Ignores earlier days"
    param :last_day, type: :date, description: "Ignores later days"

    step :read do |file:|
      header, *lines = File.readlines(file, chomp: true, encoding: "UTF-8")
      header == HEADER ? lines : raise("#{file} should begin with the line #{HEADER}")
    end

    step :parse_rows, depends_on: :read do |lines|
      lines.each.with_index(2).map do |line, number|
        parse(line)
      rescue ArgumentError => e
        Rejected.new(number, e.message)
      end
    end

    step(:rejected, depends_on: :parse_rows) { |rows| rows.grep(Rejected) }

    # Keywords select outputs and params by name: `rows:` is enough for parse_rows.
    step :days, depends_on: :parse_rows do |rows:, first_day:, last_day:|
      days = rows.grep(Day).select { |day| (first_day..last_day).cover?(day.date) }.sort_by(&:date)
      days.any? ? days : raise("no day is left to report on")
    end

    step :temperature, depends_on: :days do |days|
      by_period(days) { |group| { temp_max: mean(group.map(&:temp_max)), temp_min: mean(group.map(&:temp_min)) } }
    end

    step :precipitation, depends_on: :days do |days|
      by_period(days) { |group| { rain_mm: rain(group), wet_days: group.count { |day| !day.dry? } } }
    end

    step(:wind, depends_on: :days) { |days| by_period(days) { |group| { wind: mean(group.map(&:wind)) } } }

    step :weather_kinds, depends_on: :days do |days|
      by_period(days) { |group| KINDS.to_h { |kind| [kind.to_sym, group.count { |day| day.weather == kind }] } }
    end

    step :periods, depends_on: %i[temperature precipitation wind weather_kinds] do |temperature:, precipitation:, wind:, kinds:|
      temperature.map { |period, figures| { period: period, **figures, **precipitation[period], **wind[period], **kinds[period] } }
    end

    step :records, depends_on: :days do |days|
      { hottest: days.max_by(&:temp_max), coldest: days.min_by(&:temp_min), wettest: days.max_by(&:precipitation),
        windiest: days.max_by(&:wind) }.map { |name, day| { record: name, **day.to_h } }
    end

    step :spells, depends_on: :days do |days|
      unbroken = days.slice_when { |day, following| following.date != day.date + 1 }
      dry = unbroken.flat_map { |run| run.chunk(&:dry?).filter_map { |is_dry, spell| spell if is_dry } }
      weeks = unbroken.flat_map { |run| run.each_cons(7).to_a }
      { "longest dry spell" => dry.max_by(&:size), "wettest week" => weeks.max_by { |week| rain(week) } }.compact.map do |name, run|
        { spell: name, from: run.first.date, to: run.last.date, days: run.size, rain_mm: rain(run) }
      end
    end

    step :write_csv, depends_on: :periods do |periods:, output:|
      write(output, "periods.csv", [periods.first.keys, *periods.map(&:values)].map { |cells| "#{cells.join(",")}\n" }.join)
    end

    step :write_json, depends_on: %i[periods records spells rejected] do |rejected:, output:, **findings|
      write(output, "weather.json", JSON.pretty_generate(**findings, rejected: rejected.map(&:to_h)))
    end

    step :write_report, depends_on: %i[periods records spells rejected] do |periods:, records:, spells:, rejected:, output:|
      years, months = periods.partition { |row| row[:period].size == 4 }
      write(output, "report.md", <<~MARKDOWN)
        # Seattle's weather

        #{markdown_table(years)}

        #{markdown_table(records)}

        #{spells.any? ? markdown_table(spells) : "No spells."}

        #{markdown_table(months)}

        Rows left out: #{rejected.size}.
      MARKDOWN
    end

    step :write_rejected, depends_on: :rejected, when: ->(_ctx, rejected) { rejected.any? } do |rejected:, output:|
      write(output, "rejected.txt", rejected.map { |row| "line #{row.line}: #{row.reason}\n" }.join)
    end

    # Runs even after a failure. A file that was not written is nil here.
    step :announce, depends_on: %i[write_csv write_json write_report write_rejected], run_if: :always do |files|
      files.compact.each_value { |path| puts path }
    end
  end
end

exit WeatherReport::PIPELINE.run(reporter: :console).success? if $PROGRAM_NAME == __FILE__
