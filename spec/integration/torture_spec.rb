# frozen_string_literal: true

require_relative "../torture/kills"

# The same with larger numbers: rake torture
RSpec.describe "Runs that are killed", executor: :in_process do
  let(:kills) { Torture::Kills.new }

  def expect_nothing_lost(tally, tries)
    expect(tally).to have_attributes(tries: tries, lost: 0, wrong: 0), -> { "#{Torture::Kills::HEAD}\n#{tally}\n#{tally.notes.join("\n")}" }
  end

  it "before or after any step go on from there: no completed step runs again, no output differs" do
    expect_nothing_lost(tally = kills.at_boundaries, 2 * Torture.step_names.size)
    expect(tally.cut).to eq(tally.tries)
  end

  it "at any instant go on from there, too" do
    expect_nothing_lost(tally = kills.at_random(30), 30)
    expect(tally.cut).to be > 5
  end

  it "share a store with others, run after run" do
    expect_nothing_lost(kills.together(8, 5), 40)
  end
end
