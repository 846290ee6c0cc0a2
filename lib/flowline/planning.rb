# frozen_string_literal: true

# These files are not autoloaded: if two threads load a file and one of them forks, the child loads it again.
require_relative "planning/adoption"
require_relative "planning/given"
require_relative "planning/run_options"
require_relative "planning/selection"
require_relative "planning/forecast"
require_relative "planning/presets"
require_relative "planning/planner"

module Flowline
  # The decisions before a run: which steps it runs, restores, reuses or skips.
  # @api private
  module Planning
    autoload :Sources, "#{__dir__}/planning/sources"
  end
end
