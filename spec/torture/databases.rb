# frozen_string_literal: true

require "sqlite3"
require_relative "child"

module Torture
  # Checks the integrity of databases with another SQLite than the store's, in a process of its own.
  module Databases
    # @param folder [String]
    # @return [Array<Array(Symbol, String)>] findings
    def self.check(folder)
      child = Child.call do
        Dir.glob("#{folder}/**/*.db").filter_map do |file|
          answer = SQLite3::Database.new(file).execute("PRAGMA integrity_check").flatten
          [:wrong, "#{File.basename(file)}: #{answer.first(3)}"] unless answer == ["ok"]
        end
      end
      child.answer.to_a + child.findings("integrity_check")
    end
  end
end
