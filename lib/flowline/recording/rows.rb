# frozen_string_literal: true

module Flowline
  module Recording
    # Builds the rows of a store from the outcomes of the steps of a run.
    # @api private
    module Rows
      # The maximum number of characters of an error message in the history.
      TEXT = 2000
      private_constant :TEXT

      private

      def beginning
        Store::Run.new(run_id: @context.run_id, pipeline: @pipeline.name, identity: @subject.identity, checkpoint: @claim.run&.checkpoint,
                       resumed: @checkpoint.run&.run_id, params: adoptable, pid: @pid, host: Store.host, started: @context.started_at.to_f,
                       shown: Shown.params(@context), trigger: @caller.first, location: @pipeline.location, directory: @caller.last)
      end

      def ending(result)
        Store::End.new(run: @run.id, status: result.status.name, duration: result.duration, error: text(result.error),
                       clear: @subject.done?(result, @checkpoint), warnings: Shown.warnings(@warnings, @context), keep: @request.keep_runs,
                       clock: Store.clock, ended: Clock.now,
                       commits: (settled_writers(result) if @checkpoint.run && result.success?))
      end

      # @return [Array<String>] the steps whose writes into the state are committed. Few steps write any.
      def settled_writers(result)
        restored_writes(@store).map(&:step).uniq.select { |name| @subject.settled?(result[name]) }
      end

      # Holds the last retries of a step until it is recorded.
      def retried(event)
        retries = ((@retries ||= {})[event.step.name] ||= [])
        retries.shift if retries.size >= Shown::MOST
        retries << [event.time - @context.started_at, event.result]
      end

      def dump(step, output)
        bytes = @serialising.call(always: step.outlasts_stop?) { Marshal.dump(output) }
        return unrecorded(step, "was not serialised before the run was stopped") unless bytes
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

      # Returns the row for history of a step whose callable returned, in the order of {Store::Step}'s members.
      # @param searched [Boolean] whether no secret was found in its output
      def completed(id, step, facts, output, searched)
        *facts, tally, report = facts
        [@run.id, id, step.name.name, SUCCEEDED, nil, *facts, nil, *Shown.items(tally&.counts), *Shown.output(output, @context, searched),
         Shown.detail(@retries&.[](step.name), tally&.errors, @context, @grounds.of(id), report)]
      end

      # Returns the row for history of any other step.
      def row(id, result)
        [@run.id, id, result.name.name, result.status.name, result.reason&.name, result.attempts,
         result.started_at&.-(@context.started_at), result.duration, text(result.error), *Shown.items(result.items),
         *(result.output? ? Shown.output(result.output, @context, false) : Shown::NO_OUTPUT),
         Shown.detail(@retries&.[](result.name), (result.item_errors if result.items), @context, @grounds.of(id), result.report)]
      end

      # Returns the row for history of a step whose output came from a cache.
      def cached(id, output)
        kind, size, preview = Shown.output(output, @context, false)
        [@run.id, id, name_of(id), "cached", nil, 0, nil, nil, nil, nil, nil, nil, nil, kind, size, preview,
         Shown.detail(nil, nil, @context, @grounds.of(id))]
      end

      # Returns what a step has written into the state since it was last asked.
      # @return [Array(Integer, String, Array<Array>), nil]
      def writes(id, step)
        changes = @context.ledger&.take(id) or return
        now = Time.now.to_f
        [@run.id, @run.checkpoint, step.name.name, changes.map { |key, bytes| [key, bytes, Shown.bytes(bytes, @context), now] }]
      end

      # Returns the record of a step without its output, in the order of {Store::Record}'s members.
      def record(id, outcome)
        made_of = @provenance.made_of(id).join(" ")
        [@run.checkpoint, name_of(id), nil, outcome, @subject.step_digest(id), @provenance.token(id), made_of]
      end

      # Sorts the steps that are not recorded yet. Uncalled steps are grouped by outcome, because there may be many; cached steps
      # have a row each, which says what their keys were made of.
      # @return [Array(Array<Array>, Array<Array>)] completions, and groups of steps; see {Store::SQLite#finish_run}
      def unwritten(result)
        written = @written.keys
        groups = result.uncalled.filter_map { |status, reason, ids| [status, reason, ids - written] unless status == :cached }
        called = @pipeline.steps.each_index.to_a - written - groups.flat_map(&:last)
        left_out = groups.select { |_, reason, _| reason == :not_selected }.flat_map(&:last)
        passed = @passed.to_h { |id, _, row| [id, row] }
        [called.map { |id| [passed[id] || row(id, result.at(id))] } + left_out(left_out), groups.map { |group| named(*group) }]
      end

      def named(status, reason, ids)
        [status.name, reason&.name, ids, ids.map { |id| name_of(id) }]
      end

      # Returns records of the steps that were left out. They still have to run, unless an earlier run has completed them.
      def left_out(ids)
        ids.reject { |id| @checkpoint.outcomes[id] }.map { |id| [nil, record(id, LEFT_OUT)] }
      end

      def name_of(id)
        @pipeline.steps[id].name.name
      end

      def text(error)
        error && @context.mask(error.message)[0, TEXT]
      end
    end
  end
end
