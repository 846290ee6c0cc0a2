# frozen_string_literal: true

require "date"
require "flowline"
require "json"
require_relative "server"

# The pipeline of the Rakefile. It can be run without rake, too: flowline run examples/rake/twins.rb --param year=2014
TWINS = Flowline.define(name: "twins", description: "Find a similar day in earlier years for each day, and publish the list") do
  param :year, type: :integer, default: 2015, in: 2013..2015, description: "The year of the days"
  param :site, type: :string, default: "site", description: "The directory to publish to"

  # The output is complete, or there is none.
  step :download, retries: 3, retry_delay: 0.05, retry_if: ->(error) { error.is_a?(IOError) } do
    Enumerator.new { |lines| Server.each_line { |line| lines << line.chomp } }.to_a
  end

  step :days, depends_on: :download do |lines|
    lines.drop(1).map do |line|
      date, *numbers = line.split(",")
      [Date.strptime(date, "%Y/%m/%d"), numbers.first(3).map { |number| Float(number) }]
    end
  end

  # The slow step. It is called again only for another year or other days.
  step :twins, depends_on: :days, cache: { store: Flowline::Cache::File.new } do |days, year:|
    puts "comparing days"
    earlier = days.select { |date, _| date.year < year }
    days.select { |date, _| date.year == year }.map do |date, figures|
      [date, earlier.min_by { |_, other| figures.zip(other).sum { |a, b| (a - b)**2 } }.first]
    end
  end

  step :publish, depends_on: :twins do |twins, site:|
    path = File.join(site, "twins.json")
    File.write("#{path}.new", JSON.generate(twins))
    File.rename("#{path}.new", path)
    puts "published"
  end
end
