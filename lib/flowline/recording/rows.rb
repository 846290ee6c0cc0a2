# frozen_string_literal: true

module Flowline
  class Recording
    # Makes rows for a store of what came of the steps of a run.
    # @api private
    module Rows
      # History is read by people: what an error says is cut at so many characters.
      TEXT = 2000
      private_constant :TEXT

      private

      def dump(step, output)
        bytes = Marshal.dump(output)
        return bytes unless @context.secret_in?(bytes)

        unrecorded(step, "holds a secret")
      rescue *Cache::TROUBLE => e
        unrecorded(step, "cannot be serialised: #{@context.mask(Error.words(e))}", "; checkpoint: false says that it need not be")
      end

      def unrecorded(step, why, way_out = "")
        warning = "the output of step #{Name.show(step.name)} is not recorded, since it #{why}; the step runs again on resume#{way_out}"
        @warnings << warning unless @warnings.include?(warning) # Every item would repeat it.
        +""
      end

      # Of steps that were not called there may be many, and there is little to tell.
      def rest_of(id, result)
        status, reason = result.uncalled(id)
        return [row(id, result.at(id))] unless status

        name = @pipeline.steps[id].name
        left_out = reason == :not_selected && !@outcomes.key?(name) # Still to be done, unless an earlier run has done it.
        [[@run.id, id, name.name, status.name, reason&.name, 0, nil, nil, nil], (record(id, LEFT_OUT) if left_out)]
      end

      def position(id)
        { run: @run.id, position: id, name: @pipeline.steps[id].name.name }
      end

      def row(id, step)
        Store::Step.new(**position(id), status: step.status.name, reason: step.reason&.name, attempts: step.attempts,
                                        started: step.started_at&.-(@context.started_at), duration: step.duration, error: text(step.error))
      end

      # What is recorded of a step beside its output.
      def record(id, outcome)
        Store::Record.new(checkpoint: @run.checkpoint, step: @pipeline.steps[id].name.name, outcome: outcome, imprint: @imprints[id],
                          token: @provenance.token(id), made_of: @provenance.made_of(id).join(" "))
      end

      def text(error)
        error && @context.mask(error.message)[0, TEXT]
      end
    end
  end
end
