# frozen_string_literal: true

module Flowline
  # Reporters are notified of the events of a run. A reporter is an object with +call(event)+, such as a lambda. An exception
  # in one becomes a warning of the result. A reporter with a method +event_names+ receives these events, any other one
  # {Event::ALWAYS}. See {Event}.
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
    autoload :Logger, "#{__dir__}/reporter/logger"
    autoload :Screen, "#{__dir__}/reporter/screen"
    autoload :Suspension, "#{__dir__}/reporter/suspension"
    autoload :Terminal, "#{__dir__}/reporter/terminal"
    autoload :View, "#{__dir__}/reporter/view"

    # Reporters by the name that +reporter:+ takes.
    NAMES = { console: :Console, progress: :Console, json: :JSON, logger: :Logger }.freeze

    # A callable, and the events that it receives.
    Selective = Struct.new(:callable, :event_names) do
      # @param event [Event]
      # @return [void]
      def call(event)
        callable.call(event)
      end
    end
    private_constant :Selective

    # Makes a reporter that receives these events only.
    # @param names [Array<Symbol>] of {Event::NAMES}; +:all+: all of them
    # @yieldparam event [Event]
    # @return [#call]
    # @raise [ArgumentError] there is no such event
    # @example
    #   progress = Flowline::Reporter.for(:items_progress) { |event| puts "#{event.step.name}: #{event.result}" }
    #   pipeline.run(reporter: [:console, progress])
    def self.for(*names, &block)
      names = names == [:all] ? Event::NAMES : names
      problem = unknown(names)
      raise ArgumentError, "Reporter.for: #{problem}" if problem

      Selective.new(block, names.freeze)
    end

    # @return [String, nil] what is wrong with the names of events
    # @api private
    def self.unknown(names)
      return "event_names is #{TypeHints.describe(names)}, not an Array of Symbols" unless Array === names

      name = names.find { |other| !Event::NAMES.include?(other) } or return
      "unknown event #{name.inspect}#{Name.suggest(name, Event::NAMES, known: "known are")}"
    end

    # @param given [Symbol, #call, Array, nil, false]
    # @return [Array<#call>]
    # @raise [ParamError] there is no such reporter
    # @api private
    def self.resolve(given)
      return [] unless given

      list = given.is_a?(Array) ? given : [given]
      list.select(&:itself).map do |reporter|
        next selected(reporter) if reporter.respond_to?(:call)

        known = NAMES[reporter.to_sym] if reporter.is_a?(Symbol) || reporter.is_a?(String)
        next const_get(known).new if known

        suggestion = Name.suggest(reporter, NAMES.keys, known: "give an object with `call(event)`, or one of")
        raise ParamError, ["run: unknown reporter #{reporter.inspect}#{suggestion}"]
      end
    end

    # @return [Boolean] whether it is one of ours. These have no time limit: they wait for the reader of what they write, such as a
    #   pager
    # @api private
    def self.own?(reporter)
      !(Selective === reporter) && reporter.class.name.to_s.start_with?("Flowline::")
    end

    def self.selected(reporter)
      problem = unknown(reporter.event_names) if reporter.respond_to?(:event_names)
      raise ParamError, ["run: reporter #{TypeHints.kind(reporter)}: #{problem}"] if problem

      reporter
    end
    private_class_method :selected
  end
end
