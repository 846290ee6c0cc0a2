# frozen_string_literal: true

module Flowline
  # A block written in the bare form of +Flowline.define+, to be called with the +self+ around +define+
  # instead of the definition's.
  # @api private
  class Rebound
    # @return [Object] the +self+ around +define+
    attr_reader :receiver
    # @return [Proc] what the user wrote
    attr_reader :block

    # @param callable [Object] what the user gave
    # @param definition [Definition] whose +self+ must not be seen
    # @param receiver [Object] the +self+ around +define+
    # @return [Object] the callable, rebound if it was written in the definition's block
    def self.wrap(callable, definition, receiver)
      return callable unless callable.is_a?(Proc) && definition.equal?(callable.binding.receiver)

      new(receiver, callable)
    rescue ArgumentError # Procs made in C, such as &:symbol, have no binding and no self to mind.
      callable
    end

    def initialize(receiver, block)
      @receiver = receiver
      @block = block
      freeze
    end

    # @return [Object] what the block returns
    def call(*args, **keywords)
      @receiver.instance_exec(*args, **keywords, &@block)
    end
  end
end
