# frozen_string_literal: true

require_relative "standalone"
require_relative "inline"

module Flowline
  module Executor
    # Calls one step after the other, in the caller's thread.
    class Sequential
      include Standalone

      # @param inbox [#<<]
      # @param section [Section, nil]
      # @return [Pool]
      # @api private
      def open_pool(inbox, section)
        Inline.new(inbox, section)
      end
    end

    # It has no state.
    SEQUENTIAL = Sequential.new
    private_constant :SEQUENTIAL
  end
end
