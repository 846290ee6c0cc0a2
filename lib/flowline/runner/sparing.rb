# frozen_string_literal: true

module Flowline
  # Steps that are ready and end without being called.
  class Runner
    private

    # What the plan could not decide is decided here, by the same rules.
    # @return [Boolean] whether the step has ended
    def spared?(id)
      restored?(id) || skipped?(id) || found?(id)
    end

    # A step is restored if it was made of what this run has. Else what was recorded goes before the step runs again.
    def restored?(id)
      entry = @presets&.open&.[](id) or return false
      unless entry.made_of == @provenance.made_of(id)
        @recording.forget([@dag.steps[id].name], [])
        return false
      end

      @provenance.know(id => entry.token)
      end_with(id, entry.output, :restored)
    end

    def skipped?(id)
      conditions = @conditions[id]
      return false if conditions.nil? || @presets&.reuses?(id)
      return false if @limits.ask { conditions.all? { |call, wanted| (call.call(@outputs, @context) ? true : false) == wanted } }

      settle(id, :skipped, :condition)
      true
    end

    # The plan has decided by what it found.
    def found?(id)
      @presets&.found&.key?(id) ? end_with(id, @presets.found[id], :cached) : false
    end

    def end_with(id, output, outcome)
      @outputs[id] = output
      settle(id, outcome)
      true
    end

    # @return [Recording::Items, nil] the items that the step need not be called for
    def recorded_items(id)
      items = @presets&.items&.[](id) or return
      return items if items.made_of == @provenance.items_made_of(id)

      @recording.forget([], [@dag.steps[id].name])
      nil
    end
  end
end
