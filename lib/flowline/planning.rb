# frozen_string_literal: true

require_relative "planning/run_options"

module Flowline
  # The decisions before a run: which steps it runs, restores, reuses or skips.
  # @api private
  module Planning
    autoload :Adoption, "#{__dir__}/planning/adoption"
    autoload :Forecast, "#{__dir__}/planning/forecast"
    autoload :Given, "#{__dir__}/planning/given"
    autoload :Objections, "#{__dir__}/planning/objections"
    autoload :Outlook, "#{__dir__}/planning/outlook"
    autoload :Planner, "#{__dir__}/planning/planner"
    autoload :Presets, "#{__dir__}/planning/presets"
    autoload :Selection, "#{__dir__}/planning/selection"
    autoload :Sources, "#{__dir__}/planning/sources"
  end
end
