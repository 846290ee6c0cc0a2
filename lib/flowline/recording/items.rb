# frozen_string_literal: true

module Flowline
  class Recording
    # The completed items of a step that has not ended: of each its output, and a digest to know it again.
    class Items
      # Bytes of a digest that are stored. One of all zeros is none.
      SIZE = 16
      NONE = ("\0" * SIZE).b.freeze
      private_constant :SIZE, :NONE

      # @return [String] that of the step
      attr_reader :imprint
      # @return [Array<String>] the tokens of its dependencies, without the source of the items (see {Provenance})
      attr_reader :made_of
      # @return [Integer] how many there are
      attr_reader :size

      # @param imprint [String]
      # @param made_of [Array<String>]
      def initialize(imprint, made_of)
        @imprint = imprint
        @made_of = made_of
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
        @changed&.delete(position)
      end

      # @return [Range] positions beyond which there is none
      def range
        0...(@digests.bytesize / SIZE)
      end

      # Also recognises the item by what it is after its call.
      # @param position [Integer]
      # @param digest [String, nil]
      # @return [void]
      def changed(position, digest)
        (@changed ||= {})[position] = digest if there?(position) && digest && digest != digest_at(position)
      end

      # @return [Items] the same, recognised only by what the items were before their calls
      def as_recorded
        @changed ? dup.tap { |items| items.instance_variable_set(:@changed, nil) } : self
      end

      # @param position [Integer]
      # @param digest [String, nil] of the item that is there now
      # @return [Array(Object), nil] the output, if it is that of this item
      def find(position, digest)
        [@outputs[position]] if digest && there?(position) && (digest_at(position) == digest || @changed&.[](position) == digest)
      end

      private

      def digest_at(position)
        @digests[position * SIZE, SIZE].unpack1("H*")
      end

      def there?(position)
        known = @digests[position * SIZE, SIZE]
        !known.nil? && known.bytesize == SIZE && known != NONE
      end
    end
  end
end
