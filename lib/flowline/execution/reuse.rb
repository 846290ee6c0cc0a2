# frozen_string_literal: true

module Flowline
  module Execution
    # The reuse of outputs from earlier runs and from caches. The plan leaves some steps open; for these, the run decides
    # when the step is ready.
    # @api private
    class Reuse
      # @param environment [Environment]
      # @param presets [Planning::Presets]
      # @param recording [Recording]
      # @param state [State]
      def initialize(environment, presets, recording, state)
        @environment = environment
        @dag = environment.dag
        @run = environment.run
        @presets = presets
        @provenance = environment.provenance
        @recording = recording
        @state = state
      end

      # Ends the steps that the plan restores or leaves out, before the run begins.
      # @return [void]
      def preset
        @presets.restored.each { |id, output| @environment.outputs[id] = output }
        @provenance.know(@presets.tokens)
        @run.preset(@presets.restored.keys, [], @presets.unselected)
        @environment.warnings.concat(@presets.warnings)
      end

      # @return [Boolean] whether it leaves out steps
      def unselected?
        @presets.unselected.any?
      end

      # Ends a step whose output is there, without calling it.
      # @return [Boolean] whether that is so
      def end?(id)
        restored?(id) || found?(id)
      end

      # @return [Recording::Items, nil] the items for which the step need not be called
      def items(id)
        items = @presets.items[id] or return
        return source_restored?(id) ? items : items.as_recorded if items.made_of == @provenance.items_made_of(id)

        @recording.forget([], [id])
        nil
      end

      private

      # Restores a step if it was made of the outputs that this run has. Otherwise its record is removed before it runs.
      def restored?(id)
        entry = @presets.open[id] or return false
        made_of = @provenance.made_of(id)
        return remade(id, entry.made_of.zip(made_of).index { |before, now| before != now }) unless entry.made_of == made_of

        @provenance.know(id => entry.token)
        @state.reuse(id, entry.output, :restored)
        true
      end

      # A dependency has another output than the one that the step was made of.
      # @return [false]
      def remade(id, position)
        input = @dag.inputs(id)[position] if position
        @presets.reasons[id] = "it was made of another output of #{Name.show(@dag.steps[input].name)}" if input
        @recording.forget([id], [])
        false
      end

      # Uses what the plan found in the cache, because the plan decided by that.
      def found?(id)
        return false unless @presets.found.key?(id) && @presets.reuses?(id)

        @environment.details&.hit(id)
        @state.reuse(id, @presets.found[id], :cached)
        true
      end

      # Only items that are the same objects as in the earlier run may have been changed by their calls then.
      def source_restored?(id)
        step = @dag.steps[id]
        source = step.depends_on[step.labels.index(step.each)]
        @dag.ends(source).all? { |name| @run.step(@dag.index[name]).first == :restored }
      end
    end
  end
end
