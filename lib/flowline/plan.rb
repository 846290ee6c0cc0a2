# frozen_string_literal: true

require "set"
require_relative "selection"

module Flowline
  # For one run: what will happen to each step, and why. Nothing is executed or written to make it.
  #
  #   plan = pipeline.run(dry_run: true, resume: true)
  #   plan[:fetch].action # => :restore
  #   puts plan
  class Plan
    # What will happen to a step: +action+ is +:run+, +:restore+ (from the checkpoint), +:reuse+ (from the cache),
    # +:skip+ or +:unknown+ (depends on outputs that are not there yet); +reason+ is a sentence or nil; +expected+
    # are the seconds it took on average so far, or nil.
    Step = Struct.new(:name, :action, :reason, :expected)

    RUNS = %i[run unknown].freeze
    ALTHOUGH = "restored although its code changed since"
    private_constant :RUNS, :ALTHOUGH

    # @return [Hash{Integer => Object}] by the steps' positions, the outputs that are restored
    # @api private
    attr_reader :restored
    # @return [Array<Integer>] the positions of the steps that were not selected
    # @api private
    attr_reader :unselected
    # @return [Array<String>] what whoever runs it should know
    # @api private
    attr_reader :warnings

    # @param pipeline [Pipeline]
    # @param request [Request]
    # @param recording [Recording]
    # @param caching [Caching]
    # @param context [Context]
    # @raise [CheckpointError] steps need outputs that are recorded nowhere
    # @api private
    def initialize(pipeline, request, recording, caching, context)
      @pipeline = pipeline
      @dag = pipeline.dag
      @request = request
      @recording = recording
      @caching = caching
      @context = context
      @selection = Selection.new(@dag, request.only, request.from)
      @actions, @decisions, @restored, @known, @partly = Array.new(5) { {} }
      @again = Set.new
      @open = []
      @warnings = []
      @needed = request.picks? ? needed : Set.new
      @recorded = "recorded in run #{recording.resumed}"
      @dag.order.each { |id| @actions[id], = @decisions[id] = decide(id) }
      @unselected = @dag.steps.each_index.reject { |id| @selection.wanted?(id) || %i[restore reuse].include?(@actions[id]) }
      check
      take_over unless request.dry?
    end

    # @return [Array<Plan::Step>] in the order in which they could run
    def steps
      @steps ||= @decisions.map do |id, (action, reason)|
        name = @dag.steps[id].name
        Step.new(name, action, reason, (timings[name] if RUNS.include?(action)))
      end
    end

    # @param name [Symbol, String]
    # @return [Plan::Step, nil]
    def [](name)
      name = Name.of(name)
      steps.find { |step| step.name == name }
    end

    # @return [Array<Symbol>] the steps that make the run as long as it will be: by the times expected, else by their number
    def critical_path
      path = []
      id = lengths.max_by(&:last)&.first
      while id
        path.unshift(@dag.steps[id].name) if RUNS.include?(@actions[id])
        id = @dag.inputs(id).max_by { |before| lengths[before] }
      end
      path
    end

    # @return [Float, nil] the seconds the run will take, as far as is known; nil where nothing is
    def expected
      return if timings.empty? || (steps.any? { |step| RUNS.include?(step.action) } && steps.none?(&:expected))

      work = steps.sum { |step| step.expected || 0.0 }
      [lengths.values.max&.first || 0.0, work / @request.workers].max
    end

    # @return [String] without values: they may be anything, and secret
    def inspect
      "#<#{self.class} #{@pipeline.name || "unnamed"} #{@decisions.size} steps>"
    end

    # @return [Hash{Symbol => Object}]
    def to_h
      { pipeline: @pipeline.name, resumes: @recording.resumed, expected: expected, critical_path: critical_path, steps: steps.map(&:to_h) }
    end

    # @return [String] for people
    def to_s
      width = steps.map { |step| Name.show(step.name).size }.max || 0
      rows = steps.map do |step|
        time = format("%.2fs", step.expected) if step.expected
        "  #{[Name.show(step.name).ljust(width), step.action.to_s.ljust(8), (time || "").rjust(8), step.reason].join("  ").rstrip}\n"
      end
      least = "at least " if steps.any? { |step| RUNS.include?(step.action) && step.expected.nil? }
      total = "Expected: #{least}#{format("%.2fs", expected)} (#{critical_path.map { |name| Name.show(name) }.join(" → ")})\n" if expected
      "Plan: #{@pipeline.name || "unnamed"}\n#{rows.join}#{total}"
    end

    # @param id [Integer]
    # @return [Recording::Items, nil] what a step need not be called for again
    # @api private
    def items(id)
      @partly[id]
    end

    # @return [Array<Symbol>] the steps that run again from the beginning, whatever is recorded of them
    # @api private
    def outdated
      (@recording.entries.keys | @recording.items.keys).select do |name|
        (id = @dag.index[name]) && !@restored.key?(id) && !@partly.key?(id) && @actions[id] != :skip
      end
    end

    private

    def timings
      @timings ||= @recording.timings
    end

    def decide(id)
      entry = @recording.entries[@dag.steps[id].name]
      takes_part = @selection.wanted?(id) || @needed.include?(id)
      why = stale(id, entry)
      return restore(id, entry) if entry && !why && (takes_part || !@request.only)
      return [:skip, "not selected"] unless takes_part

      action, reason = reusable(id, partly(id) || why)
      return [:skip, "not selected"] unless @selection.wanted?(id) || action == :reuse || keyed?(id)

      doubt(id) if RUNS.include?(action)
      [action, reason]
    end

    # Of a step that has not ended, items may be recorded.
    def partly(id)
      step = @dag.steps[id]
      items = @recording.items[step.name]
      return unless items && items.imprint == @pipeline.imprint(step)
      return if @selection.rerun?(id) || @dag.inputs(id).any? { |before| @again.include?(before) }

      why = unseen(id) and return why
      @partly[id] = items
      "#{items.size} #{items.size == 1 ? "item is" : "items are"} recorded"
    end

    # What was in the cache then was not recorded; what it is now may be something else.
    def doubt(id)
      return unless @selection.wanted?(id) && @recording.outcomes[@dag.steps[id].name] == "cached"

      (keyed?(id) ? @open : @again) << id
    end

    # One that shall not run is restored in any case.
    def restore(id, entry)
      open = @dag.inputs(id) & @open
      return (@open << id) && [:unknown, "whether it is restored shows when #{names(open)} ran"] unless open.empty?

      @restored[id] = @known[id] = entry.output
      return [:restore, @recorded] if @selection.wanted?(id) || !(although = although(id, entry)) # Else it would run.

      @warnings << "step #{Name.show(@dag.steps[id].name)} is #{although}"
      [:restore, "#{@recorded}; #{although}"]
    end

    # Why a recorded step runs again, if it does.
    def stale(id, entry)
      if @selection.rerun?(id) && !(entry && @request.resume? && @request.only)
        @again << id
        return "asked for"
      end
      if @selection.wanted?(id)
        why = unseen(id) || changed(id, entry) if entry
        @again << id if why || !entry
      end
      why || entry&.problem
    end

    def although(id, entry)
      unseen = @pipeline.unrestorable(@dag.steps[id])
      unseen ? "restored although #{unseen}" : (ALTHOUGH if changed(id, entry))
    end

    # Why nothing recorded of a step can be restored, whatever it is.
    def unseen(id)
      why = @pipeline.unrestorable(step = @dag.steps[id]) or return
      warning = "step #{Name.show(step.name)} is not restored: #{why}"
      @warnings << warning unless @warnings.include?(warning)
      "not restored: #{why}"
    end

    def changed(id, entry)
      return "its code, conditions, dependencies, captured values or version changed" if entry.imprint != @pipeline.imprint(@dag.steps[id])

      before = @dag.inputs(id).find { |other| @again.include?(other) } unless @again.empty?
      "#{Name.show((step = @dag.steps[before]).name)} runs#{" again" if @recording.entries.key?(step.name)}" if before
    end

    def reusable(id, why)
      step = @dag.steps[id]
      unfit = @caching.unfit(id)
      return unsure(step, why || unfit) if step.each || unfit || !@caching.caches?(id)

      open = @caching.inputs(id).reject { |before| known?(before) }
      return [:unknown, "whether it is cached shows when #{names(open)} ran"] unless open.empty?

      return [:unknown, "its cache key will tell"] if keyed?(id)

      @caching.there?(id, @known, @context) ? [:reuse, "cached"] : unsure(step, why)
    end

    def unsure(step, why)
      conditions = %i[when unless].select { |word| step.options[word] }
      return [:run, why] if conditions.empty?

      [:unknown, [why, "#{conditions.join(" and ")}: will tell"].compact.join("; ")]
    end

    # Steps whose outputs are needed although they shall not run; those that make the keys of others in the cache, too.
    def needed
      @dag.order.reverse_each.with_object(Set.new) do |id, needed|
        wanted = @selection.wanted?(id) # A recorded one may have to run again.
        next unless wanted || (needed.include?(id) && @caching.caches?(id) && !recorded?(id))

        needed.merge((wanted ? @dag : @caching).inputs(id).reject { |before| @selection.wanted?(before) })
      end
    end

    def recorded?(id)
      entry = @recording.entries[@dag.steps[id].name]
      entry && !entry.problem
    end

    # Whether its output is at hand; one in the cache is read when it is asked for.
    def known?(id)
      return true if @known.key?(id)

      found, output = @caching.peek(id, @known, @context) if @actions[id] == :reuse
      @known[id] = output if found
      found
    end

    # Outputs that steps need which will run, and that neither checkpoint nor cache has.
    def check
      return if @needed.empty?

      runs = @dag.steps.each_index.select { |id| @selection.wanted?(id) && RUNS.include?(@actions[id]) }
      missing = runs.flat_map { |id| @dag.inputs(id) }.uniq.sort.select { |id| missing?(id) }
      raise CheckpointError.new(missing.map { |id| @dag.steps[id].name }, pipeline_name: @pipeline.name) unless missing.empty?
    end

    # What was skipped has no output to be missed; what a key: says is not known before the run.
    def missing?(id)
      return false if @selection.wanted?(id) || %i[restore reuse].include?(@actions[id])

      !Recording.skipped?(step = @dag.steps[id], @recording.outcomes[step.name]) && !keyed?(id)
    end

    # What stands after a step that is not selected would be passed over: what the cache has of it is put in its place.
    def take_over
      @actions.each do |id, action|
        @restored[id] = @known[id] if action == :reuse && (@dag.inputs(id) & @unselected).any? && known?(id)
      end
    end

    def keyed?(id)
      @request.dry? && @pipeline.calls.keys.key?(id)
    end

    def names(ids)
      ids.map { |id| Name.show(@dag.steps[id].name) }.join(", ")
    end

    # For each step, the longest path that ends with it: its seconds, and how many of its steps run.
    def lengths
      @lengths ||= steps.each_with_object({}) do |step, lengths|
        id = @dag.index[step.name]
        seconds, count = @dag.inputs(id).map { |before| lengths[before] }.max || [0.0, 0]
        lengths[id] = [seconds + (step.expected || 0.0), count + (RUNS.include?(step.action) ? 1 : 0)]
      end
    end
  end
end
