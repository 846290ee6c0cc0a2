# frozen_string_literal: true

module Flowline
  module Planning
    # The reasons against restoring a step. All of them are in this class.
    # @api private
    class Objections
      CODE = "its code, conditions, dependencies, captured values or version changed"
      SECRET = "a secret param that it can see is another one"
      COLLECTED = "its failed items are tried again"
      private_constant :CODE, :SECRET, :COLLECTED

      # @return [Array<String>] warnings about outputs that no later run could restore either
      attr_reader :warnings

      # @param pipeline [Pipeline]
      # @param request [RunOptions]
      # @param recording [Recording]
      # @param selection [Selection]
      # @param outlooks [Hash{Integer => Outlook}] the outlooks of the earlier steps, filled step by step
      def initialize(pipeline, request, recording, selection, outlooks)
        @pipeline = pipeline
        @dag = pipeline.dag
        @request = request
        @recording = recording
        @selection = selection
        @outlooks = outlooks
        @selects = request.selects?
        @warnings = []
      end

      # @param id [Integer] a selected step
      # @param entry [Recording::Entry, nil] its record
      # @param inputs [Array<Integer>, nil] the steps whose outputs it gets, if it has a record
      # @return [String, nil] why it runs again
      def to(id, entry, inputs)
        return "asked for" if @selects && asked_for?(id, entry)

        entry && (unseen(id) || change(id, entry) || remade(entry.made_of, inputs) || entry.problem ||
                  (COLLECTED if entry.collected))
      end

      # @param id [Integer]
      # @return [String, nil] why no record of the step can be restored
      def unseen(id)
        why = (@unrestorable ||= @pipeline.unrestorable)[id] or return
        warning = "step #{Name.show(@dag.steps[id].name)} is not restored: #{why}"
        @warnings << warning unless @warnings.include?(warning)
        "not restored: #{why}"
      end

      # @param id [Integer] a step that is not selected and is restored despite objections
      # @param entry [Recording::Entry]
      # @return [String, nil] why it would run again if it were selected
      def although(id, entry)
        @pipeline.unrestorable[id] || (changed?(id, entry) ? "its code changed since" : remade(entry.made_of, @dag.inputs(id)))
      end

      # @param made_of [Array<String>] the tokens that were recorded
      # @param inputs [Array<Integer>] the steps whose tokens they were
      # @return [String, nil] the first step that has another token now
      def remade(made_of, inputs)
        return "it was made of the outputs of other steps" if made_of.size != inputs.size
        return if inputs.empty?

        other = inputs.zip(made_of).find { |id, token| @outlooks[id].ends_with?(token) == false }&.first
        other && now(other)
      end

      # @param made_of [Array<String>]
      # @param inputs [Array<Integer>]
      # @return [Array<Integer>] the steps that have yet to show whether they have the same token
      def open(made_of, inputs)
        inputs.zip(made_of).filter_map { |id, token| id if @outlooks[id].ends_with?(token).nil? }
      end

      # @param id [Integer]
      # @param record [Recording::Entry, Recording::Items]
      # @return [Boolean] whether the step has changed since it was recorded
      def changed?(id, record)
        record.step_digest != (@step_digests ||= @recording.subject.step_digests)[id]
      end

      private

      # @return [String, nil] how the step has changed since it was recorded
      def change(id, entry)
        return unless changed?(id, entry)

        code, = entry.step_digest.split
        code == @recording.subject.step_digest(id).split.first ? SECRET : CODE
      end

      # Returns whether the step is to run again. With +resume:+, +only:+ names the steps to complete.
      def asked_for?(id, entry)
        @selection.rerun?(id) && !(entry && @request.resume? && @request.only)
      end

      def now(id)
        shown = Name.show(@dag.steps[id].name)
        case @outlooks[id].action
        when :run then "#{shown} runs#{" again" if @recording.checkpoint.entries[id]}"
        when :skip then "#{shown} is skipped"
        when :unknown then "#{shown} is not restored"
        else "it was made of another output of #{shown}"
        end
      end
    end
  end
end
