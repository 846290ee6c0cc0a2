# frozen_string_literal: true

# At once: if two threads load a file and one of them forks, the child loads it again.
require_relative "planning/run_options"
require_relative "planning/selection"
require_relative "planning/forecast"
require_relative "planning/presets"

module Flowline
  # How it is decided what a run does.
  # @api private
  module Planning
  end
end
