# frozen_string_literal: true

module Flowline
  module Execution
    class Items
      # The outcomes of the items of a step. The core counts them; the tally adds which ones failed, and how many are recorded.
      # @api private
      class Tally
        # @return [Array<ItemError>] in the order in which the items failed
        attr_reader :failures

        # @param run [Native::Run]
        # @param id [Integer] the step
        # @param items [Items]
        # @param recorded [Boolean] whether items are recorded
        def initialize(run, id, items, recorded)
          @run = run
          @id = id
          @items = items
          @recorded = 0 if recorded
          @cached = 0
          @failures = []
        end

        # An item has a recorded result.
        # @return [void]
        def record
          @recorded += 1 if @recorded
        end

        # An item has a result from a cache.
        # @return [void]
        def cache
          @cached += 1
        end

        # @return [Array<ItemError>] in the order of the items
        def errors
          failures.sort_by(&:position)
        end

        # @return [ItemCounts]
        def counts
          done, restored, failed, retries = @run.item_counts(@id) || [0, 0, 0, 0]
          ItemCounts.new(total: @items.total, done: done, restored: restored, failed: failed,
                         recorded: @recorded, cached: @cached, retries: retries).freeze
        end
      end
    end
  end
end
