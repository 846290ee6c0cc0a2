# frozen_string_literal: true

require_relative "../../contracts/store"

RSpec.describe Flowline::Store::SQLite do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  it_behaves_like "a store" do
    let(:opening) { -> { described_class.open(root) } }
  end
end
