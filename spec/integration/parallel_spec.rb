# frozen_string_literal: true

require_relative "../contracts/executor"

RSpec.describe Flowline::Executor::Parallel do
  it_behaves_like("an executor") { let(:executor) { :parallel } }
end
