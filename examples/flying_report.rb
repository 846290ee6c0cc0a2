# frozen_string_literal: true

# Joins a list of airports with the weather, and makes a page with charts: how many hours of daylight had weather to fly in,
# at the airports around Seattle.
#
#   flowline run examples/flying_report.rb
#   flowline run examples/flying_report.rb --param home=PAE --param radius=40 --param max_wind=6
#
# The page is one file without scripts. Its charts are also written as SVG.

require "date"
require "fileutils"
require "flowline"
require_relative "flying_report/charts"

module FlyingReport
  Airport = Struct.new(:code, :name, :city, :latitude, :longitude, :east, :north) do
    def distance = Math.hypot(east, north)
  end
  Day = Struct.new(:date, :rain, :wind, :weather)
  KINDS = %w[sun drizzle fog rain snow].freeze
  KM_PER_DEGREE = 111.2

  class << self
    # Returns the fields of a line. Some are quoted. (csv is not a default gem since Ruby 3.4.)
    def fields(line) = line.scan(/(?<=\A|,)(?:"([^"]*)"|([^,"]*))(?=,|\z)/).map { |quoted, plain| quoted || plain }

    # Returns what the block makes of each row, a Hash by column. Names the line of a row that is wrong.
    def rows(file, header)
      first, *lines = File.readlines(file, chomp: true, encoding: "UTF-8")
      raise "#{file} should begin with the line #{header}" unless first == header

      lines.map.with_index(2) do |line, number|
        yield header.split(",").zip(fields(line)).to_h
      rescue ArgumentError, TypeError => e
        raise "#{file}, line #{number}: #{e.message}"
      end
    end

    # Returns the hours between sunrise and sunset: the sun is a point, and the horizon is flat.
    def daylight(latitude, date)
      declination = -23.44 * Math.cos((date.yday + 10) * 2 * Math::PI / 365.25) * Math::PI / 180
      24 / Math::PI * Math.acos((-Math.tan(latitude * Math::PI / 180) * Math.tan(declination)).clamp(-1, 1))
    end

    def by_month(days) = days.group_by { |day| Date::ABBR_MONTHNAMES[day.date.month] }

    # Replaces the file as a whole, because a step runs at least once.
    def write(directory, name, text)
      FileUtils.mkdir_p(directory)
      path = File.join(directory, name)
      File.write("#{path}.new", text)
      File.rename("#{path}.new", path)
      path
    end
  end

  PIPELINE = Flowline.define(name: "flying_report") do
    param :airports_file, type: :string, default: File.join(__dir__, "data", "airports-washington.csv"), description: "The airports"
    param :weather_file, type: :string, default: File.join(__dir__, "data", "seattle-weather.csv"), description: "The weather, day by day"
    param :home, type: :string, default: "SEA", description: "The code of the airport in the middle"
    param :radius, type: :integer, default: 60, in: 10..200, description: "How far around it, in km"
    param :max_wind, type: :float, default: 5.0, description: "Stronger wind is too strong, in m/s"
    param :output, type: :string, default: File.join(__dir__, "output", "flying"), description: "The directory to write to"

    step :read_airports do |airports_file:|
      rows(airports_file, "iata,name,city,state,country,latitude,longitude") do |row|
        Airport.new(*row.values_at("iata", "name", "city"), Float(row["latitude"]), Float(row["longitude"]))
      end
    end

    step :read_weather do |weather_file:|
      rows(weather_file, "date,precipitation,temp_max,temp_min,wind,weather") do |row|
        Day.new(Date.strptime(row["date"], "%Y/%m/%d"), Float(row["precipitation"]), Float(row["wind"]), row["weather"])
      end
    end

    # The airports around the first, which is home. Distances are those on a flat map, which is good enough up to 200 km.
    step :nearby, depends_on: :read_airports do |airports, home:, radius:|
      middle = airports.find { |airport| airport.code == home } or raise "there is no airport #{home}; there are #{airports.map(&:code).join(", ")}"
      moved = airports.map do |airport|
        shrink = Math.cos(middle.latitude * Math::PI / 180)
        airport.dup.tap do |copy|
          copy.east = (airport.longitude - middle.longitude) * KM_PER_DEGREE * shrink
          copy.north = (airport.latitude - middle.latitude) * KM_PER_DEGREE
        end
      end
      moved.select { |airport| airport.distance <= radius }.sort_by(&:distance)
    end

    step :good_days, depends_on: :read_weather do |days, max_wind:|
      days.select { |day| day.rain < 1 && day.wind <= max_wind && day.weather != "fog" }
    end

    # The join: each airport with each good day.
    step :hours, each: :nearby, depends_on: %i[good_days read_weather], label: ->(airport) { airport.code } do |airport, good_days, days|
      years = days.map { |day| day.date.year }.uniq.size
      by_month(days).to_h { |month, _| [month, 0] }.merge(by_month(good_days).transform_values do |group|
        (group.sum { |day| daylight(airport.latitude, day.date) } / years).round(1)
      end)
    end

    step :map, depends_on: :nearby do |nearby, radius:|
      places = nearby.map do |airport|
        { east: airport.east, north: airport.north, label: airport.code, title: "#{airport.code} #{airport.name}: #{airport.distance.round} km" }
      end
      Charts::Map.new("#{nearby.size} airports within #{radius} km of #{nearby.first.name}", "North is at the top. The table has the distances.",
                      places, rings: [radius / 3, radius * 2 / 3, radius]).to_s
    end

    step :chart_hours, depends_on: %i[nearby hours] do |nearby, hours|
      months = hours.first.transform_values { |value| { "hours" => value } }
      Charts::Bars.new("Hours to fly in an average month at #{nearby.first.code}", "Bars from January to December. The table has the sum for a year.",
                       months, unit: "h").to_s
    end

    step :chart_weather, depends_on: :read_weather do |days|
      shares = by_month(days).transform_values do |group|
        KINDS.to_h { |kind| [kind, (100.0 * group.count { |day| day.weather == kind } / group.size).round(1)] }
      end
      Charts::Bars.new("Weather of Seattle", "Bars from January to December: the share of days with each kind of weather.",
                       shares, unit: "%", colours: %w[d b c a e]).to_s
    end

    step :charts, depends_on: %i[map chart_hours chart_weather] do |map:, hours:, weather:|
      { "map.svg" => map, "hours.svg" => hours, "weather.svg" => weather }
    end

    step(:write_charts, depends_on: :charts) { |charts, output:| charts.map { |name, chart| write(output, name, chart) } }

    step :page, depends_on: %i[nearby hours good_days read_weather charts] do |nearby, hours, good, days, charts, output:, max_wind:|
      table = nearby.zip(hours).map do |airport, months|
        cells = [airport.code, airport.name, airport.city, airport.distance.round(1), months.values.sum.round]
        "<tr>#{cells.map { |cell| "<td>#{Charts.escape(cell)}</td>" }.join}</tr>"
      end
      write(output, "index.html", <<~HTML)
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Flying around #{nearby.first.name}</title>
        <style>
        :root { color-scheme: light dark; } body { font: 16px/1.5 system-ui, sans-serif; max-width: 640px; margin: 2rem auto; padding: 0 1rem; }
        table { border-collapse: collapse; width: 100%; font-size: 14px; } th, td { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid #8884; }
        :is(th, td):nth-child(n + 4) { text-align: right; } .wide { overflow-x: auto; } svg { display: block; margin: 1.5rem 0; }
        </style>
        </head>
        <body>
        <h1>Flying around #{Charts.escape(nearby.first.name)}</h1>
        <p>#{good.size} of #{days.size} days were good to fly: no fog, less than 1 mm of rain, wind up to #{max_wind} m/s. The weather is that of Seattle.</p>
        #{charts.values.join}
        <div class="wide" tabindex="0"><table>
        <thead><tr><th>Code</th><th>Airport</th><th>City</th><th>km</th><th>Hours a year</th></tr></thead>
        <tbody>#{table.join("\n")}</tbody>
        </table></div>
        </body>
        </html>
      HTML
    end

    step(:announce, depends_on: %i[page write_charts]) { |page, charts| puts page, charts }
  end
end

exit FlyingReport::PIPELINE.run(reporter: :console).success? if $PROGRAM_NAME == __FILE__
