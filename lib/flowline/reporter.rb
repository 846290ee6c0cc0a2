# frozen_string_literal: true

module Flowline
  # Reporters are notified of the events of a run. A reporter is an object with +call(event)+, such as a lambda. An exception
  # in one becomes a warning of the result. See {Event}.
  module Reporter
    autoload :Annotations, "#{__dir__}/reporter/annotations"
    autoload :Board, "#{__dir__}/reporter/board"
    autoload :Capture, "#{__dir__}/reporter/capture"
    autoload :Console, "#{__dir__}/reporter/console"
    autoload :Estimate, "#{__dir__}/reporter/estimate"
    autoload :Failure, "#{__dir__}/reporter/failure"
    autoload :Heartbeat, "#{__dir__}/reporter/heartbeat"
    autoload :JSON, "#{__dir__}/reporter/json"
    autoload :Lines, "#{__dir__}/reporter/lines"
    autoload :Live, "#{__dir__}/reporter/live"
    autoload :Screen, "#{__dir__}/reporter/screen"
    autoload :Terminal, "#{__dir__}/reporter/terminal"
    autoload :View, "#{__dir__}/reporter/view"

    # Reporters by the name that +reporter:+ takes.
    NAMES = { console: :Console, progress: :Console, json: :JSON }.freeze

    # @param given [Symbol, #call, Array, nil, false]
    # @return [Array<#call>]
    # @raise [ParamError] there is no such reporter
    # @api private
    def self.resolve(given)
      return [] unless given

      list = given.is_a?(Array) ? given : [given]
      list.select(&:itself).map do |reporter|
        next reporter if reporter.respond_to?(:call)

        known = NAMES[reporter.to_sym] if reporter.is_a?(Symbol) || reporter.is_a?(String)
        next const_get(known).new if known

        suggestion = Name.suggest(reporter, NAMES.keys, known: "give an object with `call(event)`, or one of")
        raise ParamError, ["run: unknown reporter #{reporter.inspect}#{suggestion}"]
      end
    end
  end
end
