# frozen_string_literal: true

module Flowline
  module Planning
    # The part of the forecast about steps that are not selected. Other steps may need their outputs.
    class Forecast
      # @return [Array<Integer>] the steps whose outputs are needed, but are neither in the checkpoint nor in a cache
      def missing
        return [] unless @request.selects?

        calls = @outlooks.select { |id, outlook| selected?(id) && outlook.calls? && !@veiled[id] }.keys
        calls.flat_map { |id| @dag.inputs(id) }.uniq.sort.select { |id| missing?(id) }
      end

      private

      def leave_out(id)
        entry = entry(id)
        return keep(id, entry) if entry && !entry.problem && (@needed.include?(id) || !@request.only)

        skipped = Recording.skipped?(@dag.steps[id], @recording.checkpoint.outcomes[id])
        (borrow(id) if @needed.include?(id) && !skipped) ||
          Outlook.new(:skip, "not selected", [entry&.token || Recording::Provenance::NOTHING], skipped ? :surely : :never)
      end

      # Restores an output even if there are objections, and adds a warning about them.
      def keep(id, entry)
        why = @objections.although(id, entry) or return restore(id, entry, recorded)
        @warnings << "step #{Name.show(@dag.steps[id].name)} is restored although #{why}"
        restore(id, entry, "#{recorded}; restored although #{why}")
      end

      # Reads an output that another step needs from the cache.
      # @return [Outlook, nil]
      def borrow(id)
        return unless @caching.reads_output?(id)

        tellers = @caching.inputs(id).reject { |before| @outlooks[before].known? }
        return unless tellers.all? { |before| @veiled[before] }
        return Outlook.new(:unknown, KEY, [:any], :never) if veiled?(id, tellers)

        reuse(id) if find(id)
      end

      # Returns whether the output of a step is missing although the step was not skipped.
      def missing?(id)
        !selected?(id) && @outlooks[id].action == :skip && @outlooks[id].absence == :never
      end

      # Returns the steps that are not selected and whose outputs are needed, also for the cache keys of other steps.
      def needed
        @dag.order.reverse_each.with_object(Set.new) do |id, needed|
          selected = selected?(id) # A recorded step may have to run again.
          next unless selected || (needed.include?(id) && @caching.caches?(id) && (entry(id).nil? || entry(id).problem))

          needed.merge((selected ? @dag : @caching).inputs(id).reject { |before| selected?(before) })
        end
      end
    end
  end
end
