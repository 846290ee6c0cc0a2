# frozen_string_literal: true

module Flowline
  # A step that is called for each item of a dependency's output: its items, and what became of them.
  # @api private
  class Mapping
    autoload :Feeder, "#{__dir__}/mapping/feeder"
    autoload :ThreadedFeeder, "#{__dir__}/mapping/feeder"
    autoload :Stream, "#{__dir__}/mapping/stream"

    # What became of the items, in their order.
    # @return [Array]
    attr_reader :results
    # What is the step's own: an error and an outcome, or what is to be raised.
    # @return [Array(StepError, Symbol), Exception, nil]
    attr_accessor :failure
    # Who sees to it that items are made; nobody, if they are all there.
    # @return [Feeder, nil]
    attr_accessor :feeder
    # Its recorded items that this run may use.
    # @return [Recording::Items, nil]
    attr_accessor :recorded

    # @param source [Enumerable]
    # @param name [Symbol] the step it is from
    # @raise [TypeError] it is something else
    def initialize(source, name)
      @items = items(source, name)
      @results = []
      @digests = {}
    end

    # Makes items, or finds that there are no more.
    # @return [Integer] how many
    # @raise [Exception] what the source raises
    def more
      @items.more
    end

    # @return [Boolean] whether all have been made
    def exhausted?
      @items.exhausted?
    end

    # @return [Boolean] whether all are there from the beginning
    def list?
      List === @items
    end

    # @param position [Integer]
    # @return [Object] an item that was made and has not ended
    def [](position)
      @items[position]
    end

    # The digest of an item before its first call, which may change the item.
    # @param position [Integer]
    # @return [String, nil] nil: it cannot be digested
    def digest(position)
      @digests.fetch(position) { @digests[position] = Digest.try(self[position]) }
    end

    # An item has ended.
    # @param position [Integer]
    # @param result [Object]
    # @return [void]
    def put(position, result)
      @digests.delete(position)
      @items.done(position)
      @results[position] = result
    end

    # An item was worked on; another may be made.
    # @param first [Boolean] whether that was its first attempt
    # @return [void]
    def worked_on(first)
      @feeder&.worked_on(first)
    end

    # @return [Integer] how many items are there that were made and have not ended
    def kept
      @items.kept
    end

    # Makes nothing more.
    # @return [Boolean] whether nothing is being made any more
    def close
      @feeder.nil? || @feeder.close
    end

    # The source is not gone through any further.
    # @return [void]
    def close_source
      @items.close
    end

    private

    def items(source, name)
      case source
      when ::Array then List.new(source)
      when ::Hash then List.new(source.to_a)
      when ::Enumerable then Stream.new(source)
      else
        raise ::TypeError, "each: goes over the items of an Array or another Enumerable; step #{Name.show(name)} gave #{TypeHints.kind(source)}", []
      end
    end

    # Items that are all there.
    class List
      def initialize(list)
        @list = list
      end

      # @return [Integer]
      def more
        @list.size
      end

      # @return [Boolean]
      def exhausted?
        true
      end

      # @return [Object]
      def [](position)
        @list[position]
      end

      # It stays where it is.
      def done(_position); end
    end
    private_constant :List
  end
end
