# frozen_string_literal: true

require_relative "support/coverage"
require_relative "support/warnings"
require "flowline"

Dir[File.join(__dir__, "support", "*.rb")].each { |file| require file }

RSpec.configure do |config|
  config.disable_monkey_patching!
  config.expect_with(:rspec) { |expectations| expectations.include_chain_clauses_in_custom_matcher_descriptions = true }
  config.mock_with(:rspec) { |mocks| mocks.verify_partial_doubles = true }
  config.before(:context, :gc) { Eager.load }
  config.order = :random
  Kernel.srand(config.seed)
end
