# frozen_string_literal: true

module Flowline
  module Execution
    class Items
      # Items that are read one by one. It holds those that have not ended.
      # @api private
      class Stream
        # @param source [Enumerable]
        def initialize(source)
          @source = source
          @items = {}
          @read = 0
        end

        # Reads the items to their end.
        # @yield once an item is there
        # @return [void]
        # @raise [Exception] what the source raises
        def read
          @source.each_entry do |item|
            @items[@read] = item
            @read += 1
            yield
          end
          @complete = true
        end

        # @return [Integer, nil] how many items there were; nil: it has not been read to its end
        def total
          @read if @complete
        end

        # @param index [Integer]
        # @return [Object]
        def [](index)
          @items.fetch(index)
        end

        # @return [Integer]
        def open
          @items.size
        end

        # @param index [Integer]
        # @return [void]
        def done(index)
          @items.delete(index)
        end
      end
    end
  end
end
