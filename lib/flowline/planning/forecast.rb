# frozen_string_literal: true

require "set"

module Flowline
  module Planning
    # The forecast of how each step may end. Each step is decided after the steps it depends on.
    #
    # A step whose output is given has that. Another selected step is restored if there is no objection, otherwise reused from its
    # cache, otherwise called. If the decision depends on the run, it is left open; the run then decides by the same rules when the
    # step is ready. A step that is not selected is never called. Its output is restored from the checkpoint despite objections, or
    # comes from the cache if a selected step needs it.
    # @api private
    class Forecast
      KEY = "depends on its cache key"
      NONE = {}.freeze
      private_constant :KEY, :NONE

      # @return [Hash{Integer => Outlook}] by step, each after the steps it depends on
      attr_reader :outlooks
      # @return [Hash{Integer => Object}] the outputs that are there before the run
      attr_reader :outputs
      # @return [Hash{Integer => Recording::Entry}] the records that are restored unless the run finds an objection
      attr_reader :open
      # @return [Hash{Integer => Recording::Items}] recorded items of steps that are called
      attr_reader :items
      # @return [Array<String>]
      attr_reader :warnings

      # @param pipeline [Pipeline]
      # @param request [RunOptions]
      # @param recording [Recording]
      # @param caching [Cache::Lookup]
      # @param context [Context]
      def initialize(pipeline, request, recording, caching, context)
        @pipeline = pipeline
        @dag = pipeline.dag
        @request = request
        @steps = pipeline.steps
        @recording = recording
        @entries = recording.checkpoint.entries
        @caching = caching
        @context = context
        @selection = Selection.new(@dag, request.only, request.from, pipeline.params)
        @outlooks, @outputs, @open, @items, @veiled = Array.new(5) { {} }
        @objections = Objections.new(pipeline, request, recording, @selection, @outlooks)
        @warnings = @objections.warnings
        @given = request.given&.outputs || NONE
        @unneeded = request.given && !request.selects? ? request.given.unneeded : NONE
        @needed = request.selects? ? needed : Set.new
        @dag.order.each { |id| @outlooks[id] = outlook(id) }
      end

      # @return [Boolean] whether the step takes part
      def selected?(id)
        @selection.wanted?(id) && !@unneeded.key?(id)
      end

      private

      def outlook(id)
        return give(id) if @given.key?(id)
        return Outlook.new(:skip, "only given steps depend on it", [Recording::Provenance::NOTHING], :never) if @unneeded.key?(id)

        selected?(id) ? foresee(id) : leave_out(id)
      end

      # Uses an output that the run was given. It is a new one: nothing that was recorded was made of it.
      def give(id)
        @outputs[id] = @given[id]
        Outlook.new(:restore, "given", @caching.caches?(id) ? content(id) : [:new], :never)
      end

      def entry(id)
        @entries[id]
      end

      def foresee(id)
        entry = entry(id)
        inputs = @dag.inputs(id) if entry
        why = @objections.to(id, entry, inputs)
        return spare(id) || call(id, partly(id) || why || @caching.unfit(id)) if why || entry.nil?

        tellers = inputs.empty? ? inputs : @objections.open(entry.made_of, inputs)
        return restore(id, entry, recorded) if tellers.empty?

        @open[id] = entry
        @veiled[id] = tellers.any? { |before| @veiled[before] }
        partly(id) # In case it is called.
        unknown(id, "whether it is restored depends on #{names(tellers)}", entry.token)
      end

      def restore(id, entry, reason)
        @outputs[id] = entry.output
        Outlook.new(:restore, reason, [entry.token], :never)
      end

      def recorded
        @recorded ||= "recorded in run #{@recording.checkpoint.run.run_id}"
      end

      # Returns the outlook of a step that need not be called: it is certainly skipped, or its cache has the output or may
      # have it.
      # @return [Outlook, nil]
      def spare(id)
        if absence(id) == :surely
          return Outlook.new(:skip, "#{names(absent(id, :surely))} will have no output", [Recording::Provenance::NOTHING], :surely)
        end
        return unless @caching.reads_output?(id)

        tellers = @caching.inputs(id).reject { |before| @outlooks[before].known? }
        veiled = veiled?(id, tellers)
        return unknown(id, "whether it is cached depends on #{names(tellers)}") unless tellers.empty?
        return unknown(id, KEY) if veiled
        return unless find(id)

        doubt(id) ? unknown(id, doubt(id), content(id)) : reuse(id)
      end

      def call(id, why)
        doubt = doubt(id)
        return Outlook.new(:run, why, productions(id), :never, why) unless doubt

        unknown(id, [why, doubt].compact.join("; ")).tap { |outlook| outlook.cause = why }
      end

      def unknown(id, reason, *tokens)
        nothing = [Recording::Provenance::NOTHING] if doubt(id)
        Outlook.new(:unknown, reason, [*tokens, *productions(id), *nothing].uniq, nothing ? :maybe : :never)
      end

      # Returns the tokens that a step may have after it was called.
      def productions(id)
        [@caching.caches?(id) ? :any : :new, *(Recording::Provenance::NOTHING if @dag.steps[id].optional?)]
      end

      # Uses the recorded items of a step, unless there is an objection.
      # @return [String, nil]
      def partly(id)
        items = @recording.checkpoint.items[id]
        return if items.nil? || @selection.rerun?(id) || @objections.changed?(id, items)
        return if @objections.remade(items.made_of, @dag.other_inputs(id))

        why = @objections.unseen(id) and return why
        @items[id] = items
        "#{items.size} #{items.size == 1 ? "item is" : "items are"} recorded"
      end

      # Reuses an output from the cache. The core would skip a step after one that is not selected, so such an output is set
      # before the run begins.
      def reuse(id)
        early = @dag.inputs(id).any? { |before| selected?(id) ? missing?(before) : !@outlooks[before].there? }
        Outlook.new(early ? :restore : :reuse, "cached", content(id), :never)
      end

      def content(id)
        [Recording::Provenance.content(@outputs[id]) || :new]
      end

      def find(id)
        found, output = @caching.find(id, @outputs, @context)
        @outputs[id] = output if found
        found
      end

      # Returns whether a dry run cannot predict the cache lookup of a step, because it does not call the block that makes the
      # key.
      def veiled?(id, tellers)
        return false unless @request.dry? && (@caching.keyed?(id) || tellers.any? { |before| @veiled[before] })

        @veiled[id] = true
      end

      def names(ids)
        ids.map { |id| Name.show(@dag.steps[id].name) }.join(", ")
      end
    end
  end
end

require_relative "forecast/absence"
require_relative "forecast/left_out"
