# frozen_string_literal: true

module Flowline
  # The log of a run, as a step writes to it: what {Context#log} returns. It has the methods of Ruby's +Logger+ that write. The lines
  # are recorded with the run, and readers of the event +log+ receive them; +flowline logs+ and {History::Run#logs} show them.
  #
  #   step(:fetch) { |ctx| ctx.log.info("page 1") }
  class Log
    # The levels, in the order of their severity.
    LEVELS = %i[debug info warn error fatal unknown].freeze

    # @return [Integer] lines of lower levels are left out: an index of {LEVELS}
    attr_reader :level

    # @param sink [#add, nil] nil: nobody wants the lines
    # @param source [Array(Integer, Integer, Integer)] the step or -1, the number of its attempt, and the index of its item
    # @api private
    def initialize(sink, source)
      @sink = sink
      @source = source
      @level = 0
    end

    # @param level [Integer, Symbol, String] of {LEVELS}
    # @return [void]
    # @raise [ArgumentError] there is no such level
    def level=(level)
      @level = number(level)
    end

    # Writes a line, or several if the message has line breaks.
    # @param level [Integer, Symbol, String] of {LEVELS}
    # @param message [Object, nil] a text, an exception, or another object, which is inspected; nil: what the block returns
    # @param progname [Object, nil] the message, if there is no other one, as for Ruby's Logger
    # @return [true]
    # @raise [ArgumentError] there is no such level
    # @example
    #   ctx.log.add(:warn, "slow") # => true
    def add(level, message = nil, progname = nil)
      level = number(level)
      return true if level < @level || @sink.nil?

      message = block_given? ? yield : progname if message.nil?
      @sink.add(@source, :log, text(message), LEVELS[level])
      true
    end
    alias log add

    LEVELS.each_with_index do |name, number|
      # Defines a method for each level, such as +info+, that takes a message or a block, and one that says whether it writes.
      define_method(name) { |message = nil, &block| add(number, nil, message, &block) }
      define_method(:"#{name}?") { number >= @level }
    end

    # @param message [Object]
    # @return [self]
    def <<(message)
      add(LEVELS.index(:unknown), message)
      self
    end

    # @return [String]
    def inspect
      "#<#{self.class}>"
    end

    private

    def number(level)
      number = level.is_a?(Integer) ? level : LEVELS.index(level.to_s.downcase.to_sym)
      return number if number&.between?(0, LEVELS.size - 1)

      raise ArgumentError, "there is no level #{level.inspect}#{Name.suggest(level.to_s, LEVELS, known: "there are")}"
    end

    def text(message)
      case message
      when ::String then message
      when ::Exception then [Error.account(message), *Backtrace.of(message)].join("\n")
      else message.inspect
      end
    end
  end
end
