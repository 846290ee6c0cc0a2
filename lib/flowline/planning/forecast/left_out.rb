# frozen_string_literal: true

module Flowline
  module Planning
    # Steps that do not take part in a run: others may need their outputs.
    class Forecast
      # @return [Array<Integer>] the steps whose outputs are needed, and that neither checkpoint nor cache has
      def missing
        return [] unless @request.picks?

        calls = @outlooks.select { |id, outlook| selected?(id) && outlook.calls? && !@veiled[id] }.keys
        calls.flat_map { |id| @dag.inputs(id) }.uniq.sort.select { |id| missing?(id) }
      end

      private

      def leave_out(id)
        entry = entry(id)
        return keep(id, entry) if entry && !entry.problem && (@needed.include?(id) || !@request.only)

        skipped = Recording.skipped?(@dag.steps[id], @recording.outcomes[@dag.steps[id].name])
        (borrow(id) if @needed.include?(id) && !skipped) ||
          Outlook.new(:skip, "not selected", [entry&.token || Recording::Provenance::NOTHING], skipped ? :surely : :never)
      end

      # Restores an output whatever it was made of, and says so.
      def keep(id, entry)
        why = @objections.although(id, entry) or return restore(id, entry, recorded)
        @warnings << "step #{Name.show(@dag.steps[id].name)} is restored although #{why}"
        restore(id, entry, "#{recorded}; restored although #{why}")
      end

      # Takes an output that a step needs from the cache.
      # @return [Outlook, nil]
      def borrow(id)
        return unless @caching.reads_output?(id)

        tellers = @caching.inputs(id).reject { |before| @outlooks[before].known? }
        return unless tellers.all? { |before| @veiled[before] }
        return Outlook.new(:unknown, KEY, [:any], :never) if veiled?(id, tellers)

        reuse(id) if find(id)
      end

      # Whether the output is missing, of a step that was not skipped.
      def missing?(id)
        !selected?(id) && @outlooks[id].action == :skip && @outlooks[id].absence == :never
      end

      # The steps that do not take part and whose outputs are needed, also for the cache keys of others.
      def needed
        @dag.order.reverse_each.with_object(Set.new) do |id, needed|
          selected = selected?(id) # A recorded one may have to run again.
          next unless selected || (needed.include?(id) && @caching.caches?(id) && (entry(id).nil? || entry(id).problem))

          needed.merge((selected ? @dag : @caching).inputs(id).reject { |before| selected?(before) })
        end
      end
    end
  end
end
