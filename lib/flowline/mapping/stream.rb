# frozen_string_literal: true

module Flowline
  class Mapping
    # Items that are made one by one, in the thread that asks for them. Those that have not ended are kept.
    # @api private
    class Stream
      # What lets a source clean up that is not gone through to its end.
      class Closed < Exception # rubocop:disable Lint/InheritException -- no source may rescue it
      end
      private_constant :Closed

      # @param source [Enumerable]
      def initialize(source)
        @source = source
        @items = {}
        @made = 0
      end

      # @return [Integer] 1, or 0 if there was none
      # @raise [Exception] what the source raises
      def more
        item, = made = fiber.resume
        return 0 unless made

        @items[@made] = item
        @made += 1
        1
      end

      # @return [Boolean]
      def exhausted?
        !fiber.alive?
      end

      # @param position [Integer]
      # @return [Object]
      def [](position)
        @items.fetch(position)
      end

      # @return [Integer]
      def kept
        @items.size
      end

      # @param position [Integer]
      # @return [void]
      def done(position)
        @items.delete(position)
      end

      # Lets the source clean up, in the thread that asked for items.
      # @return [void]
      def close
        fiber.raise(Closed) if @made.positive? && fiber.alive?
      rescue Closed, StandardError
        nil # Nobody is left to whom an error would matter.
      end

      private

      # Of the thread that asks first.
      def fiber
        @fiber ||= Fiber.new(blocking: true) do
          @source.each_entry { |item| Fiber.yield([item]) }
          nil
        end
      end
    end
  end
end
