# frozen_string_literal: true

module Flowline
  # What every error of Flowline is. Each is built from facts, has readers for them, and composes a
  # message that says what happened, where, and what to do.
  class Error < StandardError
    # @return [Result, nil] how the run ended, partial results included, where +run!+ raised the error
    attr_accessor :result

    # Raises the error as if the user's own line had raised it: our frames are left out.
    # @api private
    def self.raise_at_caller(error)
      own = File.expand_path(__dir__)
      error.set_backtrace(caller.reject { |line| line.start_with?(own, "#{own}.rb") }) unless error.backtrace
      raise error
    end

    # What an exception says. Its message may be in any encoding, may not even be a String, or may raise.
    # @return [String] in UTF-8, so that it can be shown everywhere
    # @api private
    def self.words(exception)
      text(exception.message)
    rescue StandardError => e
      "(a message that cannot be read: #{TypeHints.kind(e)})"
    end

    # Marks exceptions of ours whose class is of no interest to anybody.
    # @api private
    module Plain
    end

    # @param words [String] its message, if not as it is
    # @return [String] its class and what it says
    # @api private
    def self.account(exception, words = self.words(exception))
      return words if Plain === exception

      words.empty? ? TypeHints.kind(exception) : "#{TypeHints.kind(exception)}: #{words}"
    end

    # @return [String] what an object says of itself, in UTF-8
    # @api private
    def self.text(object)
      text = object.to_s
      text = text.encoding == Encoding::BINARY ? String.new(text, encoding: "UTF-8") : text.encode("UTF-8", invalid: :replace, undef: :replace)
      text.scrub
    end
  end
end

require_relative "errors/definition"
require_relative "errors/run"
