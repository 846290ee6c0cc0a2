# frozen_string_literal: true

module Flowline
  # The events of a run, and the delivery of them to observers.
  # @api private
  module Events
    autoload :Details, "#{__dir__}/events/details"
    autoload :GroupHook, "#{__dir__}/events/group_hook"
    autoload :Hooks, "#{__dir__}/events/hooks"
    autoload :Notifier, "#{__dir__}/events/notifier"

    # The {Notifier} of a run without observers.
    module Unobserved
      class << self
        # @return [true]
        def empty? = true

        # @return [false]
        def wants?(_name) = false

        # @return [void]
        def notify(_name, _step = nil, _result = nil); end

        # @return [void]
        def notify_end(_id); end

        # @return [true]
        def notified?(_id) = true

        # @return [void]
        def pass_over(_id); end
      end
    end
  end
end
