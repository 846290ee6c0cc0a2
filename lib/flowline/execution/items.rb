# frozen_string_literal: true

module Flowline
  module Execution
    # The items of a step that is called for each of them, and their results.
    # @api private
    class Items
      # @return [Array<Object>] the results of the items, in their order
      attr_reader :results

      # @param source [Enumerable]
      # @param name [Symbol] the step that the source is from
      # @raise [TypeError] the source is no Enumerable
      def initialize(source, name)
        @source = wrap(source, name)
        @results = []
        @digests = {}
      end

      # Reads the items of a source that is no list.
      # @yield once an item is there
      # @return [void]
      # @raise [Exception] what the source raises
      def read(&block)
        @source.read(&block)
      end

      # @return [Integer, nil] how many items there are; nil: the source has not been read to its end
      def total
        @source.total
      end

      # @return [Boolean] whether all items are there from the beginning
      def list?
        !(Stream === @source)
      end

      # @param index [Integer]
      # @return [Object] an item that was read and has not ended
      def [](index)
        @source[index]
      end

      # The digest of an item before its first call, which may change the item.
      # @param index [Integer]
      # @return [String, nil] nil: it cannot be digested, or that was stopped
      def digest(index)
        @digests.fetch(index) do
          @digests[index] = nil # It may be stopped.
          @digests[index] = Identity::Digest.try(self[index])
        end
      end

      # Stores the result of an item that has ended, and drops the item.
      # @param index [Integer]
      # @param result [Object]
      # @return [void]
      def put(index, result)
        @digests.delete(index)
        @source.done(index)
        @results[index] = result
      end

      # @return [Integer] how many items were read and have not ended
      def open
        @source.open
      end

      private

      def wrap(source, name)
        case source
        when ::Array then List.new(source)
        when ::Hash then List.new(source.to_a)
        when ::Enumerable then whole_numbers?(source) ? Span.new(source) : Stream.new(source)
        else
          raise ::TypeError, "each: goes over the items of an Array or another Enumerable; step #{Name.show(name)} gave #{TypeHints.kind(source)}", []
        end
      end

      def whole_numbers?(source)
        source.instance_of?(::Range) && ::Integer === source.begin && ::Integer === source.end
      end

      # The whole numbers of a Range, which are known without reading them.
      class Span
        # @param range [Range]
        def initialize(range)
          @first = range.begin
          @size = range.size
        end

        # @return [Integer]
        def total
          @size
        end

        # @return [Integer]
        def [](index)
          @first + index
        end

        # Nothing is held.
        def done(_index); end
      end
      private_constant :Span

      # Items that are all there.
      class List
        # @param list [Array]
        def initialize(list)
          @list = list
        end

        # @return [Integer]
        def total
          @list.size
        end

        # @return [Object]
        def [](index)
          @list[index]
        end

        # The item stays where it is.
        def done(_index); end
      end
      private_constant :List
    end
  end
end

require_relative "items/labels"
require_relative "items/slowest"
require_relative "items/tally"
require_relative "items/stream"
require_relative "items/producer"
