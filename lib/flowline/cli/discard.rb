# frozen_string_literal: true

module Flowline
  module CLI
    # Extends standard output while a pipeline runs: when its reader has gone away, as `head` does, further output of steps and of
    # the programs that they start is discarded. Otherwise a run would fail because nobody reads what its steps print.
    module Discard
      # @param texts [Array<Object>]
      # @return [Integer] bytes
      def write(*texts)
        super
      rescue Errno::EPIPE
        reopen(File::NULL, "w")
        texts.sum { |text| text.to_s.bytesize }
      end
    end
  end
end
