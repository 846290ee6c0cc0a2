# frozen_string_literal: true

require_relative "events/notifier"

module Flowline
  # How observers learn what happens in a run.
  # @api private
  module Events
    autoload :Hooks, "#{__dir__}/events/hooks"
  end
end
