# frozen_string_literal: true

require_relative "testing"
require "minitest"

# Loaded with `require "flowline/minitest"`: tests have the assertions of Flowline::Testing::Assertions, and run between
# Flowline::Testing.setup and teardown.
Minitest::Test.class_eval { include Flowline::Testing::Assertions }
