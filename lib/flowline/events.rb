# frozen_string_literal: true

require_relative "events/notifier"

module Flowline
  # The events of a run, and the delivery of them to observers.
  # @api private
  module Events
    autoload :Details, "#{__dir__}/events/details"
    autoload :GroupHook, "#{__dir__}/events/group_hook"
    autoload :Hooks, "#{__dir__}/events/hooks"
  end
end
