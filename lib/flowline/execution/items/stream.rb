# frozen_string_literal: true

module Flowline
  module Execution
    class Items
      # Items that are read one by one, in the thread that asks for them. It holds those that have not ended.
      # @api private
      class Stream
        # Lets a source clean up that was not read to its end.
        class Closed < Exception # rubocop:disable Lint/InheritException -- no source may rescue it
        end
        private_constant :Closed

        # @param source [Enumerable]
        def initialize(source)
          @source = source
          @items = {}
          @read = 0
        end

        # @return [Integer] 1, or 0 if there was none
        # @raise [Exception] what the source raises
        def more
          item, = read = fiber.resume
          return 0 unless read

          @items[@read] = item
          @read += 1
          1
        end

        # @return [Boolean]
        def exhausted?
          !fiber.alive?
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

        # Lets the source clean up, in the thread that asked for items.
        # @return [void]
        def close
          fiber.raise(Closed) if @read.positive? && fiber.alive?
        rescue Closed, StandardError
          nil # The run has ended; the error matters to nothing.
        end

        private

        # It belongs to the thread that asks first.
        def fiber
          @fiber ||= Fiber.new(blocking: true) do
            @source.each_entry { |item| Fiber.yield([item]) }
            @complete = true
            nil
          end
        end
      end
    end
  end
end
