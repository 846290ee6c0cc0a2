# frozen_string_literal: true

module Flowline
  # The version of the gem, and of the two crates in it.
  VERSION = "0.1.0"
end
