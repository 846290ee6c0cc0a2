# frozen_string_literal: true

# Reads the pages of a server in parallel: one step that is called for each page, with retries, a pool and a rate. One page
# cannot be read.
#
#   flowline run examples/parallel_pages.rb --executor parallel
#   flowline run examples/parallel_pages.rb                        # one page after another
#   flowline run examples/parallel_pages.rb --executor process
#
# The server is simulated below: a page is a month of the weather data and takes ten milliseconds. Some requests lose their
# connection, and one page is always broken.

require "flowline"

module ParallelPages
  # Serves a file in numbered pages.
  class Server
    Unavailable = Class.new(StandardError)
    PAGE = 30

    def initialize(file)
      @lines = File.readlines(file, chomp: true, encoding: "UTF-8").drop(1)
    end

    def size
      (@lines.size / PAGE.to_f).ceil
    end

    def get(number)
      sleep 0.01
      raise Unavailable, "connection reset" if rand < 0.2
      raise ArgumentError, "page #{number} is broken" if number == 20

      @lines[number * PAGE, PAGE].map { |line| line.split(",") }
    end
  end

  PIPELINE = Flowline.define(name: "parallel_pages") do
    param :file, type: :string, default: File.join(__dir__, "data", "seattle-weather.csv"), description: "The file that the server serves"

    # At most eight requests at a time, for any number of workers.
    pool :server, 8

    step(:connect) { |ctx| Server.new(ctx[:file]) }

    # Page numbers are pulled lazily, when a worker is free.
    step(:numbers, depends_on: :connect) { |server| (0...server.size) }

    step :page, each: :numbers, depends_on: :connect, uses: :server, rate: "500/s", retries: 9, on_item_error: :collect,
                retry_if: ->(error) { error.is_a?(Server::Unavailable) } do |number, server|
      server.get(number)
    end

    step :wettest, depends_on: :page do |pages|
      good = pages.grep(Array)
      day = good.flatten(1).max_by { |_, rain| Float(rain) }
      puts "#{good.size} pages of #{pages.size}; the wettest day was #{day.first}, #{day[1]} mm"
    end

    step :broken, depends_on: :page, when: ->(_, pages) { pages.any?(Flowline::ItemError) } do |pages|
      pages.grep(Flowline::ItemError).each { |error| puts "left out: page #{error.item}, #{error.original.message}" }
    end
  end
end

exit ParallelPages::PIPELINE.run(reporter: :console, executor: :parallel).success? if $PROGRAM_NAME == __FILE__
