# frozen_string_literal: true

require_relative "outlook"
require_relative "objections"

module Flowline
  module Planning
    # Works out how each step may end, each after those it depends on.
    #
    # A step that takes part is restored if nothing speaks against it, else reused from its cache, else called. If that
    # depends on something that only the run will show, it is left open: the runner decides when the step is ready, by
    # the same rules. A step that does not take part is never called. Its output comes from the checkpoint in any case,
    # or from the cache, if a step that takes part needs it.
    # @api private
    class Forecast
      KEY = "depends on its cache key"
      private_constant :KEY

      # @return [Hash{Integer => Outlook}] by step, each after those it depends on
      attr_reader :outlooks
      # @return [Hash{Integer => Object}] the outputs that are there before the run
      attr_reader :outputs
      # @return [Hash{Integer => Recording::Entry}] what is restored if the run shows that nothing speaks against it
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
        @entries = recording.entries
        @caching = caching
        @context = context
        @selection = Selection.new(@dag, request.only, request.from)
        @outlooks, @outputs, @open, @items, @veiled = Array.new(5) { {} }
        @objections = Objections.new(pipeline, request, recording, @selection, @outlooks)
        @warnings = @objections.warnings
        @needed = request.picks? ? needed : Set.new
        @dag.order.each { |id| @outlooks[id] = selected?(id) ? foresee(id) : leave_out(id) }
      end

      # @return [Boolean] whether the step takes part
      def selected?(id)
        @selection.wanted?(id)
      end

      private

      def entry(id)
        @entries[@steps[id].name]
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
        @recorded ||= "recorded in run #{@recording.resumed}"
      end

      # Spares a call: the step is skipped for sure, or its cache has the output or may have it.
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
        doubt ? unknown(id, [why, doubt].compact.join("; ")) : Outlook.new(:run, why, productions(id), :never)
      end

      def unknown(id, reason, *tokens)
        nothing = [Recording::Provenance::NOTHING] if doubt(id)
        Outlook.new(:unknown, reason, [*tokens, *productions(id), *nothing].uniq, nothing ? :maybe : :never)
      end

      # The tokens that a step may have once it was called.
      def productions(id)
        [@caching.caches?(id) ? :any : :new, *(Recording::Provenance::NOTHING if @dag.steps[id].optional?)]
      end

      # Uses the recorded items of a step, unless something speaks against that.
      # @return [String, nil]
      def partly(id)
        items = @recording.items[@dag.steps[id].name]
        return if items.nil? || @selection.rerun?(id) || @objections.changed?(id, items)
        return if @objections.remade(items.made_of, @dag.other_inputs(id))

        why = @objections.unseen(id) and return why
        @items[id] = items
        "#{items.size} #{items.size == 1 ? "item is" : "items are"} recorded"
      end

      # The core would skip a step after one that is left out: its output is put in its place before the run begins.
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

      # A dry run does not call what makes a key: where the run looks into the cache before it begins, it cannot.
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
