# frozen_string_literal: true

require_relative "testing"
require "rspec/core"
require "rspec/expectations"

# Loaded with `require "flowline/rspec"`: examples have the matchers of Flowline::Testing::Matchers, and run between
# Flowline::Testing.setup and teardown.
RSpec.configure do |config|
  config.include Flowline::Testing::Matchers
  config.prepend_before { Flowline::Testing.setup }
  config.append_after { Flowline::Testing.teardown }
end
