# frozen_string_literal: true

module Flowline
  class Recording
    # The completed items of a step that has not ended: of each its output, and a digest to know it again.
    class Items
      # Bytes of a digest that are kept. One of all zeros is none.
      SIZE = 16
      NONE = ("\0" * SIZE).b.freeze
      private_constant :SIZE, :NONE

      # @return [String] that of the step
      attr_reader :imprint
      # @return [Integer] how many there are
      attr_reader :size

      # @param imprint [String]
      def initialize(imprint)
        @imprint = imprint
        @digests = +"".b
        @outputs = []
        @size = 0
      end

      # @param position [Integer]
      # @param digest [String] in hexadecimal digits
      # @param output [Object]
      # @return [void]
      def put(position, digest, output)
        @size += 1 unless there?(position)
        @digests << (NONE * (position - (@digests.bytesize / SIZE))) if position * SIZE > @digests.bytesize
        @digests[position * SIZE, SIZE] = [digest].pack("H#{2 * SIZE}")
        @outputs[position] = output
      end

      # @return [Range] positions beyond which there is none
      def range
        0...(@digests.bytesize / SIZE)
      end

      # @param position [Integer]
      # @return [Array(Object), nil] the output, if it is that of this item
      def find(position, item)
        [@outputs[position]] if there?(position) && @digests[position * SIZE, SIZE] == [Digest.try(item)].pack("H#{2 * SIZE}")
      end

      private

      def there?(position)
        known = @digests[position * SIZE, SIZE]
        !known.nil? && known.bytesize == SIZE && known != NONE
      end
    end
  end
end
