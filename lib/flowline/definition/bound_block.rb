# frozen_string_literal: true

module Flowline
  class Definition
    # A block that was written in the bare form of +Flowline.define+. It is called with the +self+ around +define+, not
    # with that of the definition.
    # @api private
    class BoundBlock
      # @return [Object] the +self+ around +define+
      attr_reader :receiver
      # @return [Proc] the user's block
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
end
