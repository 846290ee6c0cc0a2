# frozen_string_literal: true

require_relative "rows"

module Flowline
  module Recording
    # The record of a run in a store. It has the outputs, as +Marshal+ data that is written before any dependent starts,
    # and the history, which is built from the run's events.
    # @api private
    class Journal
      include Rows

      # The outcomes of steps that need not run again.
      DONE = %w[succeeded cached skipped collected].freeze
      # The ranges of item numbers in the store: of a step itself, and of all of its items.
      STEP = [-1, -1].freeze
      ITEMS = [0, (1 << 63) - 1].freeze
      EVENTS = %i[step_retried step_finished].freeze
      private_constant :EVENTS, :DONE, :STEP, :ITEMS

      # @return [Boolean] whether nothing of a run is left to be done
      def self.done?(store, pipeline, run, patience)
        return false unless run.status == "succeeded"

        outcomes = store.outcomes(run.checkpoint, patience: patience)
        Recording.over?(pipeline, run.status, pipeline.steps.map { |step| outcomes[step.name.name] })
      end

      # @return [Subject]
      attr_reader :subject
      # @return [Checkpoint] of the run to resume
      attr_reader :checkpoint

      # @param pipeline [Pipeline]
      # @param request [Planning::RunOptions]
      # @raise [LockedError, StoreError]
      def initialize(pipeline, request)
        @pipeline = pipeline
        @request = request
        @subject = Subject.of(pipeline, request)
        @outdated = []
        @caller = [Trigger.recorded, Caller.directory]
        @patience = Patience.new(request.timeout)
        @claim = Claim.new(@subject, @patience)
        @subject.key = -> { @claim.key }
        @checkpoint = Checkpoint.new(@claim.take, entries: [], outcomes: [])
        load_checkpoint if @checkpoint.run
        ready = true
      ensure
        close unless ready
      end

      # @return [String] why no run is resumed
      def why_not
        @claim.makes_store? ? Resumable::NO_STORE : Resumable.new(@pipeline, @request.root, patience).why_not(@subject.identity)
      end

      # @return [String] the directory of the store
      def path
        @claim.store&.path || Store.path(@request.root)
      end

      # @return [Boolean]
      def stored? = true

      # @return [Hash{String => String, nil}] the state of the pipeline, and over it the writes of restored steps, as bytes by key
      def state
        store = @claim.store or return {}
        restored = @checkpoint.run ? restored_writes(store).reject(&:overtaken) : []
        committed(store).transform_values(&:value).merge(restored.to_h { |write| [write.key, write.value] })
      end

      # @return [Hash{Symbol => Float}]
      def timings
        @claim.store&.timings(@pipeline.name, patience: patience).to_h.transform_keys(&:to_sym)
      end

      # Begins the run, which other processes can see from then on.
      # @param environment [Execution::Environment] of the run
      # @return [void]
      # @raise [LockedError, StoreError]
      def start(environment)
        @context = environment.context
        @warnings = environment.warnings
        @serialising = environment.serialising
        @provenance = environment.provenance
        @grounds = Grounds.new(environment) { @claim.key }
        @pid = Process.pid
        @subject.note_code
        @written = {}
        @repeated = {} # Steps that a resumed run has to call again.
        @passed = []
        @run = @claim.begin(beginning, outdated: @outdated, graph: @pipeline.snapshot, **care)
        @store = @claim.store
      end

      # Shows where the run stands to other processes, and passes their requests on, if it takes longer.
      # @param standing [#to_json]
      # @param coordinator [#cancel, #cancel_now]
      # @param lines [Lines] the log of the run
      # @return [void]
      def broadcast(standing, coordinator, lines)
        @broadcast = Broadcast.new(@store, @run.id, standing, coordinator, lines) { |warning| @warnings << warning }
        Ticker.add(@broadcast)
      end

      # Removes stale records, before the steps run again: together with the beginning of the run, or at once.
      # @param outputs [Array<Integer>] the steps whose outputs are stale
      # @param mapped [Array<Integer>] the steps whose items are stale
      # @return [void]
      def forget(outputs, mapped)
        @checkpoint.forget(outputs, mapped)
        outdated = outputs.map { |id| [name_of(id), *STEP] } + mapped.map { |id| [name_of(id), *ITEMS] }
        return @outdated.concat(outdated) unless @run

        own_process
        @store.forget(@run, outdated, **care)
      end

      # Records a step that succeeded. The record is durable when this returns.
      # @param id [Integer]
      # @param step [Step]
      # @param facts [Array] attempts, started, duration, the tally of the items, if it has some, and the numbers that it has reported
      # @param output [Object]
      # @return [Integer] the size of its record in bytes
      # @raise [StoreError] it could not be recorded
      def complete(id, step, facts, output)
        @written[id] = true
        return write([[completed(id, step, facts, output, false), nil, nil, writes(id, step)]]) unless @request.checkpoint?

        bytes = step.options[:checkpoint] == false ? "" : dump(step, output)
        row = completed(id, step, facts, output, !bytes.empty?)
        outcome = Recording.collected?(step, output) ? COLLECTED : SUCCEEDED
        @repeated[id] = true if bytes.empty? || outcome == COLLECTED || (@repeated.any? && @pipeline.dag.inputs(id).any? { |other| @repeated[other] })
        ends_items = step.each && !@repeated[id] # Otherwise its items are still needed.
        write([*passed, [row, record(id, outcome), ends_items, writes(id, step)]], bytes)
      end

      # Records an item that succeeded. The record is durable when this returns.
      # @return [Boolean] whether it is recorded; if not, there is a warning
      def complete_item(id, step, position, digest, output)
        bytes = dump(step, output)
        return false if bytes.empty?

        record = [@run.checkpoint, step.name.name, position, SUCCEEDED, @subject.step_digest(id), digest, @provenance.items_made_of(id).join(" ")]
        write([[nil, record, nil, writes(id, step)]], bytes)
        true
      end

      # @return [Array<Symbol>] the events of which it is notified
      def event_names = EVENTS

      # @param event [Event]
      # @return [void]
      def call(event)
        case event.name
        when :step_retried then retried(event)
        when :step_finished then record_end(@pipeline.dag.index[event.step.name], event.result)
        end
      end

      # Records the end of a step that failed, or that a resumed run need not call again. ({#complete} has recorded one that succeeded.)
      # @param id [Integer]
      # @param result [StepResult]
      # @return [void]
      # @raise [StoreError]
      def record_end(id, result)
        if result.failed?
          @written[id] = true
          write([[row(id, result), (record(id, result.status.name) if @request.checkpoint?)]])
        elsif result.status == :cached && result.attempts.zero?
          record_cached(id, result.output)
        elsif @request.checkpoint? && (result.status == :cached || @subject.passed_over?(result))
          pass(id, result.status, row(id, result))
        end
      end

      # Records a step whose output came from a cache, and which was not called.
      # @param id [Integer]
      # @param output [Object]
      # @return [void]
      def record_cached(id, output)
        pass(id, :cached, cached(id, output)) if @request.checkpoint?
      end

      # Digests what {#finish} records, which calls the user's code.
      # @param result [Result]
      # @return [void]
      def prepare_end(result)
        warn_of_overtaken(result) if @checkpoint.run && result.success?
        @passed.each { |id,| @provenance.token(id) } unless @passed.empty? || @subject.done?(result, @checkpoint)
      ensure
        @provenance.seal
      end

      # Records the end of the run. None of the user's code is called.
      # @param result [Result]
      # @return [void]
      def finish(result)
        completions, uncalled = unwritten(result)
        ended = ending(result)
        completions.concat(@passed.map { |id, status, _, record| [nil, record || record(id, status.name)] }) unless ended.clear
        own_process
        @broadcast.end_run do |rows|
          ended.lines = rows
          ended.warnings = Shown.warnings(@warnings, @context)
          @store.finish_run(ended, completions, @claim.lock, uncalled: uncalled, **care)
        end
      end

      # @return [String] without values, some of which are secret
      def inspect = "#<#{self.class}>"

      # @return [void]
      def close
        @broadcast&.close
        @claim&.release
      end

      private

      # @return [Hash{String => Store::Value}]
      def committed(store)
        store.state(@pipeline.name, patience: patience).to_h { |value| [value.key, value] }
      end

      # @return [Array<Store::Write>] what steps of the pipeline have written that the run resumes
      def restored_writes(store)
        store.writes(@checkpoint.run.checkpoint, patience: patience).select { |write| @pipeline.dag.index.key?(write.step.to_sym) }
      end

      # Warns of what restored steps have written before another value was committed, which stays.
      def warn_of_overtaken(result)
        writes = restored_writes(@store).select { |write| write.overtaken && write.run != @run.id && @subject.settled?(result[write.step]) }
        values = writes.empty? ? {} : committed(@store)
        writes.each { |write| @warnings << Recording.overtaken(write.key, write.step, values[write.key]&.run_id) }
      end

      # Raises in a process that a step has forked, because it must not record anything.
      def own_process
        return if Process.pid == @pid

        raise StoreError.new(@store.path, "the run is recorded by process #{@pid}; leave a forked child with exit!")
      end

      # @return [Integer] how many bytes it wrote
      def write(completions, bytes = "")
        own_process
        bytes.bytesize.tap { @store.record(completions, bytes, durable: @request.sync_to_disk?, patience: patience) }
      end

      # Returns whether a record must be durable, and how long it may wait for other processes.
      def care
        { durable: @request.sync_to_disk?, patience: patience }
      end

      def patience
        @patience.seconds
      end

      # Marks a step as done until its code changes. Computes the token now, because a dependent could change the output.
      def pass(id, status, row)
        @passed << [id, status, row, (record(id, status.name) if depended_on.key?(@pipeline.steps[id].name))]
      end

      # Returns the steps that need not run. They are recorded with the next step that runs, which may depend on them.
      def passed
        return NOTHING if @passed.empty?

        @passed.shift(@passed.size).map do |id, status, row, record|
          @written[id] = true
          [row, record || record(id, status.name)]
        end
      end

      # @return [Hash{Symbol => true}] the steps whose outputs other steps get
      def depended_on
        @depended_on ||= @pipeline.steps.flat_map(&:depends_on).uniq.flat_map { |name| @pipeline.dag.ends(name) }.to_h { |name| [name, true] }
      end

      def load_checkpoint
        outcomes = @checkpoint.outcomes
        entries = @checkpoint.entries
        steps = [@pipeline.steps.map { |step| step.name.name }, @subject.step_digests]
        # rubocop:disable Metrics/ParameterLists -- there may be many records, so that none has an Array of its own
        @claim.store.records(@checkpoint.run.checkpoint, steps, patience: patience) do |id, item, outcome, step_digest, token, made_of, bytes|
          # rubocop:enable Metrics/ParameterLists
          next load_item(id, item, step_digest, [token, made_of, bytes]) if item

          outcomes[id] = outcome
          entries[id] = Entry.recorded(step_digest, token, made_of, bytes, outcome) if DONE.include?(outcome)
        end
        @subject.keep_secrets(@checkpoint)
      end

      # Takes an item. An item is stale if its code has changed, or if it was made of other inputs than the rest.
      def load_item(id, number, step_digest, facts)
        digest, made_of, bytes = facts
        made_of = made_of.split
        known = @checkpoint.items[id] ||= Items.new(step_digest, made_of)
        stale = step_digest != @subject.step_digest(id) || made_of != known.made_of
        return @outdated << [name_of(id), number, number] if stale

        output = Recording.restore(bytes) { return }
        known.put(number, digest, output)
      end

      def adoptable
        bytes = Marshal.dump(@subject.known)
        bytes unless @context.secret_in?(bytes)
      rescue *Cache::TROUBLE => e
        Caller.raise_foreign(e) { Marshal.dump(@subject.known) }
      end
    end
  end
end
