# frozen_string_literal: true

module Flowline
  # Steps that are ready and end without being called.
  class Runner
    private

    # Decides what the plan left open.
    # @return [Boolean] whether the step has ended
    def spared?(id)
      restored?(id) || skipped?(id) || found?(id)
    end

    # Restores a step if it was made of the outputs that this run has. Else its record is removed before it runs again.
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

    # Uses what the plan found in the cache, since it decided by that.
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
      return source_restored?(id) ? items : items.as_recorded if items.made_of == @provenance.items_made_of(id)

      @recording.forget([], [@dag.steps[id].name])
      nil
    end

    # Only items that are the very objects of the earlier run may have been changed by their calls then.
    def source_restored?(id)
      step = @dag.steps[id]
      source = step.depends_on[step.labels.index(step.each)]
      @dag.ends(source).all? { |name| @run.step(@dag.index[name]).first == :restored }
    end
  end
end
