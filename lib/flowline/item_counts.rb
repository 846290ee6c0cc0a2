# frozen_string_literal: true

module Flowline
  # How the items of a step with +each:+ ended, so far or in the end.
  #
  # - +total+: how many items there are; +nil+ while the source has not been read to its end
  # - +done+: items with a result of this run, or from a cache
  # - +restored+: items with a result that an earlier run recorded
  # - +failed+: items whose attempts all failed
  # - +recorded+: items with a recorded result, which a resumed run does not call; +nil+ if items are not recorded
  # - +cached+: items with a result from a cache, which is not recorded; +nil+ in history
  # - +retries+: further attempts, of all items together
  #
  # @example
  #   counts = result[:fetch_page].items
  #   counts.failed # => 6
  #   counts.to_s   # => "items: 114 of 120 done, 6 failed, 58 retries"
  ItemCounts = Struct.new(:total, :done, :restored, :failed, :recorded, :cached, :retries, keyword_init: true) do
    # @return [Integer, nil] items without a result, failed ones included; +nil+ if the total is not known
    def missing
      total && (total - done - restored)
    end

    # @return [String, nil] what a resumed run would do with the items; +nil+ if none are recorded
    def safety
      return unless recorded

      safe = total ? "#{recorded} of #{several(total)} recorded" : "#{several(recorded)} recorded"
      reused = cached || 0
      safe += ", #{reused} cached" unless reused.zero?
      "#{safe}; resume tries #{total ? total - recorded - reused : "the others"}"
    end

    # @return [String]
    def to_s
      made = total ? "#{done + restored} of #{total} done" : "#{done + restored} done"
      others = { "restored" => restored, "failed" => failed, (retries == 1 ? "retry" : "retries") => retries }.reject { |_, count| count.zero? }
      "items: #{[made, *others.map { |word, count| "#{count} #{word}" }].join(", ")}"
    end

    private

    def several(count)
      "#{count} #{count == 1 ? "item is" : "items are"}"
    end
  end
end
