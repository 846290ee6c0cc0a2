# frozen_string_literal: true

module Flowline
  module Execution
    # The items of a step that is called for each of them, and their results.
    #
    # Lists and ranges of whole numbers are there from the beginning. Of any other Enumerable, a {Producer} reads one item
    # after another, in a thread of its own:
    #
    #     source ──read──> Stream ──supplied──> the core ──take──> an attempt ──put──> results
    #                        ▲                                         │
    #                        └── Producer waits for room <─worked_on──┘
    #
    # Items are known by their index. The core decides which of them is called for next, and how many at a time; it never
    # sees an item. The Producer's thread adds an item before the core learns of it, and nobody else writes to what is not
    # read yet. Everything else happens in the thread of the coordinator.
    #
    # An item is dropped when it has ended, so that a lazy source may have more items than memory. It must never happen that an
    # item is read long before a worker has room for it, that a source is read by two threads, or that one that blocks holds up the
    # end of the run: it is closed with a time limit, and left behind with a warning.
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
