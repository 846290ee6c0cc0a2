# frozen_string_literal: true

module Flowline
  # A step that is called for each item of a dependency's output: hands out its items, and keeps what became of them.
  # Several threads may take at once.
  # @api private
  class Mapping
    # What became of the items, in their order.
    # @return [Array]
    attr_reader :results
    # @return [Array(StepError, Symbol), nil] the failure that is the step's, and its outcome
    attr_accessor :failure

    # @param source [Enumerable]
    # @param one_thread [Boolean] whether the same thread takes them all
    def initialize(source, one_thread)
      @items = items(source, one_thread)
      @turn = Mutex.new
      @next = 0
      @kept = {}
      @results = []
    end

    # @param position [Integer, nil] of an item that was kept; nil: the next item
    # @return [Array(Integer, Object), nil] its position and itself; nil: there is none
    # @raise [StandardError] what the source raises
    def take(position)
      return [position, @kept.fetch(position)] if position

      @turn.synchronize do
        item, = taken = @items.next
        [(@next += 1) - 1, item] if taken
      end
    end

    # @return [Boolean] whether it is known that all have been taken
    def exhausted?
      @items.exhausted?
    end

    # Keeps an item, to be taken again.
    # @return [void]
    def keep(position, item)
      @kept[position] = item
    end

    # @param position [Integer]
    # @param result [Object]
    # @return [void]
    def put(position, result)
      @kept.delete(position)
      @results[position] = result
    end

    # Nothing more will be taken.
    # @return [void]
    def close
      @items.close
    end

    private

    def items(source, one_thread)
      case source
      when ::Array then Listed.new(source)
      when ::Hash then Listed.new(source.to_a)
      when ::Enumerable then one_thread ? Pulled.new(source) : Fed.new(source)
      else raise ::TypeError, "each: goes over the items of an Array or another Enumerable, not of this: #{TypeHints.kind(source)}"
      end
    end

    # Items that are all there.
    class Listed
      def initialize(list)
        @list = list
        @size = list.size
        @next = 0
      end

      # @return [Array(Object), nil]
      def next
        [@list[(@next += 1) - 1]] unless exhausted?
      end

      # @return [Boolean]
      def exhausted?
        @next >= @size
      end

      # Nothing is open.
      def close; end
    end

    # Items that are made one by one, in the thread that takes them.
    class Pulled
      def initialize(source)
        # Its end is told, since a StopIteration may be the source's own.
        @enumerator = Enumerator.new do |items|
          source.each_entry { |item| items.yield([item]) }
          items.yield(nil)
        end
      end

      # @return [Array(Object), nil]
      def next
        @enumerator.next
      end

      # It shows when the next is asked for.
      def exhausted?
        false
      end

      # Nothing is open.
      def close; end
    end

    # Items that are made one by one, whoever takes them: in a thread of their own, each when it is asked for.
    class Fed
      def initialize(source)
        @wanted = Queue.new
        @given = Queue.new
        @thread = Thread.new { Thread.handle_interrupt(Object => :immediate) { feed(source) } } # Whatever is deferred here.
        @thread.name = "flowline items"
        @thread.report_on_exception = false
      end

      # @return [Array(Object), nil]
      # @raise [Exception] what the source raised
      def next
        @wanted << true
        given = Thread.handle_interrupt(Object => :immediate) { @given.pop } # As long as that takes.
        return given if given

        @thread.value # Raises what the source raised.
        nil
      end

      # It shows when the next is asked for.
      def exhausted?
        false
      end

      # @return [void]
      def close
        @thread.kill
      end

      private

      def feed(source)
        @wanted.pop
        source.each_entry do |item|
          @given << [item]
          @wanted.pop
        end
      ensure
        @given.close
      end
    end
    private_constant :Listed, :Pulled, :Fed
  end
end
