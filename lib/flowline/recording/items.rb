# frozen_string_literal: true

module Flowline
  module Recording
    # The completed items of a step that has not ended: for each item its output, and a digest to recognise it.
    class Items
      # The number of bytes stored of each digest. All zeros mean that there is no digest.
      SIZE = 16
      NONE = ("\0" * SIZE).b.freeze
      private_constant :SIZE, :NONE

      # @return [String] that of the step
      attr_reader :step_digest
      # @return [Array<String>] the tokens of its dependencies, without the source of the items (see {Provenance})
      attr_reader :made_of
      # @return [Integer] how many there are
      attr_reader :size

      # @param step_digest [String]
      # @param made_of [Array<String>]
      def initialize(step_digest, made_of)
        @step_digest = step_digest
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

      # Records the digest that the item has after its call, so that the item is recognised by either digest.
      # @param position [Integer]
      # @param digest [String, nil]
      # @return [void]
      def changed(position, digest)
        (@changed ||= {})[position] = digest if there?(position) && digest && digest != digest_at(position)
      end

      # @return [Items] the same items, recognised only by their digests before their calls
      def as_recorded
        @changed ? dup.tap { |items| items.instance_variable_set(:@changed, nil) } : self
      end

      # @param position [Integer]
      # @param digest [String, nil] the digest of the current item
      # @return [Array(Object), nil] the output, if the recorded item is the same
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
