# frozen_string_literal: true

# The server that both Rakefiles read, simulated by a file. The first DROPS connections end after a thousand lines.
module Server
  FILE = File.expand_path("../data/seattle-weather.csv", __dir__)

  def self.each_line
    dropped = (@calls = @calls.to_i + 1) <= ENV.fetch("DROPS", "0").to_i
    File.foreach(FILE, encoding: "UTF-8").with_index(1) do |line, number|
      raise IOError, "connection reset" if dropped && number > 1000

      yield line
    end
  end
end
