# frozen_string_literal: true

require_relative "../torture/killing"

# `rake torture` does the same some hundred times.
RSpec.describe "A killed run" do
  let(:killing) { Torture::Killing.new }

  it "is resumed with nothing lost and nothing done twice, whichever step it was in" do
    expect(killing.boundaries).to have_attributes(tries: 22, lost: [], wrong: [])
  end

  it "is resumed with nothing lost and nothing done twice, whenever it was" do
    expect(killing.instants(30, random: Random.new(RSpec.configuration.seed))).to have_attributes(tries: 30, lost: [], wrong: [])
  end
end
