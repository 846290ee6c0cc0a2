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
