# frozen_string_literal: true

module Flowline
  module Recording
    # The record of a run in memory, for pipelines without a name: the outputs by reference, as long as the pipeline object
    # exists. It is written when the run ends.
    # @api private
    class Memory
      # The parts of the record that stay when nothing is left to be resumed.
      STATE = %i[state committed].freeze
      private_constant :STATE

      @epoch = 0

      class << self
        # Forgets what all pipelines have in memory.
        # @return [void]
        def forget
          @epoch += 1
        end

        # @param memories [Hash{Integer => Hash}] of a pipeline
        # @return [Hash{Symbol => Object}] what it has in memory
        def current(memories)
          memories.fetch(@epoch) do |epoch|
            memories.clear
            memories[epoch] = {}
          end
        end
      end

      # @return [Subject]
      def subject = @subject ||= Subject.of(@pipeline, @request)

      # @param pipeline [Pipeline]
      # @param request [Planning::RunOptions]
      def initialize(pipeline, request)
        @pipeline = pipeline
        @request = request
        take_turn if (request.exclusive || request.resume?) && !request.dry?
        recall if request.continues?
        ready = true
      ensure
        close unless ready
      end

      # @return [Checkpoint] of the run to resume, to which the items that this run completes are added
      def checkpoint = @checkpoint ||= Checkpoint.new

      # @return [String] why no run is resumed
      def why_not
        Resumable.new(@pipeline, nil).why_not(subject.identity)
      end

      # @return [nil] the record is in no directory
      def path; end

      # @return [Boolean] whether completed steps must be recorded with {Journal#complete}
      def stored?
        false
      end

      # @return [Hash{Symbol => Float}] seconds that steps took so far
      def timings
        {}
      end

      # Begins the run. After this, steps may change the params, the input and the context.
      # @param environment [Execution::Environment] of the run
      # @return [void]
      def start(environment)
        @environment = environment
        subject.identity unless @request.params.empty? && @request.values.empty? && !@request.input?
      end

      # Removes stale records, before the steps run again.
      # @param outputs [Array<Integer>] the steps whose outputs are stale
      # @param mapped [Array<Integer>] the steps whose items are stale
      # @return [void]
      def forget(outputs, mapped)
        checkpoint.forget(outputs, mapped)
        @writes = @writes&.except(*(outputs + mapped).map { |id| @pipeline.steps[id].name })
      end

      # Records an item that succeeded.
      # @param id [Integer]
      # @param step [Step]
      # @param position [Integer]
      # @param digest [String] of the item before its call
      # @param output [Object]
      # @return [true]
      def complete_item(id, step, position, digest, output)
        items_of(id).put(position, digest, output)
        ((@called ||= {})[step.name] ||= []) << position # In this run.
        true
      end

      # Digests what {#finish} records, which calls the user's code.
      # @param result [Result]
      # @return [Boolean] whether there was something to digest
      def prepare_end(result)
        warn_of_overtaken(result) if @older && result.success?
        return false if (nothing = done?(result))

        result.steps.each_with_index { |step, id| @environment.provenance.token(id) if step.output? }
        recognise_changed(result)
        true
      ensure
        @environment.provenance.seal unless nothing
      end

      # Records the end of the run.
      # @param result [Result]
      # @return [void]
      def finish(result)
        @turn&.over(result)
        memory = @pipeline.memory
        commit(result) if result.success? && (@writes || @environment.context.ledger)
        if done?(result)
          memory.select! { |name, _| STATE.include?(name) } if memory[:identity] && memory[:identity] == subject.identity
          return
        end
        memory.replace(checkpoint: checkpoint_of(result), identity: subject.identity, status: result.status,
                       writes: open_writes(result), recorded: @recorded || Clock.now, **memory.slice(*STATE))
      end

      # @return [Hash{String => String, nil}] the state of the pipeline, and over it the writes of restored steps, as bytes by key
      def state
        (@pipeline.memory[:state] || {}).merge(*@writes&.values)
      end

      # Ends the recording. Nothing is recorded after this.
      # @return [void]
      def close
        @turn&.release
      end

      # @return [String] without values, some of which are secret
      def inspect
        "#<#{self.class}>"
      end

      private

      # @return [Checkpoint] for a run that resumes this one
      def checkpoint_of(result)
        outcomes = Recording.outcomes(checkpoint.outcomes, result.steps.map { |step| outcome(step) })
        entries = result.steps.each_with_index.map { |step, id| entry(id, step) }
        run = Store::Run.new(run_id: result.run_id, pipeline: @pipeline.name, identity: subject.identity, params: subject.known,
                             status: result.status.name, pid: Process.pid, host: Store.host, started: @environment.context.started_at.to_f)
        Checkpoint.new(run, entries: entries, outcomes: outcomes, items: checkpoint.items)
      end

      # Returns whether the run leaves nothing to resume. It is asked twice about the result of a run that leaves nothing.
      def done?(result)
        return true if result.equal?(@done)

        @done = result if Recording.done?(@request, result, @checkpoint)
      end

      # Commits what the steps of the run have written, those that it restored included.
      def commit(result)
        changes = writes(result).select { |step, _| subject.settled?(result[step]) }
        @writes = @writes&.except(*changes.keys)
        changed = {}.merge(*changes.values)
        @pipeline.memory[:state] = (@pipeline.memory[:state] || {}).merge(changed).compact
        @pipeline.memory[:committed] = (@pipeline.memory[:committed] || {}).merge(changed.transform_values { Clock.now })
      end

      # Returns the writes that a later run may commit.
      def open_writes(result)
        result.success? ? @writes : writes(result)
      end

      # Returns what the steps that are not to run again have written, by step.
      def writes(result)
        now = @environment.context.ledger&.written.to_h.select { |id, _| @pipeline.steps[id].each || result.at(id).status == :succeeded }
        (@writes || {}).merge(now.transform_keys { |id| @pipeline.steps[id].name }) { |_, before, later| before.merge(later) }
      end

      def warn_of_overtaken(result)
        restored = @older.select { |step, _| subject.settled?(result[step]) }
        restored.each { |step, keys| keys.each { |key| @environment.warnings << Recording.overtaken(key, step, nil) } }
      end

      # Takes the turn among the runs of this process, if the run excludes others.
      def take_turn
        turn = Turn.new(subject, Patience.new(@request.timeout))
        return unless turn.taken?

        @turn = turn
        run = Store::Run.new(pipeline: @pipeline.name, pid: Process.pid, host: Store.host, started: Time.now.to_f)
        turn.waiting { turn.take(-> { LocalLock.new(run) }) { |_, digest| LocalLock.holder(digest) } }
        turn.refuse_late { |_, digest| LocalLock.ended_after(digest, @request.called) } unless turn.waits?
      end

      # Records the digests of items that their calls have changed, because the items stay in memory by reference.
      def recognise_changed(result)
        @called&.each do |name, positions|
          step = @pipeline.dag[name]
          source = result[step.depends_on[step.labels.index(step.each)]]&.output
          known = checkpoint.items[@pipeline.dag.index[name]]
          positions.each { |position| known.changed(position, Identity::Digest.try(source[position])) } if known && Array === source
        end
      end

      def items_of(id)
        checkpoint.items[id] ||= Items.new(subject.step_digest(id), @environment.provenance.items_made_of(id))
      end

      # Returns the record of a step. A step that did not complete has its earlier record, unless that was removed.
      def entry(id, result)
        return if result.reason == :given

        known = checkpoint.entries[id]
        return known if (known && result.status == :restored) || !(result.output? || subject.passed_over?(result))
        return unless @request.checkpoint?

        step = @pipeline.steps[id]
        problem = NO_OUTPUT if !result.output? || step.options[:checkpoint] == false
        provenance = @environment.provenance
        Entry.new(subject.step_digest(id), (result.output unless problem), problem, provenance.token(id), provenance.made_of(id),
                  Recording.collected?(step, result.output))
      end

      def outcome(result)
        collected = result.output? && Recording.collected?(@pipeline.dag[result.name], result.output)
        collected ? COLLECTED : Recording.outcome(result.status, result.reason)
      end

      def recall
        memory = @pipeline.memory.dup # Another run may end meanwhile.
        target = @request.target
        raise LockedError.by(nil, @pipeline.name) if target && memory[:checkpoint]&.run&.run_id != target.run_id # Another thread has resumed it.
        return unless memory[:identity] == subject.identity
        return if !@request.selects? && Recording.over?(@pipeline, memory[:status], memory[:checkpoint].outcomes)

        @checkpoint = memory[:checkpoint].dup
        recall_writes(memory) if memory[:writes]
        subject.keep_secrets(@checkpoint)
      end

      # Leaves out the writes of values that another run has committed since then.
      def recall_writes(memory)
        @recorded = memory[:recorded]
        newer = (memory[:committed] || {}).select { |_, time| time > @recorded }
        known = memory[:writes].slice(*@pipeline.dag.index.keys)
        @writes = known.transform_values { |changes| changes.except(*newer.keys) }
        @older = known.transform_values { |changes| changes.keys & newer.keys } unless newer.empty?
      end
    end
  end
end
