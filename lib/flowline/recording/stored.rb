# frozen_string_literal: true

module Flowline
  class Recording
    # What is kept of a run in a store: outputs as +Marshal+ data before any dependent starts, and the history,
    # for which it reads the run's events.
    class Stored < Recording
      # History is read by people: what an error says is cut at so many characters.
      TEXT = 2000
      # How the output of an item is called.
      ITEM = /\A(.+)\[(\d+)\]\z/m
      private_constant :TEXT, :ITEM

      # @return [Hash{Symbol => Object}, nil] the params of a pipeline's latest run, if that is to be resumed
      def self.latest_params(root, pipeline)
        store = Store.existing(root) or return
        _, run_id, _, status, params = store.call(:latest, pipeline.name, nil).first
        Recording.restore(params).first unless done?(store, pipeline, run_id, status) # Nil if they are of classes that are gone.
      end

      # @return [Boolean] whether nothing of a run is left to be done
      def self.done?(store, pipeline, run_id, status)
        status == "succeeded" && over?(pipeline, status, ended(store, pipeline, run_id))
      end

      # @return [Hash{Symbol => String}] how the steps of a run ended, and of those that it took up
      def self.ended(store, pipeline, run_id, runs = store.runs(pipeline.name, -1))
        run = runs.find { |other| other[:run_id] == run_id } or return {}
        own = store.steps(run[:id]).to_h { |step| [step[:name].to_sym, Recording.outcome(step[:status], step[:reason])] }
        Recording.outcomes(ended(store, pipeline, run[:resumed], runs), own)
      end

      def initialize(pipeline, request)
        @checkpoint = nil
        super
        ready = true
      ensure
        close unless ready
      end

      # @return [Boolean]
      def stored?
        true
      end

      # @return [Hash{Symbol => Float}]
      def timings
        store&.call(:timings, @pipeline.name).to_h.transform_keys(&:to_sym)
      end

      # @param context [Context]
      # @param warnings [Array<String>]
      # @param provenance [Provenance]
      # @return [void]
      # @raise [LockedError, StoreError]
      def start(context, warnings, provenance)
        @context = context
        @provenance = provenance
        @warnings = warnings
        @store ||= Store.at(@request.root)
        lock(rand(1 << 40)) unless @checkpoint
        # Before a step changes what its block has captured.
        @imprints = @pipeline.steps.map { |step| @pipeline.imprint(step) }
        bury
        supersede unless @resumed
        @run, = @store.call(:begin, context.run_id, @pipeline.name, identity, @checkpoint, @resumed, adoptable, Process.pid,
                            context.started_at.to_f, durable: durable?).first
        @written = {}
        @repeated = {} # Steps that a resumed run has to call again.
        @passed = []
      end

      # Removes what is of no more use, before the steps run again.
      # @param outputs [Array<Symbol>] the steps whose outputs are
      # @param mapped [Array<Symbol>] the steps whose items are
      # @return [void]
      def forget(outputs, mapped)
        stale = mapped.flat_map { |name| items[name]&.range.to_a.map { |position| "#{name}[#{position}]" } }
        super
        @store.batch(:forget, [*outputs.map(&:name), *stale, *outworn].map { |name| [@checkpoint, name] })
      end

      # Records a step that succeeded: when this returns, it is there for good.
      # @param id [Integer]
      # @param step [Step]
      # @param facts [Array] attempts, started, duration
      # @param output [Object]
      # @return [void]
      # @raise [StoreError] it could not be recorded
      def complete(id, step, facts, output)
        record_passed
        row = [@run, id, step.name.name, :succeeded, nil, *facts, nil]
        @written[id] = true
        return @store.call(:step, *row, durable: durable?) unless @request.checkpoint?

        bytes = step.options[:checkpoint] == false ? +"" : dump(step, output)
        @repeated[id] = true if bytes.empty? || (!@repeated.empty? && @pipeline.dag.inputs(id).any? { |before| @repeated[before] })
        operation = step.each && !@repeated[id] ? :complete_each : :complete # Else its items are still of use.
        @store.call(operation, *row, @checkpoint, mark(id), payload: bytes, durable: durable?)
      end

      # Records an item that succeeded: when this returns, it is there for good.
      def complete_item(id, step, position, digest, output)
        bytes = dump(step, output)
        return if bytes.empty?

        mark = [@imprints[id], digest, *@provenance.items_made_of(id)].join(" ")
        @store.call(:item, @checkpoint, "#{step.name}[#{position}]", mark, payload: bytes, durable: durable?)
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        return unless event.name == :step_finished

        id = @pipeline.dag.index[event.step.name]
        result = event.result
        if result.failed?
          @written[id] = true
          @store.call(:step, *row(id, result), durable: durable?)
        elsif @request.checkpoint? && (result.status == :cached || passed_over?(result))
          @passed << [*row(id, result), @checkpoint, mark(id)] # That it need not run, as long as it stays what it is.
        end
      end

      # @param result [Result]
      # @return [void]
      def finish(result)
        done = done?(result)
        record_passed unless done # Else nobody will ask.
        @store.batch(:step, result.steps.each_with_index.reject { |_, id| @written[id] }.map { |step, id| row(id, step) })
        spent = @checkpoint if done
        @store.call(:finish, @run, result.status, result.duration, text(result.error), @pipeline.name, spent, durable: durable?)
      end

      # @return [void]
      def close
        @store.release(@checkpoint) if @checkpoint
        @checkpoint = nil
      end

      private

      # Steps that need not run, before one that comes after them.
      def record_passed
        rows = @passed.shift(@passed.size)
        rows.each { |_, id| @written[id] = true }
        @store.batch(:passed, rows)
      end

      # Records of items that nothing can use.
      def outworn
        @outworn ||= []
      end

      def store
        @store ||= Store.existing(@request.root)
      end

      def durable?
        @request.power?
      end

      # Finds the run to resume and takes hold of it; a dry run looks only whether it could.
      def recall
        while store
          number, run_id, checkpoint, status, = latest
          return if number.nil? || (!@request.picks? && Stored.done?(store, @pipeline, run_id, status))

          lock(checkpoint)
          return load(run_id, checkpoint) if @request.dry? || latest.first == number

          close # Another process was quicker: it resumed the run, and has ended by now.
        end
      end

      def latest
        store.call(:latest, @pipeline.name, identity).first || []
      end

      def lock(checkpoint)
        pid = @request.dry? ? @store.holder(checkpoint) : @store.acquire(checkpoint)
        raise LockedError.new(pid, @pipeline.name) if pid

        @checkpoint = checkpoint unless @request.dry?
      end

      def load(run_id, checkpoint)
        @resumed = run_id
        @outcomes = Stored.ended(store, @pipeline, run_id)
        store.call(:outputs, checkpoint).each do |name, mark, bytes|
          step, position = name.match(ITEM)&.captures unless @pipeline.dag.index.key?(name.to_sym)
          if step
            outworn << name if load_item(step.to_sym, position.to_i, mark, bytes) == false
            next
          end

          imprint, token, *made_of = mark.split
          @entries[name.to_sym] = Entry.new(imprint, *Recording.restore(bytes), token, made_of) if token # Else an older version wrote it.
        end
      end

      # @return [Boolean, nil] false: it is of other code or of other inputs than the rest, and of no use
      def load_item(name, position, mark, bytes)
        step = @pipeline.dag[name] or return
        imprint, digest, *made_of = mark.split
        known = items[name] ||= Items.new(imprint, made_of)
        return false if imprint != @pipeline.imprint(step) || made_of != known.made_of

        output, problem = Recording.restore(bytes)
        known.put(position, digest, output) unless problem
        true
      end

      # Packs the digest of the step, the token of its output, and the tokens it was made of.
      def mark(id)
        [@imprints[id], @provenance.token(id), *@provenance.made_of(id)].join(" ")
      end

      # Runs whose process is gone have crashed.
      def bury
        @store.call(:running, @pipeline.name).each do |run, checkpoint|
          @store.call(:crashed, run) if checkpoint == @checkpoint || @store.holder(checkpoint).nil?
        end
      end

      def supersede
        @store.call(:checkpoints, @pipeline.name, identity).each do |checkpoint,|
          @store.call(:clear, checkpoint) unless @store.holder(checkpoint)
        end
      end

      # No other process knows it.
      def unlike(_object)
        Random.urandom(16)
      end

      def adoptable
        bytes = Marshal.dump(known)
        bytes unless @context.secret_in?(bytes)
      rescue *Cache::TROUBLE
        nil
      end

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

      def row(id, step)
        [@run, id, step.name.name, step.status, step.reason, step.attempts, step.started_at&.-(@context.started_at), step.duration, text(step.error)]
      end

      def text(error)
        error && @context.mask(error.message)[0, TEXT]
      end
    end
  end
end
