# frozen_string_literal: true

require_relative "executor/sequential"

module Flowline
  # Where callables run. An executor is an object with +execute(runner)+: it takes +runner.next+ and, until
  # that is +nil+, calls +runner.perform(step)+ for an Integer and waits for a Float of seconds; both
  # +next+ and +perform+ return what is next. What runs next is never its decision.
  module Executor
    # Executors by the name that +executor:+ takes.
    NAMES = { sequential: Sequential }.freeze

    # @return [Boolean] whether {resolve} knows it
    # @api private
    def self.known?(given)
      !resolve(given).nil?
    rescue ParamError
      false
    end

    # @param given [Symbol, String, Class, #execute, nil]
    # @return [#execute]
    # @raise [ParamError] there is no such executor
    # @api private
    def self.resolve(given)
      return given if given.respond_to?(:execute)
      return given.new if given.is_a?(Class) && given.method_defined?(:execute)

      name = given.nil? ? :sequential : given
      known = NAMES[name.to_sym] if name.is_a?(Symbol) || name.is_a?(String)
      return known.new if known

      suggestion = Name.suggest(name, NAMES.keys, known: "give an object with `execute`, or one of")
      raise ParamError, ["run: unknown executor #{name.inspect}#{suggestion}"]
    end
  end
end
