# frozen_string_literal: true

require_relative "../torture/launch"

# A small share of `rake torture`, other calls and times with each seed.
RSpec.describe "The store under torture" do
  # By title, the kind of torture and the number of tries of each fault.
  { "loses nothing when runs are killed at steps or random times" => ["steps", 2],
    "loses nothing when it is killed at a system call" => ["kills", 6],
    "loses nothing when a system call fails" => ["errors", 2],
    "loses nothing to processes that delete while another one is paused" => ["pauses", 4],
    "loses nothing to forks and daemons" => ["forks", 1],
    "is not unlocked by a step that reads its files" => ["reading", 6],
    "has free locks after threads were killed" => ["storms", 5],
    "is right when clocks are days apart" => ["clocks", 1],
    "is right when many start at the same time" => ["starts", 1],
    "lets exactly one run of those that exclude each other" => ["turns", 50] }.each do |title, (name, count)|
    it title do
      tallies = []
      Dir.mktmpdir do |folder|
        Torture::Launch.call([name], { "COUNT" => count.to_s, "SEED" => RSpec.configuration.seed.to_s }, err: "#{folder}/err") { |tally| tallies << tally }
        expect(File.readlines("#{folder}/err").grep(/torture.*warning:/)).to eq([])
      end
      skip tallies.first.fault if tallies.first.tries.zero?
      expect(tallies).to all(be_clean), -> { [Torture::HEAD, *tallies.flat_map { |tally| [tally, *tally.most_frequent(5)] }].join("\n") }
    end
  end
end
