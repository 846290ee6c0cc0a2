# frozen_string_literal: true

module Flowline
  # The record of a run, from which a later run resumes. This class stores the outputs in memory, as long as the pipeline
  # object exists, for pipelines without a name. {Stored} is for pipelines with a name.
  # @api private
  class Recording
    autoload :Items, "#{__dir__}/recording/items"
    autoload :Provenance, "#{__dir__}/recording/provenance"

    # The record of a completed step: its imprint at that time, its output or the reason why there is none, the token of its
    # output, and the tokens it was made of (see {Provenance}).
    Entry = Struct.new(:imprint, :output, :problem, :token, :made_of) do
      # @param bytes [String, nil] a recorded output
      # @return [Entry] with the output, or the reason why there is none
      def self.recorded(imprint, token, made_of, bytes)
        return new(imprint, nil, "its recorded output is gone or damaged", token, made_of) unless bytes
        return new(imprint, nil, NO_OUTPUT, token, made_of) if bytes.empty?

        new(imprint, Marshal.load(bytes), nil, token, made_of) # rubocop:disable Security/MarshalLoad -- from our own directory
      rescue *Cache::TROUBLE => e
        new(imprint, nil, "its recorded output cannot be read: #{Error.words(e)[/.*/]}", token, made_of)
      end
    end
    NO_OUTPUT = "no output of it was recorded"
    LEFT_OUT = "not_selected"
    private_constant :NO_OUTPUT, :LEFT_OUT

    # @return [Hash{Symbol => Entry}] the completed steps of the run to resume, by name
    attr_reader :entries
    # @return [String, nil] the run to resume
    attr_reader :resumed
    # @return [Hash{Symbol => String}] how the steps of that run ended, or those of the run that it resumed if it left them out
    attr_reader :outcomes

    # @param pipeline [Pipeline]
    # @param request [Planning::RunOptions]
    # @return [Recording]
    def self.of(pipeline, request)
      pipeline.name && request.store? ? Stored.new(pipeline, request) : new(pipeline, request)
    end

    # @param bytes [String, nil] a recorded output
    # @return [Array(Object, String)] the output, or the reason why there is none
    def self.restore(bytes)
      entry = Entry.recorded(nil, nil, nil, bytes)
      [entry.output, entry.problem]
    end

    # @return [String] how a step ended, in a word
    def self.outcome(status, reason)
      (reason.to_s == LEFT_OUT ? reason : status).to_s
    end

    # @param earlier [Hash{Symbol => String}] how the steps of a run ended
    # @param later [Hash{Symbol => String}] how the steps of a run that resumed it ended
    # @return [Hash{Symbol => String}] the outcomes of both runs together
    def self.outcomes(earlier, later)
      earlier.merge(later) { |_, before, now| now == LEFT_OUT ? before : now }
    end

    # @return [Boolean] whether this outcome of the step means that it has no output and did not fail the run
    def self.skipped?(step, outcome)
      outcome == "skipped" || (step.optional? && %w[failed timed_out].include?(outcome))
    end

    # @return [Boolean] whether a run has succeeded, including the steps that it left out
    def self.over?(pipeline, status, outcomes)
      status.to_s == "succeeded" && pipeline.steps.all? do |step|
        outcome = outcomes[step.name]
        skipped?(step, outcome) || ["succeeded", "cached", "restored", nil].include?(outcome)
      end
    end

    def initialize(pipeline, request)
      @pipeline = pipeline
      @request = request
      @entries = {}
      @outcomes = {}
      @imprints = []
      @called = {} # By step, the indexes of the items that were called for in this run.
      @turn = Mutex.new
      recall if request.continues?
    end

    # @param id [Integer]
    # @return [String] the imprint of the step (see {Pipeline#imprint}), which does not change during the run
    def imprint(id)
      @imprints[id] ||= @pipeline.imprint(@pipeline.steps[id])
    end

    # @return [Boolean] whether completed steps must be recorded with {Stored#complete}
    def stored?
      false
    end

    # @return [Hash{Symbol => Float}] seconds that steps took so far
    def timings
      {}
    end

    # Begins the run. After this, steps may change the params, the input and the context.
    # @param _context [Context]
    # @param _warnings [Array<String>]
    # @param provenance [Provenance] asked when something is recorded
    # @return [void]
    def start(_context, _warnings, provenance)
      @provenance = provenance
      identity unless @request.params.empty? && @request.values.empty? && !@request.input?
    end

    # Removes stale records, before the steps run again.
    # @param outputs [Array<Symbol>] the steps whose outputs are stale
    # @param mapped [Array<Symbol>] the steps whose items are stale
    # @return [void]
    def forget(outputs, mapped)
      @turn.synchronize do
        @entries = @entries.except(*outputs) unless outputs.empty?
        @items = items.except(*mapped) unless mapped.empty?
      end
    end

    # @return [Hash{Symbol => Items}] by step, the recorded items of steps that have not ended
    def items
      @items ||= {}
    end

    # @return [Boolean] whether outputs of the step are recorded
    def records?(step)
      @request.checkpoint? && step.options[:checkpoint] != false
    end

    # Records an item of a step that succeeded.
    # @param id [Integer]
    # @param step [Step]
    # @param position [Integer]
    # @param digest [String] of the item before its call
    # @param output [Object]
    # @return [void]
    def complete_item(id, step, position, digest, output)
      @turn.synchronize do
        items_of(id, step).put(position, digest, output)
        (@called[step.name] ||= []) << position
      end
    end

    # Records the end of the run.
    # @param result [Result]
    # @return [void]
    def finish(result)
      memory = @pipeline.memory
      if done?(result)
        memory.clear if !memory.empty? && memory[:identity] == identity
        return
      end
      outcomes = Recording.outcomes(@outcomes, result.steps.to_h { |step| [step.name, Recording.outcome(step.status, step.reason)] })
      entries = result.steps.each_with_index.to_h { |step, id| [step.name, entry(id, step)] }.compact
      recognise_changed(result)
      memory.replace(identity: identity, params: known, status: result.status, run_id: result.run_id,
                     entries: entries, outcomes: outcomes, items: items)
    end

    # Ends the recording. Nothing is recorded after this.
    def close; end

    # @return [String] without values, some of which are secret
    def inspect
      "#<#{self.class}>"
    end

    private

    # Records the digests of items that their calls have changed, because the items stay in memory by reference.
    def recognise_changed(result)
      @called.each do |name, positions|
        step = @pipeline.dag[name]
        source = result[step.depends_on[step.labels.index(step.each)]]&.output
        known = items[name]
        positions.each { |position| known.changed(position, Identity::Digest.try(source[position])) } if known && Array === source
      end
    end

    def items_of(id, step)
      items[step.name] ||= Items.new(@pipeline.imprint(step), @provenance.items_made_of(id))
    end

    # Returns whether the run leaves nothing to resume.
    def done?(result)
      result.success? && !@request.keep? && !(@request.picks? && result.steps.any? { |step| step.reason == :not_selected })
    end

    # Returns whether the step was skipped for another reason than the selection. A resumed run need not run it either.
    def passed_over?(result)
      result.skipped? && result.reason != :not_selected
    end

    # Returns the record of a step. A step that did not complete has its earlier record, unless that was removed.
    def entry(id, result)
      known = @entries[result.name]
      return known if (known && result.status == :restored) || !(result.output? || passed_over?(result))
      return unless @request.checkpoint?

      step = @pipeline.steps[id]
      problem = NO_OUTPUT if !result.output? || step.options[:checkpoint] == false
      Entry.new(@pipeline.imprint(step), (result.output unless problem), problem, @provenance.token(id), @provenance.made_of(id))
    end

    def recall
      memory = @pipeline.memory.dup # Another run may end meanwhile.
      return unless memory[:identity] == identity && (@request.picks? || !Recording.over?(@pipeline, *memory.values_at(:status, :outcomes)))

      @entries, @outcomes, @resumed = memory.values_at(:entries, :outcomes, :run_id)
      @items = memory[:items].dup
    end

    # Returns the identity of the run: equal params, input and context have the same one.
    def identity
      @identity ||= begin
        given = [known.sort, @request.input? && [@request.input], @request.values.sort_by { |key, _| key.to_s }]
        Identity::Digest.try(given) || digest(*given)
      end
    end

    # Digests the values one by one. A value that cannot be digested may differ from the earlier one, so it is never equal.
    # In a context such values are often loggers or clients, so that only their class counts.
    def digest(params, input, context)
      strict = [params.flatten(1), input || []].map { |values| values.map { |value| Identity::Digest.try(value) || unlike(value) } }
      Native.digest([*strict, context.flatten(1).map { |value| Identity::Digest.try(value) || TypeHints.kind(value) }])
    end

    # Returns a value that is equal for the same object only.
    def unlike(object)
      object.__id__
    end

    def known
      @request.params.except(*@request.secrets.keys)
    end
  end
end

# This file is not autoloaded: if two threads load it and one of them forks, the child loads it again.
require_relative "recording/stored"
