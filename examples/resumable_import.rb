# frozen_string_literal: true

# Imports data in spite of common failures: a server that drops connections, a slow step, a database that is down.
#
#   flowline run examples/resumable_import.rb            # fails in the step load
#   flowline run examples/resumable_import.rb --resume   # continues with the step load
#   flowline run examples/resumable_import.rb            # starts from the beginning, with a cached step
#
# Server and database are simulated below by a file and a directory.

require "date"
require "fileutils"
require "flowline"
require "json"

module ResumableImport
  Day = Struct.new(:date, :rain, :high, :low)

  # Drops the first two connections.
  module Server
    Unavailable = Class.new(StandardError)

    def self.get(path)
      @calls = @calls.to_i + 1
      @calls > 2 ? File.read(path, encoding: "UTF-8") : raise(Unavailable, "connection reset")
    end
  end

  # Is down at the first call.
  Database = Struct.new(:directory) do
    def replace(table, rows)
      down = !Dir.exist?(directory)
      FileUtils.mkdir_p(directory)
      raise "the database is down for maintenance" if down

      # A step runs at least once, so the file is replaced as a whole.
      path = File.join(directory, "#{table}.json")
      File.write("#{path}.new", JSON.generate(rows))
      File.rename("#{path}.new", path)
      path
    end
  end

  class << self
    def distance(day, other)
      ((day.high - other.high)**2) + ((day.low - other.low)**2) + ((day.rain - other.rain)**2)
    end
  end

  # Runs of a pipeline with a name are recorded in .flowline/ in the working directory.
  PIPELINE = Flowline.define(name: "resumable_import", cache: Flowline::Cache::File.new) do
    param :file, type: :string, default: File.join(__dir__, "data", "seattle-weather.csv"), description: "The file that the server serves"
    param :database, type: :string, default: File.join(__dir__, "output", "database"), description: "The directory to write to"

    step :download, retries: 4, retry_strategy: :exponential, retry_delay: 0.05, timeout: 30,
                    retry_if: ->(error) { error.is_a?(Server::Unavailable) } do |file:|
      Server.get(file)
    end

    step :parse, depends_on: :download do |text|
      rows = text.lines(chomp: true).drop(1).map { |line| line.split(",") }
      rows.map { |date, *numbers| Day.new(Date.strptime(date, "%Y/%m/%d"), *numbers.first(3).map { |number| Float(number) }) }
    end

    # The slow step. Its cache key contains its code and its inputs. `distance` is not part of its code: change `version:` with it.
    step :twins, depends_on: :parse, cache: true, version: 1 do |days|
      earlier, latest = days.partition { |day| day.date.year < days.last.date.year }
      latest.map { |day| [day, earlier.min_by { |other| distance(day, other) }].map(&:date) }
    end

    step(:load, depends_on: :twins) { |pairs, database:| Database.new(database).replace("twins", pairs) }

    step(:say, depends_on: %i[twins load]) { |twins:, load:| puts "#{twins.size} days in #{load}" }
  end
end

exit ResumableImport::PIPELINE.run(reporter: :console, resume: true).success? if $PROGRAM_NAME == __FILE__
