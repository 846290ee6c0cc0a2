# frozen_string_literal: true

require_relative "../contracts/executor"

RSpec.describe Flowline::Executor::Process do
  it_behaves_like("an executor") do
    let(:executor) { :process }
    let(:elsewhere) { true }
  end
end
